"""Head, tail and digest of any output, without its secrets."""

import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from adapters.runners.output import Capture, Captured, Redactor, with_note
from domain.stage import OUTPUT_KEPT


def captured(*chunks: bytes, secrets: tuple[str, ...] = ()) -> Captured:
    capture = Capture(secrets)
    for chunk in chunks:
        capture.feed(chunk)
    return capture.close()


@given(
    text=st.text("abcx", max_size=60),
    secrets=st.lists(st.text("abc", min_size=1, max_size=6), max_size=3),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_chunks_do_not_matter(text: str, secrets: list[str], cuts: list[int]) -> None:
    """However the output is cut, the same is redacted, and no secret is left."""
    whole, parts = Redactor(secrets), Redactor(secrets)
    expected = whole.feed(text.encode()) + whole.close()
    edges = [0, *sorted(cuts), len(text)]
    pieces = [parts.feed(text[start:end].encode()) for start, end in pairwise(edges) if start < end]
    assert b"".join(pieces) + parts.close() == expected
    plain = expected.replace(b"[redacted]", b"|")
    assert not any(secret.encode() in plain for secret in secrets)


def test_lines_of_a_secret() -> None:
    """A key of several lines is redacted however a log indents it."""
    output = captured(b"  BEGIN KEY\n  c2VjcmV0\n  END KEY", secrets=("BEGIN KEY\nc2VjcmV0\nEND KEY\n",))
    assert output.head == "  [redacted]\n  [redacted]\n  [redacted]"


def test_short_output_is_whole() -> None:
    """Up to 64 KiB nothing is lost: head and tail are all of it."""
    text = b"".join(b"%07d\n" % number for number in range(8192))
    output = captured(text[:100], text[100:50_000], text[50_000:])
    assert (output.head + output.tail).encode() == text
    assert not output.truncated
    assert (output.size, output.digest) == (len(text), hashlib.sha256(text).hexdigest())


def test_one_byte_more() -> None:
    """Beyond 64 KiB the middle goes, and it is said."""
    output = captured(b"a" * OUTPUT_KEPT, b"b", b"c" * OUTPUT_KEPT)
    assert (output.head, output.tail, output.truncated) == ("a" * OUTPUT_KEPT, "c" * OUTPUT_KEPT, True)


def test_bytes_that_are_no_text() -> None:
    """Binary output becomes text a database can hold, still within the bound."""
    output = captured(b"\xff\x00" * 100_000)
    assert "\x00" not in output.head + output.tail
    assert max(len(output.head.encode()), len(output.tail.encode())) <= OUTPUT_KEPT


def test_a_note_fits() -> None:
    """A reason of ours stands at the end of the tail, within its bound."""
    assert with_note("", "too much") == "suture: too much\n"
    noted = with_note("x" * OUTPUT_KEPT, "too much")
    assert noted.endswith("x\nsuture: too much\n")
    assert len(noted) == OUTPUT_KEPT

"""What cannot be redacted is stored as its digest, and no text keeps redaction busy."""

import hashlib
import time
from datetime import timedelta

import pytest

from adapters.redaction import HIDDEN, RULES, Redactor
from adapters.redaction.prefilter import Prefilter, places

REDACTOR = Redactor.for_org(b"a key of the tests")
SECRET = "sut_verysecret"


def digest(text: str) -> str:
    return f"<DIGEST:{hashlib.sha256(text.encode()).hexdigest()[:16]}>"


def broken(kind: str, value: str) -> str:
    raise RuntimeError("no mark for you")


@pytest.mark.parametrize("redactor", [Redactor(RULES, broken), Redactor(RULES, str.__add__, within=timedelta(seconds=-1))])
def test_an_error_and_a_time_out_leave_the_digest(redactor: Redactor):
    """In the place of the whole text, label, header and value; what needs no mark stays as it is."""
    text = f"by {SECRET}"
    assert redactor.text(text) == digest(text)
    assert redactor.headers({"x": text}) == {"x": digest(text)}
    assert SECRET not in str(redactor.content({"a": [{"b": text, text: 1}]}))
    assert redactor.text("plain") == "plain"


def test_what_is_too_long_is_not_even_read():
    """Its digest is stored; and a digest is redacted already."""
    shown = REDACTOR.text("x " * 200_000)
    assert (shown, REDACTOR.text(shown)) == (digest("x " * 200_000), shown)


def test_what_lies_too_deep_is_its_digest():
    """What lies above it stays readable, and nothing exhausts the stack."""
    deep: object = SECRET
    for _ in range(100_000):
        deep = {"a": deep}
    shown = REDACTOR.content({"top": "plain", "deep": deep})
    assert shown["top"] == "plain"
    assert HIDDEN in str(shown)
    assert "DIGEST" in str(REDACTOR.content({"a": [[[SECRET]]] * 3} | {"b": nested(60)}))


def nested(depth: int) -> list[object]:
    return [nested(depth - 1)] if depth else [SECRET]


def test_what_is_too_much_is_its_digest():
    """More values than anybody reads are one."""
    assert list(REDACTOR.content({"rows": [SECRET] * 30_000})) == ["redacted"]


def test_half_a_character_and_control_codes_are_text():
    """They stay, and what stands beside them goes."""
    shown = REDACTOR.text(f"\ud800\x00\x1b[1m{SECRET} \U0001f600")
    assert shown.startswith("\ud800\x00\x1b[1m<PAT:")
    assert SECRET not in shown


@pytest.mark.parametrize("answer", [None, [], [0]])
def test_a_set_that_gives_up_lets_every_rule_look(answer: list[int] | None):
    """RE2 says that nothing matches when it runs out of memory: that is taken for no answer."""
    assert list(places(answer, hints=2)) == [0, 1]
    assert list(Prefilter(["a", "b"]).hits("b")) == [1]


HOSTILE = (
    *(
        "eyJ",
        "xeyJ",
        "eyJa.",
        "://",
        "://a:b@",
        "a@",
        "a@b.",
        "%40",
        "password=",
        'token="',
        r"token=\"",
        "--a",
        "cookie: a=b;",
    ),
    *("basic ", "1 ", "+1 2", "(12) ", "01 ", "GB59 ", "4444-", "1 card ", "ssn: 1", "dl no ", "zip code is ", "call me at "),
    *("ask for a ", "the 1234567 is ", "1.1.1.1", "a::", "https://a.", "website: a.", "-----BEGIN PRIVATE KEY-----", "SG.a"),
    *("a.atlasv1.", "aA0/", "bcdfg", "<EMAIL:12345678>", "[redacted]", "\ud800", "{", "\\", "aB3"),
)


@pytest.mark.parametrize("part", HOSTILE)
def test_no_text_keeps_it_busy(part: str):
    """64 kB of what a pattern begins with take a fraction of this."""
    began = time.process_time()
    REDACTOR.text((part * 65_536)[:65_530] + "A0aB")
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "begins", ["", "password=", "Bearer ", "x@", "https://", "://u:", "0aA", "phone ", "driver's license ", "cookie: ", "eyJ"]
)
@pytest.mark.parametrize(
    "part", ["a", "aA", "a.", "a/", "1", "1-", "1 ", "aB3", "a{", "a=", "@", ":", "A1:", "é", "\\", "(", "bcd"]
)
def test_no_long_value_keeps_it_busy(begins: str, part: str):
    """However a value of 64 kB begins and whatever it is made of."""
    began = time.process_time()
    REDACTOR.text(f"{begins}{part * (65_000 // len(part))} A0aB!")
    assert time.process_time() - began < 5

"""The signature of an error: equal for the same failure wherever and whenever it happens, different for different causes.

It is made of the error's code and type, of what is said without its variable parts, and of the innermost frame of one's own
code without its line. Hosts, ids, numbers, line numbers and the folders of a release are no part of it.
"""

import re
from typing import Self

from domain.base import Digest, Value
from domain.canonical import digest
from domain.signal import normalised
from models.logs.masks import LONGEST, VARIABLE, Masks, tidy
from models.logs.records import Record
from models.logs.traces.contract import Frame

VERSION = "1"
"""Changes whenever the same record would get another digest."""

_SHORT_CODE = re.compile(r"[a-z]{0,12}[-_ ]?\d{1,6}(?:\.\d{1,3})?|0x[0-9a-f]{8}|-\d{1,10}|[0-9a-z]{5}")
_SPOKEN = re.compile(
    r"\b(?:errno|error|status|code|exit|http(?:/\d(?:\.\d)?)?|signal|sqlstate)[\s:=#(\[\"']{1,3}(-?\d{1,6})\b(?![.\d])"
    r"|\bsqlstate[\s:=(\[\"']{1,3}([0-9A-Z]{5})\b|\b((?:ORA|PLS|TNS|RMAN|MY|SQL|DB2)-?\d{4,6})\b|\((0x[0-9A-F]{8})\)"
    r"|\berror[ \[]((?:CS|TS|FS|VB|BC|MSB|NETSDK|E)\d{4,5})\b",
    re.IGNORECASE,
)
_REDACTED = re.compile(r"<[A-Z][A-Z0-9_]{1,15}:[0-9a-f]{8,16}>")
_GENERATED = re.compile(
    r"(?<=\$)\d+|(?<=\.)\d+|(?<=__)\d+|(?<=func)\d+|\$\$[\w$/]*|@[0-9a-f]+|0x[0-9a-f]+(?:/0x[0-9a-f]+)?| \[as .*\]"
)
_BUILT = re.compile(r"(?=[a-f]*\d)[0-9a-f]{6,}|\d{4,}")
_DIGITS = re.compile(r"\d+")
_MASKS = Masks()


class ErrorSignature(Value):
    """What the signature is made of, for people, and the digest of it."""

    version: str
    code: str
    template: str
    frame: str
    digest: Digest

    @classmethod
    def of(cls, record: Record, template: str | None = None) -> Self:
        """`template` is that of `said(record)` as a miner has it; without one, only what varies by its form is taken out.

        A miner that joins templates gives the same error another one, so its signature changes then, as it must: what was
        thought to be two was one.
        """
        code = "/".join(filter(None, (record.error_type, _code(record))))
        place = _place(record.frame) if record.frame else ""
        shape = _shape(said(record)) if template is None else template
        return cls(version=VERSION, code=code, template=shape, frame=place, digest=digest([VERSION, code, shape, place]))


def kinship(text: str) -> tuple[str, ...]:
    """Equal only for texts that mean the same error, and much cheaper than to read them: its words and its codes.

    A text with fields may name a code in any of them, and a long one differ where nobody looks: these are like none but
    themselves.
    """
    if len(text) > LONGEST or "=" in text or "{" in text:
        return (text,)
    return (_MASKS.shape(text), *(found[0] for found in _SPOKEN.finditer(text)))


def said(record: Record) -> str:
    """The message and, where it does not hold it, that of the root cause: the text whose template tells errors apart."""
    root = record.errors[0].message if record.errors else ""
    return f"{record.message}: {root}" if root and root not in record.message else record.message


def _code(record: Record) -> str:
    """The code of a field, or the first that a text calls so, the root cause's before the message."""
    if record.code is not None:
        return _plain_code(record.code)
    texts = (*(each.message for each in record.errors), record.message)
    found = next((found for text in texts if (found := _SPOKEN.search(text)) is not None), None)
    return _plain_code(found[found.lastindex or 0]) if found else ""


def _plain_code(code: str) -> str:
    """A short code is all code; the numbers in a long one differ from one occurrence to the next."""
    code = code.strip().lower()
    return code if _SHORT_CODE.fullmatch(code) else normalised(code)


def _shape(text: str) -> str:
    return tidy(_MASKS.shape(_REDACTED.sub(VARIABLE, text)))


def _place(frame: Frame) -> str:
    """The function without what a compiler numbered, and its file without the folders that differ from host to host."""
    function = _GENERATED.sub("#", frame.function)
    folder, _, name = "/".join(frame.file.replace("\\", "/").rsplit("/", 2)[-2:]).rpartition("/")
    file = f"{_DIGITS.sub('#', folder)}/{_BUILT.sub('#', name)}".lstrip("/")
    return f"{function} {file}".strip()

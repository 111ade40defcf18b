"""Text as it is read: without escape codes for colours, and nothing in it that cannot be written as UTF-8."""

import re

_COLOUR = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]")


def clean(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return _COLOUR.sub("", text) if "\x1b" in text else text

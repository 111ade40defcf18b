"""Addresses of machines, which an org may choose to keep: IPv4 and IPv6, but never those that name no place."""

import ipaddress
import re

from adapters.redaction.rule import Rule, Span


def _address(match: re.Match[str]) -> Span | None:
    """The host itself and nowhere stay, for they are the same for everybody; and so does a version of four numbers."""
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return None
    is_nobody = address.is_loopback or address.is_unspecified
    return None if is_nobody or _is_version(match.string, match.span()) else match.span()


def _is_version(text: str, span: Span) -> bool:
    """By the word before, by the name it ends, or as a folder of its own in a path."""
    before, behind = text[max(0, span[0] - 10) : span[0]], text[span[1] : span[1] + 1]
    return _VERSION.search(before) is not None or behind == "+" or (behind == "/" and _IN_PATH.search(before) is not None)


_VERSION = re.compile(r"\b(?:version|release|build|ver)\W{1,3}\Z|[A-Za-z]-\Z", re.IGNORECASE)
_IN_PATH = re.compile(r"[^/]/\Z")

IP = Rule(
    "IP",
    r"\d\.\d{1,3}\.\d{1,3}\.\d|(?i:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f:]|[0-9a-f]::[0-9a-f])",
    re.compile(
        r"(?<![\w.])(?:(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w|-[A-Za-z])"
        r"|(?<![0-9A-Fa-f:]:)(?=[0-9A-Fa-f:]{0,39}\d)(?:[0-9A-Fa-f]{1,4}:{1,2}){2,7}[0-9A-Fa-f]{1,4}(?![\w:]))",
        re.ASCII,
    ),
    _address,
    str.lower,
)

NETWORK = (IP,)

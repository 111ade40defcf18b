"""Addresses of machines, which an org may choose to keep: IPv4 and IPv6, but never those that name no place."""

import ipaddress
import re

from adapters.redaction.rule import Rule, Span


def _address(match: re.Match[str]) -> Span | None:
    """The host itself and nowhere stay: they are the same for everybody."""
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return None
    is_version = _VERSION.search(match.string[max(0, match.start() - 10) : match.start()])
    return None if address.is_loopback or address.is_unspecified or is_version else match.span()


_VERSION = re.compile(r"\b(?:version|release|ver)\W{1,3}\Z", re.IGNORECASE)


IP = Rule(
    "IP",
    r"\d\.\d{1,3}\.\d{1,3}\.\d|(?i:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f:]|[0-9a-f]::[0-9a-f])",
    re.compile(
        r"(?<![\w.])(?:(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w|-[A-Za-z])"
        r"|(?<![0-9A-Fa-f:]:)(?=[0-9A-Fa-f:]{0,39}\d)(?:[0-9A-Fa-f]{1,4}:{1,2}){2,7}[0-9A-Fa-f]{1,4}(?![\w:]))"
    ),
    _address,
    str.lower,
)

NETWORK = (IP,)

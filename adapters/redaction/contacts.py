"""Where a person is found: e-mail addresses, and the sites that a sentence names."""

import re

from adapters.redaction.rule import Rule, Span, last_group

_LETTER = "A-Za-z0-9\u00c0-\u052f"
_LABEL_BYTES = r"[\w\-\x{c0}-\x{52f}]"


def _address(match: re.Match[str]) -> Span | None:
    """Neither the login of a code host nor what follows a password in a URL is anybody's address."""
    before = match.string[max(0, match.start() - _SEEN_BEFORE) : match.start()]
    is_login = match.group(1) == "git" or _IN_URL.search(before) or (len(match.group(1)) >= _KEY and before.endswith("://"))
    return None if is_login else match.span()


_SEEN_BEFORE, _KEY = 300, 20
_IN_URL = re.compile(r"://[^\s/@]*:\Z")

EMAIL = Rule(
    "EMAIL",
    rf"[\w.+'\-\x{{c0}}-\x{{52f}}](?:@|%40)(?:{_LABEL_BYTES}+\.)+[A-Za-z\x{{c0}}-\x{{52f}}]{{2}}",
    re.compile(
        rf"(?<![{_LETTER}._+'-])([{_LETTER}._+'-]++)(?:@|%40)(?:[{_LETTER}_-]{{1,63}}\.){{1,8}}[A-Za-z\u00c0-\u052f]{{2,24}}",
        re.ASCII,
    ),
    _address,
    lambda address: address.lower().replace("%40", "@"),
)

# A host below one of the first is in nobody's registry; a name that ends as the others do is more often that of a file.
_INNER = frozenset(
    {"cluster", "corp", "home", "internal", "intra", "lan", "local", "localdomain", "localhost", "private", "svc", "test"}
)
_FILES = frozenset(
    {"conf", "gz", "html", "java", "js", "json", "log", "md", "pl", "py", "rs", "sh", "so", "sql", "ts", "txt", "xml", "yml"}
)


def _site(match: re.Match[str]) -> Span | None:
    """A host as the whole address names a site; with a port or a path it is an endpoint, which diagnosis needs."""
    top = match.group(match.lastindex or 0).rstrip("/").rpartition(".")[2].lower()
    is_bare = match.group(2) is not None
    return None if top in _INNER or (is_bare and top in _FILES) else last_group(match)


_HOST = rf"(?:[{_LETTER}_-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,24}}"
_SITE = "website|web site|web page|homepage|home page|blog|domain(?: name)?|url"

DOMAIN = Rule(
    "DOMAIN",
    rf"(?i)https?://[^\s/:@?#]+\.[a-z]{{2,24}}(?:[^\w.:@?#\-]|[.:?]?$|[.:?]\s)|\bwww\.[^\s/:@?#]+\.[a-z]{{2}}"
    rf"|\b(?:{_SITE})\b(?s:.*)\.[a-z]{{2}}",
    re.compile(
        rf"""(?:
            \b(https?://{_HOST}/?|(?<![\w.@/-])www\.{_HOST}/?)
            | \b(?:{_SITE.replace(" ", "[ ]")})\b[\s:="'(]{{1,4}}
              (?:(?:is|at|called|of|to|for|named)[\s:"'(]{{1,3}}){{0,2}}({_HOST}/?)
        )(?![\w/@?\#%(-]|[.:]\w)""",
        re.IGNORECASE | re.ASCII | re.VERBOSE,
    ),
    _site,
    lambda site: site.lower().rstrip("/"),
)

CONTACTS = (EMAIL, DOMAIN)

"""Secrets that are known by where they stand, in a URL, a header or beside a telling name, and runs too random to be words."""

import re

from adapters.redaction.rule import Rule, Span, last_group

_SECRET_NAME = re.compile(
    r"passw|passphrase|passcode|(?<![a-z])pwd|secret|token|authorization|cookie|credential"
    r"|(?:api|access|account|private)[-_ ]?key|(?<![a-z])cv[cv]2?(?![a-z])",
    re.IGNORECASE,
)
_MEASURE = re.compile(r"tokens|count|size|length|limit|expir|ttl|age$", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is nobody's to read."""
    return _SECRET_NAME.search(name) is not None


def is_measure(name: str) -> bool:
    """Whether a number by this name says how many or how long, not what."""
    return _MEASURE.search(name) is not None


def _password(match: re.Match[str]) -> Span | None:
    """A port with a path behind it, and an `@` further on, is not a password."""
    span = last_group(match)
    return None if _PORT.match(match.string, *span) else span


_PORT = re.compile(r"\d{1,5}[/?#]")

# A password that holds an `@` itself goes on to the last one before the path.
PASSWORD = Rule(
    "PASSWORD",
    r"://[^\s/@]*@|://[^\s:/@]*:[^\s@]*@",
    re.compile(
        r"""://(?:
            [^\s:/@]{0,256}:((?:(?!://)[^\s@]){1,1024}(?:@(?=[^\s@/]{1,256}@)[^\s@/]{1,256}){0,4})@
            | (?=[^\s@\d]{0,256}\d)([\w.~%-]{20,256})@
        )""",
        re.ASCII | re.VERBOSE,
    ),
    _password,
)


def _credential(match: re.Match[str]) -> Span | None:
    """What is said about authentication is no credential: `basic auth`, `bearer token`."""
    scheme, value = match.group(1).lower(), match.group(2)
    is_word = (
        value.lower().rstrip(".:") in _SAID_OF_SCHEMES
        if scheme == "bearer"
        else re.fullmatch(r"[A-Za-z][a-z]*[.:]?|\*+", value)
    )
    return None if is_word else match.span(2)


_SAID_OF_SCHEMES = frozenset({"auth", "authentication", "authorization", "error", "is", "realm", "token", "tokens", "was"})

SCHEME = Rule(
    "SECRET",
    r"(?i)\b(?:bearer|basic|negotiate)\s",
    re.compile(r"\b(bearer|basic|negotiate)[ \t\r\n]{1,8}(?![<\[])([^\s\"',;\\]++)", re.IGNORECASE | re.ASCII),
    _credential,
)

AUTHORIZATION = Rule(
    "SECRET",
    r"(?i)authorization[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}(?:digest|hawk|aws4-|ntlm|token|apikey)",
    re.compile(
        r"""authorization[\"'\\]{0,4}[ \t]{0,4}[:=][ \t]{0,4}[\"'\\]{0,4}(?:
            (?:digest|hawk|aws4-hmac-sha256)[ ]{1,4}([^\r\n]++)
            | (?:ntlm|token|apikey)[ ]{1,4}([^\s\"',;\\]++)
        )""",
        re.IGNORECASE | re.ASCII | re.VERBOSE,
    ),
)

COOKIE = Rule(
    "SECRET",
    r"(?i)cookie[\"'\\]{0,4}\s*[:=]",
    re.compile(
        r"cookie[\"'\\]{0,4}[ \t]{0,8}[:=][ \t]{0,8}[\"'\\]{0,4}"
        r"((?:[\w.-]{1,128}=[^\s;,\"'\\]*+(?:;[ ]?(?=[\w.-]{1,128}=))?)++)",
        re.IGNORECASE | re.ASCII,
    ),
)

_NAME = (
    r"(?:passw(?:or)?ds?|passphrase|passcode|pwd|secret|token|credentials?|authorization"
    r"|(?:api|access|account|private|secret|auth)[_-]?key(?:_base)?|x-amz-(?:signature|credential|security-token)"
    r"|jsessionid|phpsessid|\bcv[cv]2?)"
)
# A mask, a placeholder or a state stands there instead of a secret.
_NOTHING = re.compile(
    r"(?:null|none|nil|true|false|undefined|empty|missing|invalid|expired|required|unexpected|unset|\W|\*+|\.+|x{3,}"
    r"|\$[\w{(].*|\{\{.*|%[({].*|<[a-z_* -]+>|bearer|basic|negotiate|digest)[.)\]}]?"
    r"|(?:[a-z]\w*\.){2,}[A-Z]\w*@[0-9a-f]{1,8}|[a-z]{3,64}+\{[0-9a-f]{5,8}\}?",
    re.IGNORECASE,
)


def _named(match: re.Match[str]) -> Span | None:
    """What goes by the name, unless it is nothing; a working directory goes by one of the names too."""
    start, end = last_group(match)
    is_folder = match.group()[:3].lower() == "pwd" and match.string[start] in "/~"
    return None if is_folder or _NOTHING.fullmatch(match.string, start, end) else (start, end)


# The look at a first letter spares the alternatives at most places. A sign that may part two pairs ends a value when
# one follows; a value in quotes goes on to the same quote, however it is escaped, or to the end of a line that was cut.
# The kind of a mark is no name.
NAMED = Rule(
    "SECRET",
    rf"(?i){_NAME}[\"'\\\]]{{0,4}}\s*(?:=|:|>)|--[\w-]*{_NAME}\s|identified by|pass(?:word|phrase|code) is",
    re.compile(
        rf"""(?=[acijpstx-])(?:
            {_NAME}[\"'\\\]]{{0,4}}(?:[ \t]{{0,8}}(?:=>|:=|=|:)|>)[ \t]{{0,8}}
              (?:\r?\n[ \t]{{0,8}}(?![\w.-]{{1,64}}[ \t]?[:=]))?
            | (?<![\w-])--[\w-]{{0,32}}?{_NAME}[ \t]{{1,8}}(?!-)
            | identified[ ]by[ ]
            | pass(?:word|phrase|code)[ ]is[ ](?=\S{{0,64}}[\d!@\#$%^&*])
        )(?!(?:bearer|basic|negotiate|digest|hawk|aws4-hmac-sha256|ntlm|token|apikey)\s|[0-9a-f]{{8,16}}>)(?:
            \\{{1,3}}"((?:(?!\\{{1,3}}")[^\n])++)
            | (?:(?<=""[:=])|(?<=""[:=][ ]))""([^"\n]++)
            | "((?:[^"\\\n]|\\.)++)
            | '((?:[^'\\\n]|\\.)++)
            | ((?:[^\s"'&,;\\<]|<(?!/)|[&,;](?![\w.-]{{1,64}}[=:]|[\s"'&,;]|\Z)|\\(?!["']))++)
        )""",
        re.IGNORECASE | re.ASCII | re.VERBOSE,
    ),
    _named,
)


def _random_part(match: re.Match[str]) -> Span | None:
    """The run, when it is too random for a name: a path is judged by its segments, of which one may be random."""
    run = match.group()
    if not _is_path(run):
        return match.span() if is_random(run) else None
    start = match.start()
    for part in run.split("/"):
        if is_random(part):
            return start, start + len(part)
        start += len(part) + 1
    return None


def _is_path(run: str) -> bool:
    """Whether a word stands between its slashes, or there are more of them than in a random run."""
    return "/" in run and (run.count("/") * _PER_SLASH >= len(run) or _PATH.search(run) is not None)


_PER_SLASH = 12
_PATH = re.compile(r"(?:^|/)[a-z]{3,}(?:/|$)|(?:^|/)[A-Z]?[a-z]{4,}(?:/|$)")


def is_random(run: str) -> bool:
    """Whether it holds letters of both cases and digits, many of them different, and is not made of words."""
    in_words = sum(map(len, _WORDS.findall(run)))
    return (
        len(run) >= _SHORTEST_TOKEN
        and in_words <= _MOST_WORDS * len(run)
        and len(set(run)) >= _LEAST_DIFFERENT
        and _OF_EACH_KIND.match(run) is not None
        and _TURN.search(run) is not None
        and not run.startswith(_MANGLED)
    )


_SHORTEST_TOKEN, _MOST_WORDS, _LEAST_DIFFERENT = 20, 0.6, 11
_WORDS = re.compile(r"[A-Z](?=[a-z]{0,9}[aeiouy])[a-z]{2,}|(?=[a-z]{0,9}[aeiouy])[a-z]{3,}|[A-Z]{5,}|[0-9]{5,}")
_OF_EACH_KIND = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[^0-9]*[0-9]")
_TURN = re.compile(r"[a-z][0-9]?[A-Z]")
_MANGLED = ("_Z", "__Z", "_R")  # how compilers of C++ and Rust begin a name

TOKEN = Rule(
    "TOKEN",
    r"[0-9][A-Za-z0-9+/_-]*[a-z][0-9]?[A-Z]|[a-z][0-9]?[A-Z][A-Za-z0-9+/_-]*[0-9]",
    re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}+={0,2}", re.ASCII),
    _random_part,
)

SECRETS = (PASSWORD, AUTHORIZATION, SCHEME, COOKIE, NAMED, TOKEN)

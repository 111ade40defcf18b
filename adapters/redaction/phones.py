"""Phone numbers: by a shape that only they have, or by the words around them."""

import re

from adapters.redaction.rule import Rule, Span

_EXTENSION = r"(?:[ ]?(?:x|ext\.?)[ ]?\d{1,6})?"
_PART = r"(?:[ .()/-]{0,2}\d)"
_ENDED = r"(?![\w:@]|[.-]\d)"

# With a country's code, as in North America, with the area in brackets.
_SHAPES = (
    rf"\+[1-9]{_PART}{{7,14}}{_EXTENSION}",
    rf"00[1-9]\d{{0,2}}[ .-]\(?\d{_PART}{{6,12}}{_EXTENSION}",
    rf"(?:1[ .-])?(?:\(\d{{3}}\)[ ]?\d{{3}}[ .-]?|\d{{3}}-\d{{3}}-|\d{{3}}\.\d{{3}}\.)\d{{4}}{_EXTENSION}",
    rf"\((?:0[1-9]\d{{0,3}}|[1-9]\d{{1,3}})\)[ ]?\d{{2,4}}(?:[ -]\d{{2,4}}){{1,3}}{_EXTENSION}",
)
# With the nought of a trunk call, in groups that one sign parts.
_NATIONAL = (
    *(rf"0[1-9]\d{{0,3}}{gap}\d{{2,4}}(?:{gap}\d{{2,4}}){{1,3}}" for gap in ("[ ]", "[.]", "-")),
    r"0[1-9]\d{0,3}-\d{2,4}(?:[ ]\d{2,4}){1,3}",
    r"0[1-9]\d{1,3}[ -]\d{6,8}",
    r"0[1-9]\d{1,4}/\d{5,8}",
)


def _shaped(match: re.Match[str]) -> Span | None:
    """As many digits as are dialled, in no row of bytes, and no date."""
    groups = re.findall(r"\d+", match.group().partition("x")[0])
    digits = sum(map(len, groups))
    if not match.group().startswith("0") or match.group().startswith("00"):
        return match.span() if digits >= _FEWEST else None
    return match.span() if digits in _NATIONAL_DIGITS and not _is_date(groups) and not _is_in_row(match, groups) else None


_FEWEST, _NATIONAL_DIGITS = 8, range(9, 12)


def _is_date(groups: list[str]) -> bool:
    return len(groups) >= 3 and max(map(int, groups[:2])) <= 31 and re.fullmatch(r"(?:19|20)\d\d", groups[2]) is not None


def _is_in_row(match: re.Match[str], groups: list[str]) -> bool:
    """Whether pairs go on before or behind, as in a dump of bytes."""
    before, behind = match.string[max(0, match.start() - 3) : match.start()], match.string[match.end() : match.end() + 3]
    goes_on = re.fullmatch(r"[0-9A-Fa-f]{2}[ .-]", before) or re.match(r"[ .-][0-9A-Fa-f]{2}", behind)
    return goes_on is not None and all(len(each) == 2 for each in groups)


def _dialled(number: str) -> str:
    return re.sub(r"[^\d+x]", "", number)


PHONE = Rule(
    "PHONE",
    rf"(?:^|[^\w.+])(?:{'|'.join(_SHAPES)})|(?:^|[^\w.+#@/:=\-])(?:{'|'.join(_NATIONAL)})",
    re.compile(
        rf"(?:(?<![\w.+@/-])(?:{'|'.join(_SHAPES)})|(?<![\w.+\#@/:=-])(?:{'|'.join(_NATIONAL)})){_ENDED}",
        re.ASCII,
    ),
    _shaped,
    _dialled,
)

_DEVICE = r"(?:tele|cell)?phones?|mobile|fax|tel|gsm|whatsapp|viber|sms|hotline|landline|msisdn|desk|cell"
_SPEECH = (
    r"call(?:ing|ed)?|reach(?:ed|ing)?|answer(?:ing|s|ed)?|messages?|text(?:s|ed|ing)?|dial(?:led|ing)?|ring|contact|ask for"
    r"|registered|numbers?|line"
)
_WHOSE = r"(?:my|our|his|her|their|your)"
_TOLD = re.compile(
    rf"""(?:
        \b(?:{_DEVICE})(?:['’]s)?(?:[ ]\(\w{{1,12}}\))?
          (?:[ ](?:phone|numbers?|no|nr|num|line|is|was|are|at|to|on|for|sent|me)\b){{0,4}}
          (?:[ ]?[:=\#.–-]|(?<=[a-z])[ ](?=[\s(\d]|\Z))[\s"'(]{{0,4}}
        | \b(?:call(?:ing|ed)?|reach(?:ed|ing)?|answer(?:ing|s|ed)?|text(?:s|ed|ing)?|messages?|contact|ring|dial(?:led|ing)?)\b
          (?:[ ](?:me|us|him|her|them|back|sent|directly|urgently|anytime)){{0,3}}[ ](?:at|on|to|from|via|by)[ :]{{1,2}}
        | \b(?:call|text|dial|ring)\b(?:[ ](?:me|us|him|her|them|back)){{0,2}}[ :]{{1,2}}
        | \b(?:{_WHOSE}|registered|contact)[ ](?:\w{{1,16}}[ ])?(?:numbers?|line|no\.?|nr\.?)[ ]?(?:is[ ])?:?[ ]?
        | \bregistered[ :]{{1,2}}
        | \bask[ ]for[ ][\w. ]{{1,32}}[:,]?[ ](?:at[ ]|on[ ])?
    )(?:(?:<PHONE:\w{{8}}>|[\d ().+-]{{6,20}})[ ]?[,;/]?[ ]?(?:(?:or|and)[ ])?)?\Z""",
    re.IGNORECASE | re.VERBOSE,
)
_SAID = re.compile(
    rf"[,]?[ ](?:is|was)[ ](?:(?:{_WHOSE}|the|a)[ ])?(?:\w{{1,16}}[ ]){{0,2}}?(?:{_DEVICE}|numbers?|line)\b", re.IGNORECASE
)
_COUNT, _COUNTED = re.compile(r"\d{7,8}"), re.compile(r"[ ][a-z]{2,}s\b")
_SEEN_BEFORE, _SEEN_BEHIND = 80, 64


def _told(match: re.Match[str]) -> Span | None:
    """Seven digits and more, when the words before or behind say what they are, and not how many of something there are."""
    before = match.string[max(0, match.start() - _SEEN_BEFORE) : match.start()]
    behind = match.string[match.end() : match.end() + _SEEN_BEHIND]
    is_count = _COUNT.fullmatch(match.group()) and _COUNTED.match(behind)
    return match.span() if not is_count and (_TOLD.search(before) or _SAID.match(behind)) else None


_DIGITS = r"\d(?:[ .()/\-]{0,2}\d){4}"
_WORDS = rf"\b(?:{_DEVICE}|{_SPEECH})\b"

TOLD_PHONE = Rule(
    "PHONE",
    rf"(?i){_WORDS}(?s:.*){_DIGITS}|{_DIGITS}(?s:.*)\s(?:is|was)\s(?s:.*){_WORDS}",
    re.compile(rf"(?<![\w.+-])\(?\d{_PART}{{6,14}}{_EXTENSION}{_ENDED}", re.ASCII),
    _told,
    _dialled,
)

PHONES = (PHONE, TOLD_PHONE)

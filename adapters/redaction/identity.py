"""What an office gave out: social security numbers by range; driving licences and postal codes by the words beside them."""

import re

from adapters.redaction.rule import Rule, Span, last_group

_SECURITY_WORD = r"\b(?:ssn|itin|social[ -]security(?:[ -](?:number|no|num))?)\b"


def _security_number(match: re.Match[str]) -> Span | None:
    """Told in words any number will do; alone it must be in a range that is given out."""
    return last_group(match) if match.lastindex or is_given_out(match.group()) else None


def is_given_out(number: str) -> bool:
    area, group, serial = number.split("-")
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


SSN = Rule(
    "SSN",
    rf"(?i)\b\d{{3}}-\d{{2}}-\d{{4}}\b|{_SECURITY_WORD}(?s:.*)\d{{4}}",
    re.compile(
        rf"""{_SECURITY_WORD}
            [^\n\d]{{0,32}}\n?[^\n\d]{{0,4}}(\d{{3}}[ -]?\d{{2}}[ -]?\d{{4}})(?!\d)
            | (?<![\w-])\d{{3}}-\d{{2}}-\d{{4}}(?![\w-])""",
        re.IGNORECASE | re.ASCII | re.VERBOSE,
    ),
    _security_number,
    lambda number: re.sub(r"\D", "", number),
)

_DRIVERS = r"(?:driv(?:er|ing)(?:['’]?s['’]?)?[ _-](?:licen[cs]e|permit))"
_LICENCE_WORD = rf"\b(?:{_DRIVERS}|(?:licen[cs]e|permit|dl)[ _-](?:number|no|num|id)|dl(?:[ ]?[:\#]))"
_LICENCE = r"(?<![\w.-])((?=[A-Z0-9*-]{0,16}\d{3})[A-Z0-9][A-Z0-9*-]{4,19}(?:[ ]\d{3,5}){0,3})(?![\w-])"

LICENCE = Rule(
    "LICENCE",
    rf"(?i){_LICENCE_WORD}(?s:.*)\d{{3}}|\d{{3}}(?s:.*){_DRIVERS}",
    re.compile(
        rf"""{_LICENCE_WORD}[^\n]{{0,32}}?\n?{_LICENCE}
            | {_LICENCE}(?=,?[ ](?:is|was)[ ](?:\w{{1,16}}['’]?s?[ ]){{1,3}}{_DRIVERS})""",
        re.IGNORECASE | re.ASCII | re.VERBOSE,
    ),
    normal=lambda number: re.sub(r"[ -]", "", number).upper(),
)

_CODE_WORD = r"(?:(?:zip|postal|post)[ _-]?codes?|plz|postleitzahl|cep)"
_POSTAL_CODE = "|".join(
    (
        r"\d{5}-\d{3,4}",
        r"\d{2}-\d{3}",
        r"\d{3}[ ]\d{2}",
        r"\d{4}[ ]?[A-Z]{2}",
        r"\d{3,7}",
        r"[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}",
        r"[A-Z]\d[A-Z][ -]?\d[A-Z]\d",
        r"[A-Z]{1,2}[ -]\d{4,5}",
    )
)

ZIP = Rule(
    "ZIP",
    rf"(?i)\b(?:{_CODE_WORD}|zip)\b(?s:.*)\d|\d(?s:.*)\b(?:{_CODE_WORD}|zip)\b",
    re.compile(
        rf"""\b(?:{_CODE_WORD}\b|zip\b(?=[ ]?[:=\#]|[ ]is\b|["']|[ ]\d{{5}}(?:-\d{{4}})?\b(?![ ][a-z]|[.]\d)))
            (?:[ ](?:is|are|was|to|of|at|in|for|my|new|area|number)\b){{0,3}}[\s:=\#"'(]{{1,4}}({_POSTAL_CODE})(?![\w-]|[.]\d)
            | (?<![\w.-])({_POSTAL_CODE})(?=,?[ ](?:is|was)[ ](?:\w{{1,16}}['’]?s?[ ]){{1,3}}(?:{_CODE_WORD}|zip)\b)""",
        re.IGNORECASE | re.ASCII | re.VERBOSE,
    ),
    normal=LICENCE.normal,
)

IDENTITY = (SSN, LICENCE, ZIP)

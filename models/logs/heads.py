"""What a logger writes before the message: time, level, thread, logger; syslog's and others' heads.

A head is read piece by piece from the left, each piece by a pattern of bounded length, and only where there is no doubt:
what is not surely of the head stays in the message.
"""

import re
from typing import NamedTuple

from models.logs.levels import Level, of_letter, of_syslog, of_word
from models.logs.traces.contract import is_error

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|(?:19|20)\d{6}(?=[T -]\d{1,2}:|T\d{6})|\d{1,2}/(?:\d{1,2}|[A-Z][a-z]{2})/\d{2,4}"
    rf"|\d{{1,2}}-\d{{1,2}}(?= \d\d:)|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?{_MONTH} {{1,2}}\d{{1,2}},?(?: \d{{4}})?"
    rf"|\d{{1,2}} {_MONTH} \d{{4}}"
)
_FRACTION = r"(?:[.,:]\d{1,9})?(?: ?[AP]M\b)?"
_CLOCK_OF_A_DATE = rf"(?:\d{{1,2}}:\d{{1,2}}:\d{{1,2}}|(?<=T)\d{{6}}){_FRACTION}"
_CLOCK = rf"\d{{1,2}}:\d\d:\d\d{_FRACTION}"
_ZONE = r" ?(?:Z|UTC|GMT|CET|CEST|[ECMP][SD]T|[+-]\d\d:?\d\d)(?![A-Za-z0-9])"
_TIME = re.compile(
    rf"\[?(?:(?:{_DATE})(?:(?:[T :-]|, ?){_CLOCK_OF_A_DATE})?|{_CLOCK})(?:{_ZONE})?(?: (?:19|20)\d\d(?=[\]\s]))?"
    r"(?=[\s\],|:;-]|$)"
)
_MAY_BE_TIME = frozenset("0123456789[JFMASONDTW")

_WORDS = (
    "TRACE|TRC|VERBOSE|VRB|DEBUG|DBG|FINE|FINER|FINEST|INFO|INF|NOTICE|WARNING|WARN|WRN|ERROR|ERR|SEVERE|CRITICAL|CRIT|FATAL"
    "|FTL|ALERT|EMERG|EMERGENCY|PANIC|DPANIC"
)
_LEVEL = re.compile(
    rf"({_WORDS})(?=[\s:\]|>]|$)|({_WORDS.lower()}|LOG)(?=:\s)|[\[(<]\s?(?:[a-z_0-9]{{1,30}}:)?((?i:{_WORDS}))\s{{0,3}}[\])>]"
)
_STARTS_LEVEL = frozenset("TVDFINWESCAPtvdfinwescap[(<")
_BRACKETS = r"\[(?:[^\[\]]|\[[^\[\]]{0,80}\]){0,400}\]"
_SEPARATOR = r"[-|:;,\]–—]{1,3}"
_BEFORE_LEVEL = re.compile(
    rf"{_BRACKETS}:?|\(\S{{1,60}}\)|\d{{1,10}}(?:#\d{{1,10}})?(?=[\s:])|{_SEPARATOR}(?=\s)"
    r"|[\w.$/@-]{1,100}(?= [-|] )|\w{1,60}@\w{1,60}"
)
_NAME = r"(?:[A-Za-z_][\w-]{0,80}(?:\.|::|/|#|\$|@)){1,12}[\w<>-]{1,80}(?::\d{1,6})?"
_CALLER = r"[\w.<>]{1,80}:[\w<>]{1,80}:\d{1,6}"
_AFTER_LEVEL = re.compile(
    rf"[\]:)>]?\s{{0,8}}(?:\| )?(?:\d{{1,10}} --- )?(?:{_BRACKETS}\s{{0,4}}){{0,2}}(?:({_NAME}|{_CALLER})\s{{0,40}})?"
    rf"(?:[-:|](?=\s)|\](?=\s)|\t|(?(1)(?<=\s){_BRACKETS}(?=\s)|(?!)))\s{{0,8}}"
)
_SPACE = re.compile(r"[\s:\]|)>-]{0,16}")

_PRIORITY = re.compile(r"<(\d{1,3})>(?:1 (?=\S))?")
_RFC5424 = re.compile(r"\s(\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) (?:-|\[.{0,500}?\]) ?(?:\ufeff)?(?=\S|$)")
_TAG = re.compile(rf"\s(?!(?:{_WORDS})\b)[\w.:-]{{1,255}} [\w./@-]{{1,64}}(?:\(\w{{1,40}}\))?(\[\d{{1,10}}\])?: ")
_SOURCE = re.compile(r"\S{1,150}(?:\s{1,20}\|)?\s(?=[\d\[JFMASONDTW])")
_PIPED = re.compile(r"\|((?:\s?[^\s|]{0,80}\s?\|){1,6})")
_STREAM = re.compile(r"\s(?:stdout|stderr) [FP] ")
_ANDROID = re.compile(r"\s+\d{1,6}\s+\d{1,6} ([VDIWEF]) [^:]{1,60}: ")
_KLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d{1,10} [^\]\s]{1,100}\] ")
_RUBY = re.compile(r"([DIWEF]), \[[^\]]{1,60}\] {1,2}[A-Z]{1,8} -- [^:]{0,60}: ")
_PYTHON = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]{1,100}:")
_DOTNET = re.compile(r"(trce|dbug|info|warn|fail|crit): [\w.`+<>]{1,200}\[\d{1,10}\]\s*$")
_WHOLE = ((_KLOG, of_letter), (_RUBY, of_letter), (_PYTHON, of_word), (_DOTNET, of_word))
_MOST_PIECES = 6
_MOST_HEADS = 3


class Head(NamedTuple):
    """`ends` is where the message begins."""

    level: Level | None
    ends: int


def head(line: str) -> Head:
    """The head of a line, which may be empty; one that a collector wrote before the logger's own belongs to it."""
    level, ends = None, 0
    for _ in range(_MOST_HEADS):
        is_collectors = line.startswith("<", ends)
        found = _one(line, ends)
        if found is None or found.ends == ends:
            break
        level, ends = found.level or level, found.ends
        if found.level is not None and not is_collectors:
            break
    return Head(level, ends)


def _one(line: str, start: int) -> Head | None:
    initial = line[start : start + 1]
    if initial == "<" and (priority := _PRIORITY.match(line, start)) is not None:
        return _syslog(line, priority)
    if initial in _MAY_BE_TIME and (time := _TIME.match(line, start)) is not None:
        return _after_time(line, time.end())
    found = _whole(line, start) or _at_level(line, start) if initial in _STARTS_LEVEL else None
    return found or (_after_source(line) if start == 0 else None)


def _after_source(line: str) -> Head | None:
    """The head of a line before which somebody wrote where it is from; only where a time and a level follow."""
    source = _SOURCE.match(line)
    time = _TIME.match(line, source.end()) if source else None
    return _before_level(line, time.end()) if time else None


def _syslog(line: str, priority: re.Match[str]) -> Head:
    level, ends = of_syslog(int(priority[1]) & 7), priority.end()
    time = _TIME.match(line, ends)
    if time is not None:
        ends = time.end()
        rest = _RFC5424.match(line, ends) or _TAG.match(line, ends)
        ends = rest.end() if rest else _skip(line, ends)
    return Head(level, ends)


def _after_time(line: str, start: int) -> Head:
    if (found := _STREAM.match(line, start)) is not None:
        return Head(None, found.end())
    if (found := _TAG.match(line, start)) is not None and (found[1] or line[0].isalpha()):
        return Head(None, found.end())
    if (found := _ANDROID.match(line, start)) is not None:
        return Head(of_letter(found[1]), found.end())
    if (found := _PIPED.match(line, start)) is not None:
        return Head(next(filter(None, map(of_word, found[1].split("|"))), None), found.end())
    return _before_level(line, start) or Head(None, _skip(line, start))


def _before_level(line: str, start: int) -> Head | None:
    place = _skip(line, start)
    for _ in range(_MOST_PIECES):
        if (found := _at_level(line, place)) is not None:
            return found
        piece = _BEFORE_LEVEL.match(line, place)
        if piece is None:
            return None
        place = _skip(line, piece.end())
    return None


def _at_level(line: str, start: int) -> Head | None:
    level = _LEVEL.match(line, start)
    if level is None:
        return None
    rest = _AFTER_LEVEL.match(line, level.end())
    ends = _skip(line, level.end()) if rest is None or is_error(rest[1] or "") else rest.end()
    return Head(of_word(level[level.lastindex or 0]), ends)


def _skip(line: str, start: int) -> int:
    space = _SPACE.match(line, start)
    return space.end() if space else start


def _whole(line: str, start: int) -> Head | None:
    for pattern, level in _WHOLE:
        if (found := pattern.match(line, start)) is not None:
            return Head(level(found[1]), found.end())
    return None

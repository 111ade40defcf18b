"""How bad a record is said to be: one scale for the words and the numbers that loggers have for it."""

from enum import StrEnum


class Level(StrEnum):
    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def is_bad(self) -> bool:
        return self in _BAD


_BAD = frozenset({Level.WARNING, Level.ERROR, Level.CRITICAL})
_WORDS = {
    Level.TRACE: "trace trce trc verbose vrb finest finer all",
    Level.DEBUG: "debug dbug dbg fine config",
    Level.INFO: "info inf information informational notice note log ok success audit",
    Level.WARNING: "warning warn wrn warnings",
    Level.ERROR: "error err eror fail failure failed severe",
    Level.CRITICAL: "critical crit fatal ftl panic dpanic alert emergency emerg crash",
}
_LEVELS = {word: level for level, words in _WORDS.items() for word in words.split()}
_LETTERS = {"V": Level.TRACE, "D": Level.DEBUG, "I": Level.INFO, "W": Level.WARNING, "E": Level.ERROR, "F": Level.CRITICAL}
_SYSLOG = (*[Level.CRITICAL] * 3, Level.ERROR, Level.WARNING, Level.INFO, Level.INFO, Level.DEBUG)
_OTEL = ((21, Level.CRITICAL), (17, Level.ERROR), (13, Level.WARNING), (9, Level.INFO), (5, Level.DEBUG), (1, Level.TRACE))
_BUNYAN = ((60, Level.CRITICAL), (50, Level.ERROR), (40, Level.WARNING), (30, Level.INFO), (20, Level.DEBUG), (8, Level.TRACE))
_PYTHON = ((50, Level.CRITICAL), (40, Level.ERROR), (30, Level.WARNING), (20, Level.INFO), (10, Level.DEBUG), (1, Level.TRACE))


def of_word(word: str) -> Level | None:
    return _LEVELS.get(word.strip().lower())


def of_letter(letter: str) -> Level | None:
    """The letter of Android's, Kubernetes' and Ruby's loggers."""
    return _LETTERS.get(letter)


def of_syslog(number: int) -> Level | None:
    """RFC 5424: 0 is an emergency and 7 is for debugging; of a priority, the last three bits."""
    return _SYSLOG[number] if 0 <= number < len(_SYSLOG) else None


def of_otel(number: int) -> Level | None:
    """OpenTelemetry's `SeverityNumber`, 1 to 24."""
    return _at_least(_OTEL, number)


def of_python(number: int) -> Level | None:
    """The `levelno` of Python's logging."""
    return _at_least(_PYTHON, number)


def of_number(number: int) -> Level | None:
    """A number under a name that does not say whose: bunyan's and pino's begin at 10, those of syslog end at 7."""
    return of_syslog(number) if number < len(_SYSLOG) else _at_least(_BUNYAN, number)


def _at_least(steps: tuple[tuple[int, Level], ...], number: int) -> Level | None:
    return next((level for least, level in steps if number >= least), None)

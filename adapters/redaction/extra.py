"""The rules that an org adds: a kind and a pattern of RE2, which no text makes slow."""

import re
from typing import Annotated, cast

import re2
from pydantic import StringConstraints, field_validator

from adapters.redaction.rule import Rule
from domain.base import Value


class ExtraRule(Value):
    """What the pattern marks with its last group, or all that it finds, is taken out."""

    kind: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{1,15}$")]
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=1000)]

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        try:
            finds_nothing = _compiled(pattern).search("") is not None
        except re2.error as error:
            raise ValueError(f"expected a pattern of RE2: {error}") from error
        if finds_nothing:
            raise ValueError("expected a pattern that finds something, got one that finds the empty text")
        return pattern

    def rule(self) -> Rule:
        return Rule(self.kind, self.pattern, _compiled(self.pattern))


def _compiled(pattern: str) -> re.Pattern[str]:
    """RE2's patterns answer to the same names as those of `re`."""
    options = re2.Options()
    options.log_errors = False
    return cast(re.Pattern[str], re2.compile(pattern, options))

"""What an org has taken out of its signals beside credentials and personal data."""

from typing import Annotated

from pydantic import Field, StringConstraints

from domain.base import Value

MOST_RULES = 50


class RedactionRule(Value):
    """What the pattern marks with its last group, or all that it finds, is shown as `<KIND:digits>`. The pattern is RE2's."""

    kind: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{1,15}$")]
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class RedactionPolicy(Value):
    """The org's own rules, and whether IP addresses are taken out as well."""

    rules: tuple[RedactionRule, ...] = Field(default=(), max_length=MOST_RULES)
    hide_ips: bool = True


class RedactionFlaw(Value):
    """What is wrong with a rule; `pointer` says with which."""

    pointer: str
    reason: str

"""What every word of the domain is made of: frozen values, typed ids, UTC time."""

from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(10 * (_LENGTH // 2 - 1), -1, -10)


class Id(UUID):
    """A UUID that knows what it names: `inc_06c2…` in JSON and to people, a plain UUID to the database.

    Subclasses set `prefix`. The shown form is the prefix, `_` and the 128 bits in Crockford's base 32,
    lower case, 26 characters. A plain UUID string is accepted as input too.
    """

    prefix: ClassVar[str]

    @property
    def shown(self) -> str:
        number = self.int
        return f"{self.prefix}_{''.join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])}"

    @classmethod
    def of(cls, value: "str | UUID") -> Self:
        """The id written as `value`.

        Raises:
            ValueError: `value` is neither this kind's shown form nor a UUID.
        """
        if isinstance(value, UUID):
            return cls(int=value.int)
        if value.startswith(f"{cls.prefix}_"):
            return cls(int=_number(value.removeprefix(f"{cls.prefix}_")))
        if len(value) == 36:
            return cls(value)
        raise ValueError(f"expected an id like {cls.prefix}_ and {_LENGTH} letters or digits")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(lambda v: v.shown, when_used="json")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "title": cls.__name__, "examples": [f"{cls.prefix}_{'0' * _LENGTH}"]}

    @classmethod
    def _validate(cls, value: Any) -> Self:
        if isinstance(value, str | UUID):
            return cls.of(value)
        raise ValueError(f"expected an id like {cls.prefix}_…")


def _number(letters: str) -> int:
    if len(letters) != _LENGTH or letters[0] not in "01234567" or set(letters) - set(_ALPHABET):
        raise ValueError(f"expected {_LENGTH} letters or digits after the prefix")
    number = 0
    for letter in letters:
        number = number * 32 + _ALPHABET.index(letter)
    return number


class OrgId(Id):
    prefix = "org"


class PrincipalId(Id):
    prefix = "prn"


class TokenId(Id):
    prefix = "tok"


class PipelineId(Id):
    prefix = "pip"


class WorkflowId(Id):
    prefix = "wfl"


class ExecutionId(Id):
    prefix = "exe"


class ConnectorId(Id):
    prefix = "con"


class DeliveryId(Id):
    prefix = "dlv"


class SignalId(Id):
    prefix = "evt"


class AnomalyId(Id):
    prefix = "ano"


class IncidentId(Id):
    prefix = "inc"


class EvidenceId(Id):
    prefix = "evd"


class HypothesisId(Id):
    prefix = "hyp"


class PlanId(Id):
    prefix = "plan"


class PreflightId(Id):
    prefix = "pre"


class ApprovalId(Id):
    prefix = "apr"


class RequestId(Id):
    """A stored wish to decide; see `domain.approval`."""

    prefix = "req"


class GrantId(Id):
    prefix = "grt"


class CommandId(Id):
    prefix = "cmd"


class DecisionId(Id):
    prefix = "dec"


class ResumptionId(Id):
    prefix = "rsm"


class RecoveryId(Id):
    prefix = "rcv"


class KillSwitchId(Id):
    prefix = "ksw"


class OperationId(Id):
    prefix = "opr"


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Instant = AwareDatetime


class Value(BaseModel):
    """A fact that never changes; an unknown field is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

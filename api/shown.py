"""What the API shows of a domain value: the same facts under the names that the documents print."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, AwareDatetime, StringConstraints

from domain.base import Value

_EARLIEST, _LATEST = 1970, 2200


class Shown(Value):
    """Subclasses name their fields; `names` says which domain field a shown one comes from, when it is another."""

    names: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def of(cls, value: Value) -> Self:
        """The shown form of `value`; what has no field here stays hidden."""
        return cls.model_validate({name: getattr(value, cls.names.get(name, name)) for name in cls.model_fields})


def _in_our_times(moment: AwareDatetime) -> AwareDatetime:
    if not _EARLIEST <= moment.year <= _LATEST:
        raise ValueError(f"expected a year from {_EARLIEST} to {_LATEST}")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_our_times)]
"""A time that somebody sent: any zone fits it, and so does the database."""

Short = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Reason = Annotated[str, StringConstraints(max_length=2_000)]

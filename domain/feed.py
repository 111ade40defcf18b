"""The change feed of a PostgreSQL database: what of it is followed, how it is reached, and what it tells."""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, StringConstraints, model_validator

from domain.base import Value
from domain.errors import InvalidError

_NAME = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
DatabaseName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
TableName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(\.{_NAME})?$")]
TLS = ("require", "verify-full", "disable")
_EXPECTED = "expected postgresql://user:password@host:port/database, and behind it at most ?sslmode=" + "|".join(TLS)
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)
_PORT = 5432


class Feed(Value):
    """The `channels` to listen on. Of `table` what was written meanwhile is read after every connection that was lost.

    `since` is the column of it that grows with every change: what is larger than the last value seen is read.
    `verdicts` is a table of the same database that what we think of its incidents is written to.
    """

    channels: Annotated[tuple[DatabaseName, ...], Field(min_length=1, max_length=16)]
    table: TableName | None = None
    since: DatabaseName | None = None
    verdicts: TableName | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.table is None) != (self.since is None):
            raise ValueError("expected both `table` and `since`, or neither")
        if self.table is not None and self.verdicts is not None and self.place == place_of(self.verdicts):
            raise ValueError(
                "expected `verdicts` to be another table than `table`: what is written there is no change to follow"
            )
        return self

    @property
    def place(self) -> tuple[str, str]:
        """Schema and table; without a schema it is `public`."""
        return place_of(self.table or "")

    def is_ours(self, notice: "Notice") -> bool:
        """Whether it tells of a row of `verdicts`: who follows what he writes himself has no end of it."""
        if self.verdicts is None:
            return False
        said = _said(notice)
        return said is not None and (said.get("schema"), said.get("table")) == place_of(self.verdicts)


def place_of(table: TableName) -> tuple[str, str]:
    """Schema and table; without a schema it is `public`."""
    schema, _, name = table.rpartition(".")
    return schema or "public", name


class Fed(Value):
    """How a connection has ended: it goes on, unless it `is_over` as the connector is paused or gone.

    `is_lost`: the database could not be reached, or no longer once it `has_begun`.
    """

    is_over: bool = False
    is_lost: bool = False
    has_begun: bool = False


@dataclass(frozen=True)
class Notice:
    """What a database tells: the payload of a NOTIFY on a channel, or a row that was read, as its trigger would tell of it."""

    channel: str
    payload: str


@dataclass(frozen=True)
class Change:
    """What a notice tells of a row of the watched table.

    `position` is its `since`. `is_unread`: the notice does not hold the row, which has to be read. `is_known_by_row`: it is the
    same whether it was notified or read, as its `since` tells it from the row before.
    """

    position: str | None
    is_unread: bool
    is_known_by_row: bool

    @classmethod
    def of(cls, feed: Feed, notice: Notice) -> "Change | None":
        """None: it tells of something else."""
        said = _said(notice)
        if feed.since is None or said is None or (said.get("schema"), said.get("table")) != feed.place:
            return None
        if said.get("type") == "DELETE":
            return None
        before, after = (_since(said.get(name), feed.since) for name in ("old_record", "record"))
        return cls(position=after, is_unread=said.get("record") is None, is_known_by_row=after is not None and before != after)


@dataclass(frozen=True)
class Missed:
    """Some rows in the order of `since`, and the value of the last of them."""

    rows: tuple[Notice, ...]
    position: str


class DatabaseAddress(Value):
    """Where a database is and who logs in there; `tls` is one of `TLS`."""

    host: str
    port: int
    user: str
    password: SecretStr
    database: str
    tls: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Raises InvalidError: it is no such address; the error repeats nothing of it."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _PORT
            asked = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
            said: dict[str, Any] = {
                "user": unquote(parts.username or "", errors="strict"),
                "password": unquote(parts.password or "", errors="strict"),
                "database": unquote(parts.path.removeprefix("/"), errors="strict"),
            }
        except ValueError:
            raise InvalidError(_EXPECTED, pointer="/secret") from None
        tls = asked.pop("sslmode", TLS[0])
        is_right = parts.scheme in {"postgresql", "postgres"} and _HOST.fullmatch(host) and not parts.fragment
        if not is_right or not all(said.values()) or "\x00" in "".join(said.values()) or asked or tls not in TLS:
            raise InvalidError(_EXPECTED, pointer="/secret")
        return cls(host=host, port=port, tls=tls, **said)


def _said(notice: Notice) -> dict[str, Any] | None:
    try:
        said = json.loads(notice.payload)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _since(row: object, column: str) -> str | None:
    value = row.get(column) if isinstance(row, dict) else None
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None

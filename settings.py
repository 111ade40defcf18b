"""The only reader of the environment: one frozen `Settings`, checked at start, with name and reason of what is wrong."""

import os
import re
from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.base import Name
from domain.errors import InvalidError
from domain.units import Duration

PREFIX = "SUTURE_"
QUEUES = ("scheduler", "orchestrator", "io", "inference", "replay")
"""The task queues with work, besides `execute-{environment}`."""

OTHERS = frozenset(
    PREFIX + name for name in ("CODE", "CONFIG", "INPUTS", "OUTPUTS", "SECRETS", "STEP_KEY", "STEP_VERSION", "DRY_RUN", "FULL")
)
"""Variables of ours that are no settings: what a stage is told, and whether fault tests run with full counts."""

_EXECUTES = re.compile(r"execute-[a-z0-9][a-z0-9-]{0,62}")


def _checked_queues(queues: tuple[str, ...]) -> tuple[str, ...]:
    if any(queue not in QUEUES and _EXECUTES.fullmatch(queue) is None for queue in queues):
        raise ValueError(f"expected some of {', '.join(QUEUES)}, execute-ENVIRONMENT")
    if len(set(queues)) < len(queues):
        raise ValueError("expected each queue once")
    return queues


def _checked_database(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        is_good = parts.scheme == "postgresql+asyncpg" and len(parts.path) > 1 and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError("expected postgresql+asyncpg://user:password@host:port/database")
    return url


Database = Annotated[SecretStr, AfterValidator(_checked_database)]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+\S*$")]
Address = Annotated[str, StringConstraints(pattern=r"^[^\s/]+:[0-9]{1,5}$")]


class Settings(BaseSettings):
    """Each field is the environment variable `SUTURE_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    data: Path = Field(default=Path("~/.local/share/suture"), description="where everything on one machine keeps its state")
    region: str = Field(default="local", description="the region this installation runs in")

    database_admin_url: Database | None = Field(default=None, description="owner of the schema; only provisioning uses it")
    database_url: Database | None = Field(default=None, description="the application's role")
    database_relay_url: Database | None = Field(default=None, description="the relay's role")
    database_upkeep_url: Database | None = Field(default=None, description="the role that removes what has served")
    database_platform_url: Database | None = Field(default=None, description="the platform's role")
    database_pool: Annotated[int, Field(ge=2, le=100, description="connections of one process")] = 8

    temporal_address: Address | None = Field(default=None, description="host:port of the engine")
    temporal_namespace: str = "default"
    temporal_ui_url: HttpUrl | None = Field(default=None, description="where people open the engine's Web UI")
    temporal_tls_ca: Path | None = None
    temporal_tls_cert: Path | None = None
    temporal_tls_key: Path | None = None

    opa_url: HttpUrl | None = Field(default=None, description="the policy engine")
    master_key_file: Path | None = Field(default=None, description="wraps every org's key; mode 0600")
    signing_key_file: Path | None = Field(default=None, description="signs receipts and checkpoints; mode 0600")
    hmac_key_file: Path | None = Field(default=None, description="behind the HMACs of tokens; mode 0600")
    checkpoints: Path | None = Field(default=None, description="where signed checkpoints of ledgers are kept")
    blobs: Path | None = Field(default=None, description="stored code and outputs")
    workspace: Path | None = Field(default=None, description="where stages run")
    stage_python: Path | None = Field(default=None, description="the interpreter `python` means in a stage")

    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    api_url: HttpUrl = Field(default="http://127.0.0.1:8080", description="where people reach the API")
    token: SecretStr | None = Field(default=None, description="the token the command line uses")
    metrics_host: str = Field(default="127.0.0.1", description="the address on which a process shows its metrics")
    metrics_port: Annotated[int, Field(ge=0, le=65535, description="the engine SDK's metrics; 0 chooses none")] = 0
    worker_metrics_port: Annotated[int, Field(ge=0, le=65535, description="a worker's own metrics; 0 chooses none")] = 0

    queues: Annotated[tuple[str, ...], NoDecode, AfterValidator(_checked_queues)] = Field(
        default=(), description="task queues one worker serves, comma-separated"
    )
    environments: Annotated[tuple[Name, ...], NoDecode] = ("dev", "staging", "prod")
    reachable: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(), description="private networks that connectors may name, as 10.0.0.0/8, comma-separated"
    )
    lease: Duration = Field(default=timedelta(seconds=30), description="how long a silent worker keeps its target")
    watch_quiet: Duration = Field(
        default=timedelta(seconds=30), description="a service this silent is not watched, till it speaks"
    )
    keep_signals: Duration = Field(default=timedelta(days=30), description="a month of signals goes when it is that old")
    keep_minutes: Duration = Field(default=timedelta(days=90), description="how long signals of a minute are kept as a sum")
    keep_five_minutes: Duration = Field(default=timedelta(days=400), description="how long those of five minutes are")
    ready_file: Path | None = Field(default=None, description="written by a worker once it serves its queues")
    workflow_cache: Annotated[int, Field(ge=0, le=100_000)] = 500
    execute_workers: Annotated[int, Field(ge=1, le=16)] = 2

    temporal_path: Path | None = Field(default=None, description="the engine's command line, instead of looking for it")
    opa_path: Path | None = Field(default=None, description="the policy engine's binary, instead of looking for it")
    download: bool = Field(default=True, description="whether tools may be fetched from their vendors")
    otlp_endpoint: HttpUrl | None = Field(default=None, description="where traces go; none keeps them in the process")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"

    @field_validator("queues", "environments", "reachable", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("data", mode="after")
    @classmethod
    def _expanded(cls, value: Path) -> Path:
        return value.expanduser()

    @classmethod
    def settings_names(cls) -> frozenset[str]:
        return frozenset(f"{PREFIX}{name.upper()}" for name in cls.model_fields)


def load() -> Settings:
    """The settings of this process.

    Raises:
        InvalidError: names each variable that is wrong, and why, never its value.
    """
    flaws = [_unknown(name) for name in sorted(_strangers(os.environ))]
    try:
        chosen = Settings()
    except ValidationError as error:
        flaws += [f"{PREFIX}{str(each['loc'][0]).upper()}: {_reason(each['msg'])}" for each in error.errors()]
    if flaws:
        raise InvalidError(f"settings: {'; '.join(flaws)}")
    return chosen


def _strangers(names: Iterable[str]) -> set[str]:
    """Names that look like settings and are none: a misspelt one would count for nothing, without a word."""
    known = Settings.settings_names() | OTHERS
    return {name for name in names if name.upper().startswith(PREFIX) and name.upper() not in known}


def _unknown(name: str) -> str:
    close = get_close_matches(name.upper(), Settings.settings_names(), n=1)
    return f"{name}: no setting is called so" + (f", did you mean {close[0]}?" if close else "")


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")

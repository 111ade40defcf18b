"""The only reader of the environment: one frozen `Settings`, checked at start, with name and reason of what is wrong."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.errors import InvalidError
from domain.units import Duration


class Settings(BaseSettings):
    """Each field is the environment variable `SUTURE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SUTURE_", frozen=True, extra="ignore", hide_input_in_errors=True)

    data: Path = Field(default=Path("~/.local/share/suture"), description="where everything on one machine keeps its state")
    region: str = Field(default="local", description="the region this installation runs in")

    database_admin_url: SecretStr | None = Field(default=None, description="owner of the schema; only provisioning uses it")
    database_url: SecretStr | None = Field(default=None, description="the application's role")
    database_relay_url: SecretStr | None = Field(default=None, description="the relay's role")
    database_upkeep_url: SecretStr | None = Field(default=None, description="the role that removes what has served")
    database_platform_url: SecretStr | None = Field(default=None, description="the platform's role")
    database_pool: Annotated[int, Field(ge=2, le=100, description="connections of one process")] = 8

    temporal_address: str | None = Field(default=None, description="host:port of the engine")
    temporal_namespace: str = "default"
    temporal_ui_url: str | None = Field(default=None, description="where people open the engine's Web UI")
    temporal_tls_ca: Path | None = None
    temporal_tls_cert: Path | None = None
    temporal_tls_key: Path | None = None

    opa_url: str | None = Field(default=None, description="the policy engine")
    master_key_file: Path | None = Field(default=None, description="wraps every org's key; mode 0600")
    signing_key_file: Path | None = Field(default=None, description="signs receipts and checkpoints; mode 0600")
    hmac_key_file: Path | None = Field(default=None, description="behind the HMACs of tokens; mode 0600")
    checkpoints: Path | None = Field(default=None, description="where signed checkpoints of ledgers are kept")
    blobs: Path | None = Field(default=None, description="stored code and outputs")
    workspace: Path | None = Field(default=None, description="where stages run")
    stage_python: Path | None = Field(default=None, description="the interpreter `python` means in a stage")

    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    api_url: str = Field(default="http://127.0.0.1:8080", description="where people reach the API")
    token: SecretStr | None = Field(default=None, description="the token the command line uses")
    metrics_host: str = Field(default="127.0.0.1", description="the address on which a process shows its metrics")
    metrics_port: Annotated[int, Field(ge=0, le=65535, description="the engine SDK's metrics; 0 chooses none")] = 0
    worker_metrics_port: Annotated[int, Field(ge=0, le=65535, description="a worker's own metrics; 0 chooses none")] = 0

    queues: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="task queues one worker serves, comma-separated"
    )
    environments: Annotated[tuple[str, ...], NoDecode] = ("dev", "staging", "prod")
    lease: Duration = Field(default=timedelta(seconds=30), description="how long a silent worker keeps its target")
    ready_file: Path | None = Field(default=None, description="written by a worker once it serves its queues")
    workflow_cache: Annotated[int, Field(ge=0, le=100_000)] = 500
    execute_workers: Annotated[int, Field(ge=1, le=16)] = 2

    temporal_path: Path | None = Field(default=None, description="the engine's command line, instead of looking for it")
    opa_path: Path | None = Field(default=None, description="the policy engine's binary, instead of looking for it")
    download: bool = Field(default=True, description="whether tools may be fetched from their vendors")
    otlp_endpoint: str | None = Field(default=None, description="where traces go; none keeps them in the process")
    log_level: str = "INFO"

    @field_validator("queues", "environments", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("data", mode="after")
    @classmethod
    def _expanded(cls, value: Path) -> Path:
        return value.expanduser()

    @classmethod
    def settings_names(cls) -> frozenset[str]:
        return frozenset(f"SUTURE_{name.upper()}" for name in cls.model_fields)


def load() -> Settings:
    """The settings of this process.

    Raises:
        InvalidError: names each variable that is wrong, and why, never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        reasons = "; ".join(f"SUTURE_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors())
        raise InvalidError(f"settings: {reasons}") from error

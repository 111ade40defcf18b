"""The Temporal dev server on a file of its own, with the Web UI, and well only when its gRPC door is."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import ConnectConfig, RPCError, ServiceClient, TLSConfig

from domain.base import Value
from domain.errors import InvalidError
from stack.child import ChildSpec
from stack.ports import LOOPBACK

NAMESPACE = "default"
_PROBE_WITHIN = timedelta(seconds=2)
_PRAGMAS = ("journal_mode=wal", "synchronous=normal")
# One shard does all the work here, and the defaults for hundreds of shards make every dispatch wait 50 ms.
_POLLS = {
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "500",
}
_SKIPPING = {"frontend.WorkflowTimeSkippingEnabled": "true"}


class Engine:
    """`search_attributes` maps a name to its type. `time_skipping` is for tests."""

    def __init__(
        self,
        program: Path,
        data: Path,
        *,
        port: int,
        ui_port: int,
        search_attributes: Mapping[str, str],
        codec_endpoint: str | None = None,
        time_skipping: bool = False,
    ) -> None:
        self._program = program
        self._folder = data / "temporal"
        self._ports = (port, ui_port)
        self._search_attributes = search_attributes
        self._codec_endpoint = codec_endpoint
        self._dynamic = _POLLS | (_SKIPPING if time_skipping else {})
        self._door = Door(self.address)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self._ports[0]}"

    @property
    def ui_url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports[1]}"

    def spec(self) -> ChildSpec:
        self._folder.mkdir(exist_ok=True, mode=0o700)
        return ChildSpec(
            name="temporal",
            argv=(str(self._program), "server", "start-dev", *self._options()),
            # A clean environment: a developer's TEMPORAL_* variables are not meant for this server.
            env={"PATH": "/usr/bin:/bin", "HOME": str(self._folder), "TZ": "UTC"},
            cwd=self._folder,
        )

    async def is_ready(self) -> bool:
        return await self._door.answers()

    def _options(self) -> tuple[str, ...]:
        port, ui_port = self._ports
        options = ["--ip", LOOPBACK, "--port", str(port), "--ui-port", str(ui_port), "--ui-disable-news-fetch"]
        options += ["--db-filename", str(self._folder / "temporal.sqlite"), "--log-level", "warn"]
        options += _each("--sqlite-pragma", _PRAGMAS)
        options += _each("--dynamic-config-value", (f"{key}={value}" for key, value in self._dynamic.items()))
        options += _each("--search-attribute", (f"{key}={kind}" for key, kind in self._search_attributes.items()))
        options += ["--ui-codec-endpoint", self._codec_endpoint] if self._codec_endpoint else []
        return tuple(options)


class Certificates(Value):
    """The files of a door that is secured: who vouches for the server, and what we show it."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def read(self) -> TLSConfig | None:
        """Raises InvalidError: a file cannot be read."""
        if self.ca is None and self.cert is None:
            return None
        return TLSConfig(
            server_root_ca_cert=_content(self.ca), client_cert=_content(self.cert), client_private_key=_content(self.key)
        )


class Door:
    """The gRPC door of a Temporal server, ours or somebody else's."""

    def __init__(self, address: str, *, namespace: str = NAMESPACE, certificates: Certificates | None = None) -> None:
        self._address = address
        self._namespace = namespace
        self._certificates = certificates or Certificates()
        self._client: ServiceClient | None = None

    async def answers(self) -> bool:
        """Whether the frontend serves and knows the namespace."""
        try:
            if self._client is None:
                secured = self._certificates.read() or False
                self._client = await ServiceClient.connect(ConnectConfig(target_host=self._address, tls=secured, lazy=True))
            if not await self._client.check_health(timeout=_PROBE_WITHIN):
                return False
            question = DescribeNamespaceRequest(namespace=self._namespace)
            await self._client.workflow_service.describe_namespace(question, timeout=_PROBE_WITHIN)
        except (RPCError, RuntimeError):
            return False
        return True


def _content(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise InvalidError(f"settings: {path}: {error.strerror}") from error


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]

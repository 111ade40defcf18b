"""An encrypted payload as the engine's Web UI sends it."""

from domain.base import Value


class WirePayload(Value):
    """One payload as the Web UI sends it: base64 in both parts."""

    metadata: dict[str, str]
    data: str = ""

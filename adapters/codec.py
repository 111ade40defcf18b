"""Encrypts whatever Temporal stores of a workflow, under the key of the org in the workflow's id."""

import base64
import copy
from collections.abc import Sequence
from typing import Protocol, Self

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from adapters.secrets import decrypt, encrypt
from domain.base import OrgId
from domain.errors import InvalidError
from domain.wire import WirePayload

ENCODING = b"binary/encrypted"
_PLATFORM = "platform"


class Keyring(Protocol):
    """Payload keys by org; `None` is the platform."""

    async def current(self, org: OrgId | None) -> tuple[str, bytes]:
        """The id of the key to encrypt with, and the key."""

    async def get(self, org: OrgId | None, key_id: str) -> bytes:
        """The key to decrypt with; raises `NotFoundError` if there is none."""


def data_converter(keyring: Keyring) -> DataConverter:
    """Pydantic values, encrypted; messages and stack traces of failures too, which otherwise stay in clear."""
    return _OrgDataConverter(
        payload_converter_class=pydantic_data_converter.payload_converter_class,
        payload_codec=OrgCodec(keyring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


class _OrgDataConverter(DataConverter):
    """The SDK asks for a context once per payload, and would make every converter anew; only the codec needs one here.

    That was a seventh of a workflow worker's CPU time.
    """

    def with_context(self, context: SerializationContext) -> Self:
        placed = copy.copy(self)
        for name in ("payload_converter", "payload_codec", "failure_converter"):
            part = getattr(self, name)
            if isinstance(part, WithSerializationContext):
                object.__setattr__(placed, name, part.with_context(context))
        return placed


class OrgCodec(PayloadCodec, WithSerializationContext):
    """AES-256-GCM, with org and key id in the payload's metadata, authenticated; one workflow reads one org only.

    Payloads in clear, which no worker or client of ours sends:
    - In the context of an activity they are refused. Results of activities carry verdicts of policy, so none is taken from
      somebody who reaches the engine's port and holds no key.
    - In the context of a workflow they pass. The engine's own command line and Web UI cannot encrypt, and their signals and
      updates carry only the id of a row that an activity then looks up. Refusing would fail every later task of the workflow,
      since the event stays in its history.
    - Without a context (the Web UI's decode route) they pass unchanged: nothing of ours is in them.
    Search attributes, ids and, by default, headers never come here.
    """

    def __init__(self, keyring: Keyring, context: SerializationContext | None = None) -> None:
        self._keyring = keyring
        self._context = context

    def with_context(self, context: SerializationContext) -> "OrgCodec":
        return OrgCodec(self._keyring, context)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `InvalidError` where no workflow id says whose key to take: nothing is ever sent in clear."""
        org = owner_of(self._workflow_id())
        key_id, key = await self._keyring.current(org)
        return [_encrypted(payload, org=org, key_id=key_id, key=key) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `InvalidError` for a payload of another org, altered, or in clear where that is refused."""
        return [await self._decoded(payload) for payload in payloads]

    async def _decoded(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return self._in_clear(payload)
        org, key_id = owner_in(payload), _text(payload, "key-id")
        if self._context is not None and org != owner_of(self._workflow_id()):
            raise InvalidError(f"expected a payload of the org of {self._workflow_id()}, got one of {_name(org)}")
        key = await self._keyring.get(org, key_id)
        return Payload.FromString(decrypt(key, payload.data, _associated(org, key_id)))

    def _in_clear(self, payload: Payload) -> Payload:
        if payload.data and isinstance(self._context, ActivitySerializationContext):
            raise InvalidError(f"expected an encrypted payload in an activity of {self._workflow_id()}, got one in clear")
        return payload

    def _workflow_id(self) -> str:
        match self._context:
            case WorkflowSerializationContext(workflow_id=str(found)) | ActivitySerializationContext(workflow_id=str(found)):
                return found
        raise InvalidError("expected a payload that belongs to a workflow: without its id there is no key to take")


def owner_of(workflow_id: str) -> OrgId | None:
    """The org in a workflow id `kind/{org}/…`; `None` for `platform/…`."""
    kind, *rest = workflow_id.split("/")
    if kind == _PLATFORM and rest:
        return None
    if not kind or len(rest) < 2:
        raise InvalidError(f"expected a workflow id like kind/org/name or platform/name, got {workflow_id!r}")
    return _org(rest[0])


def owner_in(payload: Payload) -> OrgId | None:
    """The org an encrypted payload says it belongs to; true only if it then decrypts."""
    name = _text(payload, "org")
    return None if name == _PLATFORM else _org(name)


def _encrypted(payload: Payload, *, org: OrgId | None, key_id: str, key: bytes) -> Payload:
    metadata = {"encoding": ENCODING, "org": _name(org).encode(), "key-id": key_id.encode()}
    return Payload(metadata=metadata, data=encrypt(key, payload.SerializeToString(), _associated(org, key_id)))


def _associated(org: OrgId | None, key_id: str) -> bytes:
    return b"|".join([ENCODING, _name(org).encode(), key_id.encode()])


def _name(org: OrgId | None) -> str:
    return _PLATFORM if org is None else str(org)


def _org(name: str) -> OrgId:
    try:
        return OrgId.of(name)
    except ValueError:
        raise InvalidError("expected the UUID of an org in the workflow id or payload") from None


def _text(payload: Payload, field: str) -> str:
    value = payload.metadata.get(field, b"").decode(errors="replace")
    if not value:
        raise InvalidError(f"expected an encrypted payload with the metadata field {field}")
    return value


class WireDecoder:
    """Payloads in the base64 form of the Web UI; implements `services.codec.PayloadDecoder`."""

    def __init__(self, keyring: Keyring) -> None:
        self._codec = OrgCodec(keyring)

    def owner(self, payload: WirePayload) -> OrgId | None:
        """Raises InvalidError: it is not one of our encrypted payloads."""
        return owner_in(_from_wire(payload))

    async def decode(self, payload: WirePayload) -> WirePayload:
        decoded = (await self._codec.decode([_from_wire(payload)]))[0]
        metadata = {key: base64.b64encode(value).decode() for key, value in decoded.metadata.items()}
        return WirePayload(metadata=metadata, data=base64.b64encode(decoded.data).decode())


def _from_wire(payload: WirePayload) -> Payload:
    try:
        metadata = {key: base64.b64decode(value, validate=True) for key, value in payload.metadata.items()}
        return Payload(metadata=metadata, data=base64.b64decode(payload.data, validate=True))
    except ValueError:
        raise InvalidError("expected metadata and data in base64") from None

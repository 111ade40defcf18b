"""Keeps the histories of every story that the workflow tests tell, as of one fixed org and without a trace of this machine."""

import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest_asyncio
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.client import WorkflowHistory
from temporalio.converter import WorkflowSerializationContext

from adapters.codec import ENCODING, OrgCodec
from domain.base import OrgId
from tests.replay.fixed import HISTORIES, ORG, FixedKeyring
from workflows.details import ORG_ID

_LEFT_OUT = ("fifty", "test_letters", "random")
_PATHS = re.compile(r"(?<![\w+/])/(work|tmp|root|home|usr|var)/[^\s\"\\]*")
_SHAPES: set[tuple[str, ...]] = set()


@pytest_asyncio.fixture(autouse=True)
async def recorded(request, world, keyring):
    """After a test: one file per history that has begun in it and whose shape no earlier one had."""
    began = datetime.now(UTC)
    yield
    name = request.node.name
    if any(word in name for word in _LEFT_OUT):
        return
    async for found in world.client.list_workflows(f"StartTime >= '{began.isoformat()}' and OrgId is not null"):
        org = OrgId.of(found.typed_search_attributes[ORG_ID])
        history = await world.client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        shape = (found.workflow_type, *_shape(history))
        if shape not in _SHAPES:
            _SHAPES.add(shape)
            await _write(history, found.workflow_type, name, OrgCodec(keyring), org)


def _shape(history: WorkflowHistory) -> list[str]:
    """What happened in which order, however often in a row."""
    return [label for label, _ in groupby(_labels(history))]


def _labels(history: WorkflowHistory) -> Iterator[str]:
    for event in history.events:
        kind = event.WhichOneof("attributes") or ""
        if kind.startswith("activity_task_scheduled"):
            yield event.activity_task_scheduled_event_attributes.activity_type.name
        elif kind.startswith("workflow_execution_signaled"):
            continue  # when a letter arrives is not a branch of its own
        elif not kind.startswith(
            ("workflow_task", "upsert", "activity_task", "workflow_execution_time", "workflow_properties")
        ):
            yield kind


async def _write(history: WorkflowHistory, kind: str, test: str, codec: OrgCodec, org: OrgId) -> None:
    workflow_id = history.workflow_id.replace(str(org), str(ORG))
    fixed = OrgCodec(FixedKeyring()).with_context(WorkflowSerializationContext("default", workflow_id))
    for event in history.events:
        for payload in _payloads(event):
            await _recode(payload, codec, fixed, org)
        _scrub(event)
    text = json.dumps({"workflow_id": workflow_id, "history": json.loads(history.to_json())}, separators=(",", ":"))
    text = text.replace(str(org), str(ORG)).replace(org.shown, ORG.shown)
    if f"@{socket.gethostname()}" in text or _PATHS.search(text):
        raise AssertionError(f"the history of {workflow_id} still names this machine")
    _file(kind, test).write_text(text + "\n")


def _file(kind: str, test: str) -> Path:
    base = f"{kind.removesuffix('Workflow').lower()}-{re.sub('[^a-z0-9]+', '-', test.removeprefix('test_').lower()).strip('-')}"
    numbers = (f"{base}{f'-{number}' if number else ''}.json" for number in range(100))
    return next(HISTORIES / name for name in numbers if not (HISTORIES / name).exists())


async def _recode(payload: Payload, codec: OrgCodec, fixed: OrgCodec, org: OrgId) -> None:
    if payload.metadata.get("encoding") != ENCODING:
        payload.data = _of_the_fixed_org(payload.data, org)
        return
    clear = (await codec.decode([payload]))[0]
    clear.data = _of_the_fixed_org(clear.data, org)
    payload.CopyFrom((await fixed.encode([clear]))[0])


def _of_the_fixed_org(data: bytes, org: OrgId) -> bytes:
    text = data.decode().replace(str(org), str(ORG)).replace(org.shown, ORG.shown)
    return _PATHS.sub("somewhere", text).encode()


def _payloads(message: Message) -> Iterator[Payload]:
    for child in _children(message):
        if isinstance(child, Payload):
            yield child
        else:
            yield from _payloads(child)


def _scrub(message: Any) -> None:
    """Who worked on it, and on which machine, is nobody's business."""
    if "identity" in message.DESCRIPTOR.fields_by_name:
        message.ClearField("identity")
    if message.DESCRIPTOR.name == "TaskQueue" and message.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY:
        message.name = "sticky"
    for child in _children(message):
        _scrub(child)


def _children(message: Message) -> Iterator[Message]:
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        kind: Any = field.message_type
        if kind.GetOptions().map_entry:
            yield from (each for each in value.values() if isinstance(each, Message))
        elif isinstance(value, Message):
            yield value
        else:
            yield from value

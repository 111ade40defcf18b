"""What Temporal stores is readable with the key of the workflow's org alone."""

from uuid import UUID

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError

from adapters.codec import OrgCodec, data_converter, owner_in, owner_of
from adapters.secrets import new_key
from domain.base import OrgId
from domain.errors import InvalidError, NotFoundError

ORG, OTHER = OrgId(int=1), OrgId(int=2)
INCIDENT, PLATFORM = f"inc/{ORG}/prod/checkout/0123456789abcdef", "platform/upkeep"


class FakeKeyring:
    """Two orgs and the platform; `rotate` makes a new current key and keeps the old one."""

    def __init__(self) -> None:
        self.keys = {(org, "k1"): new_key() for org in (ORG, OTHER, None)}
        self.newest = "k1"

    def rotate(self) -> None:
        self.newest = "k2"
        self.keys |= {(org, "k2"): new_key() for org in (ORG, OTHER, None)}

    async def current(self, org):
        return self.newest, await self.get(org, self.newest)

    async def get(self, org, key_id):
        try:
            return self.keys[org, key_id]
        except KeyError:
            raise NotFoundError(f"no payload key {key_id}") from None


class Finding(BaseModel):
    cause: str
    org: UUID


FINDING = Finding(cause="schema drift in orders", org=ORG)


@pytest.fixture
def keyring():
    return FakeKeyring()


def in_workflow(keyring, workflow_id=INCIDENT):
    return data_converter(keyring).with_context(WorkflowSerializationContext(namespace="default", workflow_id=workflow_id))


def in_activity(keyring, workflow_id=INCIDENT):
    return data_converter(keyring).with_context(
        ActivitySerializationContext(
            namespace="default", activity_id="1", activity_type="diagnose", activity_task_queue="io",
            workflow_id=workflow_id, workflow_type="Incident", is_local=False,
        )
    )  # fmt: skip


@pytest.mark.parametrize("place", [in_workflow, in_activity])
@pytest.mark.parametrize("workflow_id", [INCIDENT, PLATFORM])
async def test_a_value_comes_back(place, workflow_id, keyring):
    """Values, nothing and bytes survive, in the context of a workflow and of an activity; no clear text is stored."""
    converter = place(keyring, workflow_id)
    payloads = await converter.encode([FINDING, None, b"raw"])
    assert await converter.decode(payloads, [Finding, type(None), bytes]) == [FINDING, None, b"raw"]
    for payload in payloads:
        stored = payload.SerializeToString()
        assert payload.metadata["encoding"] == b"binary/encrypted"
        assert b"drift" not in stored
        assert b"Finding" not in stored
        assert b"json" not in stored


async def test_an_activity_reads_what_its_workflow_wrote(keyring):
    """Workflow and activity of one org share keys."""
    payloads = await in_workflow(keyring).encode([FINDING])
    assert await in_activity(keyring).decode(payloads, [Finding]) == [FINDING]


async def test_the_key_is_of_the_org_in_the_workflow_id(keyring):
    """Metadata names org and key; the platform has a key of its own."""
    [ours], [platform] = await in_workflow(keyring).encode([1]), await in_workflow(keyring, PLATFORM).encode([1])
    assert (ours.metadata["org"], ours.metadata["key-id"]) == (str(ORG).encode(), b"k1")
    assert (owner_in(ours), owner_in(platform)) == (ORG, None)


async def test_old_payloads_open_after_a_rotation(keyring):
    """New payloads take the new key, old ones name the old."""
    old = await in_workflow(keyring).encode(["before"])
    keyring.rotate()
    [new] = await in_workflow(keyring).encode(["after"])
    assert new.metadata["key-id"] == b"k2"
    assert await in_workflow(keyring).decode([*old, new]) == ["before", "after"]


async def test_the_decode_route_needs_no_workflow(keyring):
    """Metadata alone says which key opens a payload; what is in clear passes."""
    [payload] = await in_workflow(keyring).encode([FINDING])
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    [opened, same] = await OrgCodec(keyring).decode([payload, clear])
    assert (opened.data, same) == (FINDING.model_dump_json().encode(), clear)


@pytest.mark.parametrize("place", [in_workflow, in_activity])
async def test_another_orgs_payload_is_refused(place, keyring):
    """A payload carried into another org's workflow does not open there."""
    payloads = await in_workflow(keyring, f"inc/{OTHER}/prod/checkout/0123456789abcdef").encode([FINDING])
    with pytest.raises(InvalidError, match="expected a payload of the org of"):
        await place(keyring).decode(payloads)


@pytest.mark.parametrize(
    ("field", "value"),
    [("org", str(OTHER).encode()), ("org", b"platform"), ("key-id", b"k2"), ("data", b""), ("data", b"x" * 60)],
)
async def test_swapped_metadata_is_refused(field, value, keyring):
    """Org, key id and ciphertext belong together."""
    keyring.rotate()
    keyring.newest = "k1"
    [payload] = await in_workflow(keyring).encode([FINDING])
    if field == "data":
        payload.data = value
    else:
        payload.metadata[field] = value
    with pytest.raises(InvalidError):
        await OrgCodec(keyring).decode([payload])


async def test_swapped_metadata_is_refused_even_under_one_key(keyring):
    """Were two orgs given the same key, the authenticated org would still tell them apart."""
    keyring.keys[OTHER, "k1"] = keyring.keys[ORG, "k2"] = keyring.keys[ORG, "k1"]
    for field, value in [("org", str(OTHER).encode()), ("key-id", b"k2")]:
        [payload] = await in_workflow(keyring).encode([FINDING])
        payload.metadata[field] = value
        with pytest.raises(InvalidError, match="not authentic"):
            await OrgCodec(keyring).decode([payload])


@pytest.mark.parametrize(("field", "sentence"), [("org", "metadata field org"), ("key-id", "metadata field key-id")])
async def test_missing_metadata_is_named(field, sentence, keyring):
    """A payload that says no org or key is refused."""
    [payload] = await in_workflow(keyring).encode([FINDING])
    del payload.metadata[field]
    with pytest.raises(InvalidError, match=sentence):
        await in_workflow(keyring).decode([payload])


async def test_a_missing_key_raises(keyring):
    """An erased key makes histories unreadable, not empty; and nothing is encoded without one."""
    converter = in_workflow(keyring)
    payloads = await converter.encode([FINDING])
    del keyring.keys[ORG, "k1"]
    with pytest.raises(NotFoundError, match="no payload key k1"):
        await converter.decode(payloads)
    with pytest.raises(NotFoundError, match="no payload key k1"):
        await converter.encode([FINDING])


async def test_nothing_is_sent_without_a_workflow(keyring):
    """No context, and an activity outside any workflow, are refused before anything leaves."""
    for converter in (data_converter(keyring), in_activity(keyring, None)):
        with pytest.raises(InvalidError, match="without its id there is no key"):
            await converter.encode([FINDING])


@pytest.mark.parametrize("workflow_id", ["", "x", "inc", f"inc/{ORG}", "inc/nobody/x", f"/{ORG}/x", "platform", "platform2/x"])
async def test_a_workflow_id_without_an_org_is_refused(workflow_id, keyring):
    """Such a workflow cannot even be started."""
    with pytest.raises(InvalidError, match="workflow id"):
        await in_workflow(keyring, workflow_id).encode([FINDING])


@pytest.mark.parametrize("kind", ["inc", "fix", "run", "recovery", "monitor"])
def test_every_kind_of_workflow_names_its_org_second(kind):
    """The formats of workflow ids share their beginning."""
    assert owner_of(f"{kind}/{ORG}/a/b") == ORG
    assert owner_of(PLATFORM) is None


async def test_payloads_in_clear_pass_to_workflows_and_not_to_activities(keyring):
    """A signal from the engine's command line is read; a result of an activity that somebody without a key made up is not."""
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b'"req_1"')
    nothing = Payload(metadata={"encoding": b"binary/null"})
    assert await in_workflow(keyring).decode([clear, nothing]) == ["req_1", None]
    assert await in_activity(keyring).decode([nothing]) == [None]
    with pytest.raises(InvalidError, match="got one in clear"):
        await in_activity(keyring).decode([clear])


async def test_failures_keep_their_words_to_themselves(keyring):
    """Messages, stack traces, details and causes are encrypted and come back."""
    converter, failure = in_workflow(keyring), Failure()
    error = ApplicationError("secret sentence", "secret detail", type="stale_plan")
    error.__cause__ = ValueError("password hunter2")
    await converter.encode_failure(error, failure)
    stored = failure.SerializeToString()
    assert failure.message == "Encoded failure"
    assert not any(word in stored for word in (b"secret", b"hunter2"))
    found = await converter.decode_failure(failure)
    assert isinstance(found, ApplicationError)
    assert (found.message, list(found.details), found.type) == ("secret sentence", ["secret detail"], "stale_plan")
    assert "hunter2" in str(found.cause)

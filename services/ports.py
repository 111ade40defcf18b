"""The outside world as the use cases see it; adapters and `workflows.client` implement these."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from domain.approval import Settled
from domain.base import Digest, OrgId
from domain.feed import DatabaseAddress, Feed, Missed, Notice, TableName
from domain.inbound import Inbound, MappingFlaw, Parsed, Reply, Taken
from domain.opinion import Opinion, Unwritten
from domain.outcome import RemediationOutcome, StepResult
from domain.plan import Command, FixPlan, Target
from domain.policy import (
    ApprovalFacts,
    ApprovalRule,
    AuthorizationFacts,
    AutonomyFacts,
    DecisionFacts,
    PolicyAnswer,
    PreflightFacts,
    Reason,
    Tier,
)
from domain.preflight import DryRun
from domain.redaction import RedactionFlaw, RedactionPolicy
from domain.refs import FeedRef, IncidentRef, MonitorRef, PlanRef, RecoveryRef, RequestRef, RunRef
from domain.signal import Signal
from domain.stage import ProbeAnswer, Probed, StageCommand, StageResult, SupervisorHandle


class Redactor(Protocol):
    """Takes out what nobody should find in a store; what cannot be looked at is replaced by its digest."""

    def text(self, text: str) -> str: ...
    def content(self, content: Mapping[str, JsonValue]) -> dict[str, JsonValue]: ...


class Redactors(Protocol):
    def of(self, org: OrgId, policy: RedactionPolicy) -> Redactor:
        """The org's own: it marks a value alike wherever the org meets it."""

    def flaw(self, policy: RedactionPolicy) -> RedactionFlaw | None:
        """What is wrong with a policy, if anything; it repeats no pattern."""


class Source(Protocol):
    """One kind of sender. Its methods are total: whatever is sent, they answer, and raise nothing.

    Some senders never come again after a 429; they are told 503 instead. Some can be asked for what they have left out, by
    `rest`. `belongs_to` is the kind of connector whose endpoint and secret it uses, where that is another one's. What `is_fed`
    sends nothing itself: we listen to it.
    """

    kind: str
    belongs_to: str | None
    gives_up_on_429: bool
    can_be_asked: bool
    is_fed: bool

    def flaw(self, mapping: Mapping[str, JsonValue]) -> MappingFlaw | None:
        """What is wrong with a connector's mapping, if anything; it repeats no value of it."""

    def address(self, inbound: Inbound) -> str | None:
        """The endpoint that a request names in itself, for a path that names none."""

    def rest(self, inbound: Inbound, base: str) -> str | None:
        """Where all that a request has left out can be read, below the address `base`; None if nowhere."""

    def with_rest(self, inbound: Inbound, answer: bytes) -> Inbound:
        """The request as if it had held what was read there."""

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        """Whether whoever sent this knows the connector's secret; compared in constant time."""

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        """Every item of the request, as a signal or refused; `config` is the connector's own."""

    def error_of(self, signal: Signal) -> Mapping[str, JsonValue] | None:
        """What one of its signals tells of an error, by the names that loggers give it; None if it tells of none."""

    def reply(self, inbound: Inbound, taken: Taken) -> Reply:
        """The answer to a request that was taken in, wholly or in part."""


class Reach(Protocol):
    """HTTP to addresses that people have named, which must lead nowhere that only we can reach."""

    async def flaw(self, url: str) -> str | None:
        """Why this address may not be named, if it may not; it repeats nothing of it."""

    async def get(self, url: str) -> bytes:
        """What is read there, within a few seconds.

        Raises:
            UnavailableError: nothing, or nobody may ask there.
        """

    async def address(self, host: str, port: int) -> str:
        """One of the addresses of this name, all of which may be reached.

        Raises:
            UnavailableError: one may not, or there is none.
        """


class Watched(Protocol):
    """A database of somebody else's, while we are connected to it. Every method raises UnavailableError once it is lost."""

    async def listen(self, channels: Collection[str]) -> None: ...

    async def heard(self, *, within: timedelta) -> tuple[Notice, ...]:
        """What others notified, as soon as there is something; nothing if there was nothing for that long."""

    @property
    def lost(self) -> int:
        """How many notifications there was no room for."""

    async def start(self, feed: Feed) -> str | None:
        """The largest value of the feed's `since` there is; None if there is none."""

    def missed(self, feed: Feed, after: str | None) -> AsyncGenerator[Missed]:
        """The rows whose `since` is larger than `after`, some at a time, and of all together no more than are read at once."""

    async def latest(self, feed: Feed, positions: Sequence[str]) -> str | None:
        """The largest of these values as the database compares them; None if they are no values of `since`."""

    async def write(self, table: TableName, opinions: Sequence[Opinion]) -> Unwritten | None:
        """All of them in the table of verdicts, where a row that says the same already is not written again.

        If the table cannot be written to, and be it that there are none to write: why, and what to do; then none is written.
        Where it refuses single rows, the others are.
        """


class Databases(Protocol):
    """Databases that people have named, which must lead nowhere that only we can reach."""

    def open(self, address: DatabaseAddress) -> AbstractAsyncContextManager[Watched]:
        """Raises UnavailableError: it cannot be reached or does not let us in; says why, and nothing of the address."""


class Kms(Protocol):
    """Wraps the keys of orgs under a key that is never stored beside them."""

    async def wrap(self, key: bytes, context: bytes) -> bytes: ...
    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes: ...


class Sealer(Protocol):
    """Encrypts one value with one key; what is bound by `aad` cannot be moved elsewhere."""

    def seal(self, key: bytes, key_id: str, plaintext: bytes, aad: bytes) -> bytes: ...
    def unseal(self, key: bytes, sealed: bytes, aad: bytes) -> bytes: ...


class Signer(Protocol):
    def sign(self, message: bytes) -> bytes: ...
    def verify(self, message: bytes, signature: bytes) -> bool: ...


class Engine(Protocol):
    """The workflow engine. Every call may be repeated: ids make the second one the first."""

    async def start_run(self, ref: RunRef) -> None:
        """Start the run, or wake it if it is open."""

    async def wake_incident(self, ref: IncidentRef, carrier: str) -> None: ...
    async def wake_monitor(self, ref: MonitorRef) -> None: ...
    async def wake_feed(self, ref: FeedRef) -> None: ...
    async def carry_plan(self, ref: PlanRef, carrier: str) -> None: ...
    async def start_recovery(self, ref: RecoveryRef) -> None: ...

    async def wake(self, workflow_id: str) -> None:
        """Let an open workflow look at the database again; a closed one has nothing to look for."""

    async def decide(self, workflow_id: str, request: RequestRef, *, within: timedelta) -> Settled | None:
        """What became of a stored request, or None if nobody answered in time.

        Raises:
            HealError: the request was refused.
        """

    async def ping(self) -> None: ...


class Policy(Protocol):
    """What is allowed. Unreachable or undefined is never a yes."""

    async def authorize(self, facts: AuthorizationFacts) -> tuple[Reason, ...]: ...
    async def autonomy(self, facts: AutonomyFacts) -> PolicyAnswer: ...
    async def approval_rule(self, facts: ApprovalFacts) -> ApprovalRule: ...
    async def may_decide(self, facts: DecisionFacts) -> tuple[Reason, ...]: ...
    async def preflight(self, facts: PreflightFacts) -> tuple[Reason, ...]: ...
    async def revision(self) -> str: ...


class Blobs(Protocol):
    """Content by its digest: code of pipelines and what stages leave."""

    async def put_tree(self, folder: Path, *, max_bytes: int | None = None, max_files: int | None = None) -> Digest: ...
    async def unpack(self, digest: Digest, into: Path) -> None: ...


class StageProcess(Protocol):
    """Runs a stage's command on this host, under a supervisor that dies with its worker.

    `held` says at any time whether the attempt is still the worker's; once it is not, the stage is dead within a lease.
    """

    async def run(
        self,
        command: StageCommand,
        secrets: Mapping[str, str],
        *,
        heartbeat: Callable[[], None],
        started: Callable[[SupervisorHandle], Awaitable[None]],
        held: Callable[[], bool] | None = None,
    ) -> StageResult: ...

    async def probe(
        self,
        command: StageCommand,
        secrets: Mapping[str, str],
        *,
        heartbeat: Callable[[], None],
        started: Callable[[SupervisorHandle], Awaitable[None]],
        held: Callable[[], bool] | None = None,
    ) -> Probed: ...


class Host(Protocol):
    """This machine, as far as processes of lost workers go."""

    def name(self) -> str: ...
    async def wait_until_dead(self, handle: SupervisorHandle, within: timedelta) -> bool: ...


class Runner(Protocol):
    """What may touch a kind of target. `key` makes an effect happen once; a newer `fence` makes older ones void."""

    name: str
    version: str

    async def target(self, org: OrgId, target: Target) -> Target:
        """The target as it is now, with its version."""

    async def snapshot(self, org: OrgId, target: Target) -> Mapping[str, object]: ...
    async def dry_run(self, plan: FixPlan, *, heartbeat: Callable[[], None]) -> tuple[DryRun, ...]: ...

    async def run(self, plan: FixPlan, target: Target, command: Command, *, key: str, holder: str, fence: int) -> StepResult:
        """Do it once.

        Raises:
            StalePlanError: the target is not as the plan expects.
            StoppedError: a switch that covers the plan has been engaged.
            LeaseLostError: a newer fence has been given out.
        """

    async def probe(
        self, plan: FixPlan, target: Target, command: Command, *, key: str
    ) -> tuple[ProbeAnswer, StepResult | None]: ...


class NoteSigner(Signer, Protocol):
    """A signer whose checkpoints others can verify with the public key alone."""

    @property
    def public_key(self) -> bytes: ...


class CheckpointShelf(Protocol):
    """Keeps signed checkpoints outside the database, where whoever rewrites a ledger cannot reach them."""

    async def keep(self, org: OrgId, size: int, note: str) -> None: ...
    async def notes(self, org: OrgId) -> tuple[str, ...]: ...


class Span(Protocol):
    def update_name(self, name: str) -> None: ...


class Spans(Protocol):
    """Opens a span in the current trace; what runs inside joins it."""

    def open(self, name: str, **attributes: str) -> AbstractContextManager[Span]: ...


class Metrics(Protocol):
    """Counts what happened in this process."""

    def activity_ended(self, activity: str, outcome: str, seconds: float) -> None: ...
    def preflight_judged(self, tier: Tier, *, passed: bool) -> None: ...
    def remediation_ended(self, outcome: RemediationOutcome) -> None: ...
    def unserved(self, environment: str) -> None: ...
    def outbox_seen(self, depth: int, oldest: timedelta) -> None: ...

"""How a service is watched: where its monitor has read up to, what has arrived, and what a look at it has shown."""

from uuid import UUID

from pydantic import Field, JsonValue

from domain.base import Instant, Value
from domain.signal import Timing, timing

NOWHERE = UUID(int=0)


class Cursor(Value):
    """The last signal that was read: the transaction that wrote it, and its id."""

    written: int = 0
    id: UUID = NOWHERE


class LogPatterns(Value):
    """What users say of their own lines: grok expressions, tried in their order, and names that those are made of."""

    expressions: tuple[str, ...] = ()
    definitions: dict[str, str] = Field(default_factory=dict)


class Monitor(Value):
    """`version` grows with every look: who read an older one has lost its turn.

    `patterns` are a user's, the others its miner's.
    """

    version: int
    cursor: Cursor = Cursor()
    next_template: int = 0
    lines: int = 0
    patterns: LogPatterns = LogPatterns()


class Arrival(Value):
    """What a monitor needs of a signal; `count` is how many it stands for."""

    id: UUID
    written: int
    received_at: Instant
    ts: Instant
    kind: str
    key: str
    value: float | None
    text: str | None
    severity: str | None
    labels: dict[str, str]
    count: int = 1

    @property
    def timing(self) -> Timing:
        return timing(self.ts, self.received_at)

    @property
    def cursor(self) -> Cursor:
        return Cursor(written=self.written, id=self.id)


class Sum(Value):
    """Signals of one subject in one minute, or five; without values there is only their number."""

    kind: str
    subject: str
    at: Instant
    count: int
    total: float | None = None
    lowest: float | None = None
    highest: float | None = None


class LogTemplate(Value):
    """What lines of a service say once their variable parts are taken out; `number` is its name in that service.

    `placed` orders templates: a line that fits two belongs to the one placed first. `absorbed` are the numbers of the
    templates that became this one.
    """

    number: int
    template: str
    count: int
    first_seen_at: Instant
    last_seen_at: Instant
    exemplar: str
    placed: int
    absorbed: tuple[int, ...] = ()


class SeenTemplate(LogTemplate):
    """With its lines a second from the first to the last, and how little it was to be expected, 0 to 1."""

    rate: float
    novelty: float


class TemplateGroup(Value):
    """Templates that say nearly the same in other words; `number`, `template` and `exemplar` are the most frequent one's."""

    number: int
    template: str
    exemplar: str
    members: tuple[int, ...]
    count: int
    first_seen_at: Instant
    last_seen_at: Instant
    rate: float
    novelty: float


class Learnt(Value):
    """All that one detector has learnt of one subject."""

    detector: str
    subject: str
    state: dict[str, JsonValue]
    seen_at: Instant


class Look(Value):
    """What one look at a service has found: how many signals, whether more wait, whether an anomaly wants a verdict.

    `is_ripening`: one will want it in a moment, whatever comes.
    """

    signals: int = 0
    is_behind: bool = False
    is_ripe: bool = False
    is_ripening: bool = False


class Watched(Value):
    """Why a watch has ended: an anomaly wants a verdict, or nothing has come for a while; else it goes on."""

    is_ripe: bool = False
    is_quiet: bool = False

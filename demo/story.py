"""Tell the story: five chapters on real input, through the public API alone; what differs is counted, not hidden."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from demo.breakage import draw
from demo.chapters import bad_config, flaky_upstream, healthy_run, stale_plan
from demo.client import RefusedError
from demo.deaths import killed_workers
from demo.files import AD_COST, Material
from demo.people import gather
from demo.scene import Scene
from demo.target import Server, Target
from demo.workers import Pids
from domain.base import Value
from domain.pipeline import PipelineSpec

CHAPTERS = 5


class Place(Value):
    """Where the story is told: a running stack, and what only its owner holds."""

    api_url: str
    admin_token: str
    server: Server
    holds: Path


class Told(Value):
    """How it went; `line` is the one the telling closes with."""

    as_expected: int
    unexplained: int
    entries: int
    is_whole: bool
    differences: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return not self.differences and self.unexplained == 0 and self.is_whole

    @property
    def line(self) -> str:
        chain = f"ok ({self.entries} entries)" if self.is_whole else "BROKEN"
        return (
            f"demo: {self.as_expected} of {CHAPTERS} stories as expected, "
            f"{self.unexplained} unexplained effects, audit chain {chain}"
        )


async def tell(
    place: Place,
    prod: PipelineSpec,
    dev: PipelineSpec,
    *,
    seed: int,
    workers: Pids,
    say: Callable[[str], None],
    material: Material = AD_COST,
) -> Told:
    """Tell all chapters; one that differs does not keep the next from being told."""
    season = secrets.token_hex(4)
    cast = await gather(place.api_url, place.admin_token, season=season)
    async with Target(place.server, material.tables, season=season) as target:
        scene = Scene(
            cast=cast,
            material=material,
            target=target,
            server=place.server,
            workers=workers,
            season=season,
            holds=place.holds / season,
            say=say,
        )
        try:
            await _give_secrets(scene, prod)
            good = await _chapters(scene, prod, dev, seed)
            return await _closing(scene, good)
        finally:
            await cast.leave()


async def _give_secrets(scene: Scene, spec: PipelineSpec) -> None:
    """What a stage is given writes, and what it is given in a dry-run only reads."""
    for stage in spec.stages:
        given = dict.fromkeys(stage.secrets, scene.target.dsn) | dict.fromkeys(stage.secrets_dry_run, scene.target.dsn_readonly)
        for name, value in given.items():
            await scene.cast.admin.put(f"/secrets/{spec.environment}/{name}", {"value": value})


async def _chapters(scene: Scene, prod: PipelineSpec, dev: PipelineSpec, seed: int) -> int:
    prod = _named(prod, f"{prod.pipeline}-{scene.season}")
    dev = _named(dev, f"{dev.pipeline}-{scene.season}")
    broken = draw(prod, seed=seed)
    scene.say(f"seed {seed}: {broken.key} will break at stage {broken.expected_stage} before run {broken.run}")
    pipelines: list[str] = []

    async def first() -> None:
        pipelines.append(await healthy_run(scene, prod, runs=broken.run - 1))

    chapters: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("1  a healthy run", first),
        ("2  a bad config change", lambda: bad_config(scene, pipelines[0], prod, broken)),
        ("3  a flaky upstream", lambda: flaky_upstream(scene, dev)),
        ("4  a killed worker", lambda: killed_workers(scene, _named(prod, f"{prod.pipeline}-held"))),
        ("5  a change nobody may make", lambda: stale_plan(scene, pipelines[0], prod, broken)),
    ]
    return sum([await _chapter(scene, title, tell_it) for title, tell_it in chapters])


async def _chapter(scene: Scene, title: str, tell_it: Callable[[], Awaitable[None]]) -> bool:
    scene.say(f"[bold cyan]{title}[/bold cyan]")
    before = len(scene.differences)
    try:
        await tell_it()
    except (TimeoutError, RefusedError, LookupError) as error:
        scene.expect(False, f"{type(error).__name__}: {error}")
    return len(scene.differences) == before


async def _closing(scene: Scene, good: int) -> Told:
    for incident in scene.incidents[:1]:
        scene.say(f"[bold cyan]timeline of {incident}[/bold cyan]")
        for entry in await scene.cast.omar.items(f"/incidents/{incident}/timeline", limit="200"):
            scene.say(f"  {entry['created_at'][11:19]}  {entry['action']:<28} {entry['actor_type']} {entry['actor_id']}")
    effects = await scene.target.effects()
    chain = await scene.cast.admin.get("/audit-logs/verify")
    return Told(
        as_expected=good,
        unexplained=sum(count - 1 for count in effects.values()) + await _unknown(scene, set(effects)),
        entries=chain["size"],
        is_whole=chain["fault"] is None,
        differences=tuple(scene.differences),
    )


async def _unknown(scene: Scene, keys: set[str]) -> int:
    """How many step keys in the target belong to no attempt that suture knows of."""
    known: set[str] = set()
    for execution in await scene.cast.omar.items("/executions", limit="200"):
        view = await scene.cast.omar.get(f"/executions/{execution['id']}")
        known |= {attempt["step_key"] for attempt in view["attempts"]}
    return len(keys - known)


def _named(spec: PipelineSpec, name: str) -> PipelineSpec:
    return PipelineSpec.model_validate({**spec.model_dump(), "pipeline": name})

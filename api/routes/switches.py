"""What stops effects: kill switches, and the automatic mode."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from fastapi import APIRouter, Depends
from pydantic import AliasChoices, Field

from api.deps import Caller, KeyedRoute, May, Page, PagingOf, Reason, Services, Short, Shown, guarded
from domain.base import Instant, KillSwitchId, OrgId, PrincipalId, Value, WorkflowId
from domain.errors import NotFoundError
from domain.identity import Org, SwitchLevel

router = APIRouter(tags=["safety"], route_class=KeyedRoute)


class SwitchIn(Value):
    """`{workflow_id, is_active, reason}` is the switch of a workflow; the level `org` has the subject `*`."""

    level: SwitchLevel = SwitchLevel.WORKFLOW
    subject: Short = Field(validation_alias=AliasChoices("subject", "workflow_id"))
    is_active: bool
    reason: Reason = ""


class SwitchOut(Shown):
    id: KillSwitchId | None
    level: SwitchLevel
    subject: str
    is_active: bool
    reason: str
    workflow_id: WorkflowId | None
    changed_by: PrincipalId | None
    changed_at: Instant


class AutomaticIn(Value):
    released: bool


class AutomaticOut(Shown):
    """Held, the policy answer `auto` means `human`."""

    names: ClassVar[Mapping[str, str]] = {"org_id": "id", "released": "automatic_released"}
    org_id: OrgId
    released: bool

    @classmethod
    def of_org(cls, org: Org) -> Self:
        return cls.of(org)


@router.get("/kill-switches", **guarded("kill_switch.read"))
async def find(caller: Caller, services: Services, paging: PagingOf) -> Page[SwitchOut]:
    """The oldest first; the platform's stand before them on the first page."""
    found = await services.switches.page(caller.org, after=paging.after(KillSwitchId), limit=paging.ask)
    wide = [SwitchOut.of(each) for each in found if each.id is None]
    own = paging.page([SwitchOut.of(each) for each in found if each.id is not None], _place)
    return Page[SwitchOut](items=(*wide, *own.items), next=own.next)


@router.put("/kill-switches", **guarded("kill_switch.engage", NotFoundError))
async def put(body: SwitchIn, caller: Caller, services: Services, may: Annotated[May, Depends()]) -> SwitchOut:
    """Engage a switch, which everyone but a viewer may, or release it."""
    if body.is_active:
        return SwitchOut.of(await services.switches.engage(caller, body.level, body.subject, body.reason))
    await may.check("kill_switch.release")
    return SwitchOut.of(await services.switches.release(caller, body.level, body.subject, body.reason))


@router.get("/automatic", **guarded("kill_switch.read"))
async def automatic(caller: Caller, services: Services) -> AutomaticOut:
    return AutomaticOut.of_org(await services.switches.org(caller.org))


@router.put("/automatic", **guarded("automatic.hold"))
async def set_automatic(body: AutomaticIn, caller: Caller, services: Services, may: Annotated[May, Depends()]) -> AutomaticOut:
    """Release the automatic mode, which boots held, or hold it."""
    if body.released:
        await may.check("automatic.release")
    return AutomaticOut.of_org(await services.switches.set_automatic(caller, released=body.released))


def _place(switch: SwitchOut) -> tuple[str, ...]:
    return (switch.id.shown if switch.id else "",)

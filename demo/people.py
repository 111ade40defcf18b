"""Who takes part in the story, each with a token of their own."""

from dataclasses import dataclass

from demo.client import Api, RefusedError

_AUTHOR = ("author", "approver")
_OPERATOR = ("operator", "approver")
_APPROVER = ("approver",)


@dataclass(frozen=True)
class Cast:
    """Ana writes the config, Omar starts runs, Petra decides; Ana and Omar are approvers too, and still refused."""

    admin: Api
    ana: Api
    omar: Api
    petra: Api

    async def leave(self) -> None:
        for each in (self.admin, self.ana, self.omar, self.petra):
            await each.close()


async def gather(url: str, admin_token: str, *, season: str) -> Cast:
    """Make the people of this telling; `season` keeps their names apart from those of earlier tellings."""
    admin = Api(url, admin_token)
    return Cast(
        admin=admin,
        ana=await _person(url, admin, f"ana-{season}", _AUTHOR),
        omar=await _person(url, admin, f"omar-{season}", _OPERATOR),
        petra=await _person(url, admin, f"petra-{season}", _APPROVER),
    )


async def _person(url: str, admin: Api, name: str, roles: tuple[str, ...]) -> Api:
    """A person with a token they issued themselves: whoever issues a token counts as the one who uses it."""
    person = await admin.post("/principals", {"kind": "person", "name": name, "roles": list(roles)})
    lent = Api(url, (await admin.post("/tokens", {"principal": person["id"]}))["secret"])
    try:
        own = await lent.post("/tokens", {})
    finally:
        await lent.close()
    return Api(url, own["secret"])


async def refusal(attempt: object) -> str | None:
    """The code with which `attempt` is refused, or None if it is not."""
    try:
        await attempt  # type: ignore[misc]
    except RefusedError as error:
        return str(error.problem.get("type", "")).rpartition("/")[2]
    return None

"""Before anything serves: database roles, migrations, the first org and its admin; done again, it changes nothing."""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import SecretStr, SerializeAsAny, TypeAdapter
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

import outside
import settings
from domain.base import OrgId, Value
from domain.errors import ConflictError, HealError, InvalidError, NotFoundError, UnavailableError
from domain.identity import Org, SwitchLevel
from domain.principals import IssuedToken
from services.founding import Founding, first_admin
from services.identity import Identity
from services.keyring import OrgKeyring
from services.ledger import Ledger
from services.platform import Platform
from services.ports import Kms
from storage.admin import alone, ensure_roles, open_admin
from storage.engine import Database, open_engine
from storage.migrate import migrate

FIRST_ORG = "default"
_PAGE = 200
_EXITS = {InvalidError: 2, NotFoundError: 5, UnavailableError: os.EX_UNAVAILABLE}
_ANSWER: TypeAdapter[SerializeAsAny[Value] | list[Org]] = TypeAdapter(SerializeAsAny[Value] | list[Org])


class Provisioned(Value):
    """`token` is the first admin's, shown when he is made and never again."""

    revision: str
    org: OrgId
    token: SecretStr | None = None


def nothing(_: IssuedToken) -> None: ...


async def provision(
    admin_url: str,
    *,
    passwords: Mapping[str, str] | None,
    kms: Kms,
    hmac_key: bytes,
    region: str = "local",
    admin: str = "admin",
    keep: Callable[[IssuedToken], None] = nothing,
) -> Provisioned:
    """Bring the database to where everything can serve; one at a time.

    `keep` gets the first admin's token before it is committed, so that it cannot be lost: see `write_token`.

    Raises:
        InvalidError: a password or an existing role is not as it should be.
    """
    async with alone(admin_url), AsyncExitStack() as stack:
        await ensure_roles(admin_url, passwords)
        revision = await migrate(admin_url)
        platform = Platform(await _database(stack, admin_url, "suture_platform"), actor="provision")
        database = await _database(stack, admin_url, "suture_app")
        await platform.ensure_switches(region)
        await platform.ensure_key(OrgKeyring(database, kms))
        org = await _first_org(platform)
        token = await founding(database, kms=kms, hmac_key=hmac_key).found(org.id, admin=first_admin(admin), keep=keep)
        return Provisioned(revision=revision, org=org.id, token=token.secret if token else None)


def founding(database: Database, *, kms: Kms, hmac_key: bytes) -> Founding:
    """What `suture platform` needs too, once it has created an org."""
    ledger = Ledger()
    return Founding(database, ledger, OrgKeyring(database, kms), Identity(database, ledger, hmac_key=hmac_key))


def write_token(path: Path) -> Callable[[IssuedToken], None]:
    """A `keep` that writes the token to a file that only its owner can read, replacing an older one.

    It raises UnavailableError when the file cannot be written.
    """

    def keep(token: IssuedToken) -> None:
        try:
            _write(path, f"{token.secret.get_secret_value()}\n")
        except OSError as error:
            raise UnavailableError(f"the first token cannot be written to {path}: {error.strerror}") from error

    return keep


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


async def _database(stack: AsyncExitStack, admin_url: str, role: str) -> Database:
    database = Database(open_admin(admin_url, role=role))
    stack.push_async_callback(database.close)
    return database


async def _first_org(platform: Platform) -> Org:
    try:
        return await platform.org_named(FIRST_ORG)
    except NotFoundError:
        return await platform.create_org(FIRST_ORG)


async def act(words: argparse.Namespace, chosen: settings.Settings) -> Value | list[Org]:
    """One act of the platform, in the name of whoever sits at the machine."""
    async with AsyncExitStack() as stack:
        platform = Platform(_role(stack, chosen, "database_platform_url"), actor=getpass.getuser())
        match words.noun, getattr(words, "verb", None):
            case "org", "create":
                return await _create_org(words.name, platform, _role(stack, chosen, "database_url"), chosen)
            case "org", "list":
                return await _all_orgs(platform)
            case "org", verb:
                return await platform.set_org_active(words.name, is_active=verb == "activate", reason=words.reason)
            case "switch", "engage":
                return await platform.engage(SwitchLevel(words.level), words.subject, words.reason)
            case "switch", _:
                return await platform.release(SwitchLevel(words.level), words.subject, words.reason)
            case _:
                return await platform.verify()


class CreatedOrg(Org):
    """`token_file` holds the first admin's token, readable by its owner alone."""

    token_file: Path


async def _create_org(name: str, platform: Platform, database: Database, chosen: settings.Settings) -> CreatedOrg:
    """An org that was left without people is finished, so that a broken attempt can be repeated."""
    try:
        org = await platform.create_org(name)
    except ConflictError:
        org = await platform.org_named(name)
    path = chosen.data / "tokens" / f"{name}.token"
    founder = founding(database, kms=outside.kms(chosen), hmac_key=outside.hmac_key(chosen))
    if await founder.found(org.id, admin=first_admin("admin"), keep=write_token(path)) is None:
        raise ConflictError(f"there is an org called {name} already")
    return CreatedOrg(**org.model_dump(), token_file=path)


async def _all_orgs(platform: Platform) -> list[Org]:
    found = await platform.orgs(limit=_PAGE)
    while len(found) % _PAGE == 0 and (more := await platform.orgs(after=found[-1].id, limit=_PAGE) if found else []):
        found += more
    return found


def _role(stack: AsyncExitStack, chosen: settings.Settings, name: str) -> Database:
    url: SecretStr | None = getattr(chosen, name)
    if url is None:
        raise InvalidError(f"settings: SUTURE_{name.upper()} is not set; `suture platform` sets it on the stack's machine")
    database = Database(open_engine(url.get_secret_value(), size=2))
    stack.push_async_callback(database.close)
    return database


def parser() -> argparse.ArgumentParser:
    """Without words the database is provisioned; `platform …` are acts that never go over HTTP."""
    root = argparse.ArgumentParser(prog="provision", description=__doc__)
    platform = root.add_subparsers(dest="what").add_parser("platform").add_subparsers(dest="noun", required=True)
    platform.add_parser("verify")
    orgs = platform.add_parser("org").add_subparsers(dest="verb", required=True)
    orgs.add_parser("list")
    orgs.add_parser("create").add_argument("name")
    for verb in ("activate", "deactivate"):
        change = orgs.add_parser(verb)
        change.add_argument("name")
        change.add_argument("--reason", required=True)
    switches = platform.add_parser("switch").add_subparsers(dest="verb", required=True)
    for verb in ("engage", "release"):
        switch = switches.add_parser(verb)
        switch.add_argument("level", choices=("global", "region"))
        switch.add_argument("subject", nargs="?", default="*")
        switch.add_argument("--reason", required=True)
    return root


def main() -> int:
    """Exit codes as `suture` has them; an act answers with JSON on standard output."""
    words = parser().parse_args()
    try:
        chosen = settings.load()
        outside.configure_logs(chosen)
        if words.what is None:
            asyncio.run(_provision(chosen))
        else:
            sys.stdout.write(_ANSWER.dump_json(asyncio.run(act(words, chosen))).decode())
    except HealError as error:
        sys.stderr.write(f"{error}\n")
        return _EXITS.get(type(error), 1)
    except (OSError, DBAPIError) as error:
        sys.stderr.write(f"the database is out of reach: {type(error).__name__}\n")
        return os.EX_UNAVAILABLE
    return 0


async def _provision(chosen: settings.Settings) -> None:
    """Provision what the settings name, and leave the first admin's token beside the keys."""
    if chosen.database_admin_url is None:
        raise InvalidError("settings: SUTURE_DATABASE_ADMIN_URL is not set; it names the owner of the schema")
    await provision(
        chosen.database_admin_url.get_secret_value(),
        passwords=_passwords(chosen),
        kms=outside.kms(chosen),
        hmac_key=outside.hmac_key(chosen),
        region=chosen.region,
        keep=write_token(chosen.data / "admin.token"),
    )


def _passwords(chosen: settings.Settings) -> dict[str, str]:
    """The password of each role whose URL the settings hold."""
    urls = (chosen.database_url, chosen.database_relay_url, chosen.database_upkeep_url, chosen.database_platform_url)
    parsed = [make_url(url.get_secret_value()) for url in urls if url is not None]
    return {each.username: each.password for each in parsed if each.username and isinstance(each.password, str)}


if __name__ == "__main__":
    sys.exit(main())

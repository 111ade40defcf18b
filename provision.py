"""Before anything serves: database roles, migrations, the first org and its admin; done again, it changes nothing."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import make_url

import bootstrap
import settings
from domain.base import OrgId, Value
from domain.errors import InvalidError, NotFoundError, UnavailableError
from domain.identity import Org
from domain.principals import IssuedToken
from services.founding import Founding, first_admin
from services.identity import Identity
from services.keyring import OrgKeyring
from services.ledger import Ledger
from services.platform import Platform
from services.ports import Kms
from storage.admin import alone, ensure_roles, open_admin
from storage.engine import Database
from storage.migrate import migrate

FIRST_ORG = "default"


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


def main() -> None:
    """Provision what the settings name, and leave the first admin's token beside the keys."""
    chosen = settings.load()
    if chosen.database_admin_url is None:
        raise InvalidError("settings: SUTURE_DATABASE_ADMIN_URL is not set; it names the owner of the schema")
    work = provision(
        chosen.database_admin_url.get_secret_value(),
        passwords=_passwords(chosen),
        kms=bootstrap.kms(chosen),
        hmac_key=bootstrap.hmac_key(chosen),
        region=chosen.region,
        keep=write_token(chosen.data / "admin.token"),
    )
    asyncio.run(work)


def _passwords(chosen: settings.Settings) -> dict[str, str]:
    """The password of each role whose URL the settings hold."""
    urls = (chosen.database_url, chosen.database_relay_url, chosen.database_upkeep_url, chosen.database_platform_url)
    parsed = [make_url(url.get_secret_value()) for url in urls if url is not None]
    return {each.username: each.password for each in parsed if each.username and isinstance(each.password, str)}


if __name__ == "__main__":
    main()

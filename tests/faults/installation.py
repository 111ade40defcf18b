"""The whole product as `suture up` starts it, on a durable database of its own that may be killed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from stack.application import SEARCH_ATTRIBUTES, Application, Wanted
from stack.bundle import Sources
from stack.local import Plan, Preferred, Stack, scratch
from storage.admin import open_admin
from tests.database import url_of
from tests.engine import LEASE, ROOT, search


@dataclass(frozen=True)
class Installation:
    """`superuser` reaches its database past all of the product; its connections do not survive a kill."""

    stack: Stack
    api_url: str
    admin_token: str
    superuser: AsyncEngine

    async def kill_database(self) -> None:
        """SIGKILL to the postmaster; the supervisor starts it again."""
        pid = self.stack.supervisor.pid("postgres")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def installed() -> AsyncIterator[Installation]:
    plan = Plan(
        tools=search(),
        policies=Sources(rego=ROOT / "policies" / "rego", data=ROOT / "policies" / "data"),
        search_attributes=SEARCH_ATTRIBUTES,
        preferred=Preferred(temporal=0, temporal_ui=0, opa=0, postgres=0),
    )
    with scratch() as data:
        stack = Stack(data, plan, report=lambda _: None)
        async with stack as endpoints:
            anywhere = {"api_port": 0, "first_sdk_page": 0, "first_worker_page": 0}
            wanted = Wanted(lease=LEASE, environments=("prod",), execute_workers=1, **anywhere)
            running = await Application(stack, data, wanted, report=lambda _: None).start(endpoints)
            token = (await asyncio.to_thread(running.token_file.read_text)).strip()
            address = endpoints.postgres
            superuser = open_admin(
                url_of(address, user=address.user, password=address.password.get_secret_value(), database=address.database)
            )
            yield Installation(stack, running.api_url, token, superuser)
            await superuser.dispose()

"""What the faults share: the report's lines, worker processes that may be killed, a desk that grants plans."""

import pytest
import pytest_asyncio

from adapters.opa import OpaPolicy
from adapters.signing import Ed25519Signer
from services.ledger import Ledger
from tests.faults.desk import Desk
from tests.faults.report import fault, pytest_runtest_makereport, pytest_terminal_summary
from tests.faults.runner import LedgerRunner
from tests.faults.scene import Scene
from tests.faults.target import StageTarget
from tests.faults.workers import Workers

__all__ = ["fault", "pytest_runtest_makereport", "pytest_terminal_summary"]


@pytest_asyncio.fixture
async def workers(world, tmp_path):
    """Worker processes of this test; those still alive at its end are killed."""
    async with Workers(world.settings, tmp_path) as started:
        yield started


@pytest_asyncio.fixture
async def scene(world, tenant, superuser):
    """An environment of the test's own, and the target that its stages reach."""
    async with StageTarget() as target:
        yield await Scene.make(world, tenant, superuser, target)


@pytest_asyncio.fixture(scope="session")
async def policy(endpoints):
    async with OpaPolicy(endpoints.opa_url) as reached:
        yield reached


@pytest.fixture(scope="session")
def signer(tmp_path_factory):
    return Ed25519Signer(tmp_path_factory.mktemp("signer") / "signing.key")


@pytest_asyncio.fixture
async def desk(database, superuser, policy, signer, tenant):
    """Plans of this test's org, granted and carried out on the fake target."""
    return await Desk.make(database, superuser, policy, signer, tenant, runner=LedgerRunner(), ledger=Ledger())

"""A policy bundle whose signature is bad decides nothing, and one that does not build leaves the last good one in force."""

import asyncio
import shutil
import tarfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.opa import OpaPolicy
from domain.errors import UnavailableError
from stack import ports
from stack.bundle import Bundle, Sources
from stack.policy import Policy
from stack.supervise import Supervisor
from stack.tools import Tool, find
from storage import approvals
from tests.engine import ROOT, search
from tests.faults.desk import Desk
from tests.faults.runner import LedgerRunner
from tests.faults.test_grants import carried_out

_DATA = ROOT / "policies" / "data"


@asynccontextmanager
async def serving(policy: Policy, folder: Path):
    """The policy server on the bundle as it lies there, healthy or not."""
    supervisor = Supervisor(folder / "logs", report=lambda _: None)
    await supervisor.open()

    async def runs() -> bool:
        return supervisor.pid("opa") is not None

    try:
        await supervisor.run(policy.spec(), ready=runs)
        yield
    finally:
        await supervisor.close()


async def test_f31_a_bad_bundle_decides_nothing(database, superuser, signer, tenant, ledger, fault, tmp_path):
    """A bundle that does not build is not taken; one signed by another key is refused, and nothing happens under it."""
    opa = (await find(Tool.OPA, search(), lambda _: None)).path
    rego = tmp_path / "rego"
    shutil.copytree(ROOT / "policies" / "rego", rego)
    policy = Policy(opa, tmp_path, Sources(rego=rego, data=_DATA), port=ports.choose(0)[0])
    good = await policy.build()
    (rego / "broken.rego").write_text("package suture.broken\nallow if {")
    refused = await policy.build()
    broken = [] if refused.refusal and refused.revision == good.revision else ["a bundle that does not build was taken"]
    async with serving(policy, tmp_path), OpaPolicy(policy.url) as reached:
        in_force = await _revision(reached)
        desk = await Desk.make(database, superuser, reached, signer, tenant, runner=LedgerRunner(), ledger=ledger)
        ref = await desk.granted()
    broken += [] if in_force == good.revision else [f"{in_force} is in force, not the last good one"]

    await _sign_with_another_key(opa, tmp_path)
    async with serving(policy, tmp_path), OpaPolicy(policy.url) as reached:
        await _listening(reached)
        with pytest.raises(UnavailableError):
            await carried_out(desk.remediation(policy=reached), ref)
    async with database.transaction(ref.org) as session:
        grant = await approvals.grant_of(session, ref.id)
    broken += [] if grant.status == "unused" else [f"the grant is {grant.status}"]
    broken += [f"effect {each.key}" for each in desk.runner.ledger]
    fault.note(runs=2, violations=broken, bad_signature_effects=len(desk.runner.ledger))


async def _revision(policy: OpaPolicy) -> str:
    """Ask until the server has opened its door."""
    for _ in range(200):
        try:
            return await policy.revision()
        except UnavailableError:
            await asyncio.sleep(0.05)
    raise AssertionError("the policy server does not answer")


async def _listening(policy: OpaPolicy) -> None:
    """Return once the server answers at all, if only to say that it has no bundle."""
    for _ in range(200):
        try:
            await policy.revision()
        except UnavailableError as error:
            if "no bundle" in str(error):
                return
            await asyncio.sleep(0.05)
    raise AssertionError("the policy server does not answer")


async def _sign_with_another_key(opa: Path, folder: Path) -> None:
    """Replace the bundle by one of the same policies that a stranger has signed."""
    stranger = Bundle(opa, Sources(rego=ROOT / "policies" / "rego", data=_DATA), folder / "stranger")
    await stranger.build()
    with tarfile.open(stranger.path) as archive:
        assert ".signatures.json" in {Path(name).name for name in archive.getnames()}
    shutil.copy(stranger.path, folder / "opa" / "bundle.tar.gz")

"""Run each step of a plan once: intent before, receipt after; what lies between is probed, never assumed."""

from collections.abc import Mapping

from domain.actor import SYSTEM
from domain.base import CommandId
from domain.canonical import digest
from domain.errors import GrantUsedError, LeaseLostError, StalePlanError, StoppedError
from domain.outcome import Receipt, StepOutcome, StepRef, StepResult
from domain.plan import Command, Direction, EffectClass, FixPlan, Step, Target
from domain.stage import ProbeAnswer
from services.ledger import Ledger
from services.plan_entries import enter
from services.ports import Runner, Signer
from services.recheck import Recheck
from services.targets import hold_for
from storage import approvals, plans, remediations
from storage.engine import Database, new_id, now, repeatable

_SHOWN = 4_000


class Steps:
    def __init__(
        self, database: Database, ledger: Ledger, recheck: Recheck, runners: Mapping[str, Runner], signer: Signer
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._recheck = recheck
        self._runners = runners
        self._signer = signer

    async def run(self, ref: StepRef) -> StepOutcome:
        """Run one step in one direction, once: a repeated call finds the receipt, or probes what the first one did."""
        async with self._database.transaction(ref.plan.org) as session:
            plan = (await plans.get(session, ref.plan.id)).plan
        step = plan.steps[ref.step]
        told = step.do if ref.direction is Direction.DO else step.undo
        if told is None:
            return StepOutcome.NOTHING
        try:
            return await self._once(plan, step, told, ref.direction)
        except StoppedError:
            return StepOutcome.STOPPED
        except (StalePlanError, LeaseLostError):
            return StepOutcome.STALE

    async def _once(self, plan: FixPlan, step: Step, told: Command, direction: Direction) -> StepOutcome:
        key = plan.key(step, direction)
        try:
            intent = await self._intend(plan, step, told, direction)
        except LeaseLostError:
            if await self._stands(plan, key):
                return StepOutcome.UNKNOWN
            raise
        if isinstance(intent, Receipt):
            return _outcome(intent.exit_code)
        command, fence, is_repeated = intent
        runner = self._runners[plan.runner]
        target = await self._expected(plan, step, direction)
        if is_repeated:
            answer, found = await runner.probe(plan, target, told, key=key)
            if answer is ProbeAnswer.DONE and found is not None:
                await self._receive(plan, step, told, direction, command, found, adopted=True)
                return _outcome(found.exit_code)
            if answer is ProbeAnswer.UNKNOWN or step.effect is EffectClass.ONCE:
                return StepOutcome.UNKNOWN
            await self._check_may_act(plan)
        result = await runner.run(plan, target, told, key=key, holder=_holder(plan), fence=fence)
        await self._receive(plan, step, told, direction, command, result, adopted=False)
        return _outcome(result.exit_code)

    async def _stands(self, plan: FixPlan, key: str) -> bool:
        """Whether a try has been made already."""
        async with self._database.transaction(plan.org) as session:
            return await remediations.command(session, key) is not None

    async def _check_may_act(self, plan: FixPlan) -> None:
        async with self._database.transaction(plan.org) as session:
            await self._recheck.check_may_act(session, plan)

    @repeatable
    async def _intend(
        self, plan: FixPlan, step: Step, told: Command, direction: Direction
    ) -> tuple[CommandId, int, bool] | Receipt:
        """The stored intent, the fence it runs under, and whether it stood before; or the receipt that is there.

        An intent that stands is asked about first: a switch stops the next effect, not the record of one that happened.
        """
        async with self._database.transaction(plan.org) as session:
            key = plan.key(step, direction)
            if (receipt := await remediations.receipt(session, key)) is not None:
                return receipt
            grant = await approvals.grant_of(session, plan.id)
            if grant is None or grant.consumed_by != _holder(plan):
                raise GrantUsedError("this remediation holds no grant for the plan")
            if await remediations.command(session, key) is None:
                await self._recheck.check_may_act(session, plan)
            hold = await hold_for(session, plan)
            fence = await remediations.take_lease(session, plan.org, step.target.key, holder=_holder(plan), for_=hold)
            fresh = CommandId.of(await new_id(session))
            command = await remediations.add_command(
                session,
                plan,
                step,
                command=fresh,
                direction=direction,
                told=told,
                grant=grant.id,
                remediation=_holder(plan),
                fence=fence,
            )
            if command == fresh:
                await enter(
                    self._ledger, session, plan, f"step.{direction}_intended", SYSTEM, {"key": key, "argv": list(told.argv)}
                )
            return command, fence, command != fresh

    async def _expected(self, plan: FixPlan, step: Step, direction: Direction) -> Target:
        """The target at the version of this remediation's last receipt there, else at the plan's."""
        async with self._database.transaction(plan.org) as session:
            receipts = await remediations.receipts(session, plan.id)
        indices = {other.index for other in plan.steps if other.target.key == step.target.key}
        own = [each for each in receipts if int(each.key.split("/")[1]) in indices]
        return step.target.model_copy(update={"version": own[-1].version}) if own else step.target

    @repeatable
    async def _receive(
        self,
        plan: FixPlan,
        step: Step,
        told: Command,
        direction: Direction,
        command: CommandId,
        result: StepResult,
        *,
        adopted: bool,
    ) -> None:
        async with self._database.transaction(plan.org) as session:
            receipt = Receipt(
                command=command,
                key=plan.key(step, direction),
                direction=direction,
                argv=told.argv,
                exit_code=result.exit_code,
                output_digest=digest(result.output),
                head=result.output[:_SHOWN],
                tail=result.output[-_SHOWN:],
                version=result.version,
                adopted=adopted,
                started_at=await remediations.started_at(session, command),
                ended_at=await now(session),
            )
            sealed = digest(receipt)
            signature = self._signer.sign(bytes.fromhex(sealed)).hex()
            if await remediations.add_receipt(session, plan.org, receipt, digest=sealed, signature=signature):
                after = {"key": receipt.key, "exit_code": receipt.exit_code, "receipt": sealed, "adopted": adopted}
                await enter(self._ledger, session, plan, f"step.{direction}_done", SYSTEM, after)


def _outcome(exit_code: int) -> StepOutcome:
    return StepOutcome.DONE if exit_code == 0 else StepOutcome.FAILED


def _holder(plan: FixPlan) -> str:
    return f"fix/{plan.org}/{plan.id}"

"""The fix catalogue: a file per remedy. What is not in it cannot be done."""

from domain.actions.replay_run import ReplayRun
from domain.actions.retry_stage import RetryStage
from domain.actions.rollback_config import RollbackConfig

CATALOG = (RetryStage(), RollbackConfig(), ReplayRun())
"""Every action, the least risky first."""

RUN_STAGE = "run_stage"
"""What the start of a stage is called where an effect is asked for; not a remedy, but it can be stopped like one."""

STOPPABLE = frozenset({RUN_STAGE, *(each.name for each in CATALOG)})
"""Every action that a kill switch can stand over."""

"""The fix catalogue: a file per remedy. What is not in it cannot be done."""

from domain.actions.replay_run import ReplayRun
from domain.actions.retry_stage import RetryStage
from domain.actions.rollback_config import RollbackConfig

CATALOG = (RetryStage(), RollbackConfig(), ReplayRun())
"""Every action, the least risky first."""

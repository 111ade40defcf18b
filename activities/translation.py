"""Turns our errors into the engine's: a refusal is final, what may pass by itself is asked again."""

from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import HealError


class Translation(Interceptor):
    """The code of an error is its type in the engine, so that whoever asked can be told which it was."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Translated(super().intercept_activity(next))


class _Translated(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await super().execute_activity(input)
        except HealError as error:
            raise ApplicationError(str(error), type=error.code, non_retryable=not error.retryable) from error

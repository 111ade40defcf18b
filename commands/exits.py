"""How a command ends: its exit code, what went wrong, and what to do next."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import httpx2
import typer
from typer.core import TyperGroup

from commands.showing import plain
from domain.errors import (
    ConflictError,
    ForbiddenError,
    HealError,
    InvalidError,
    NotFoundError,
    QuotaExceededError,
    UnauthenticatedError,
    UnavailableError,
)


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    DENIED = 3
    WAITING = 4
    NOT_FOUND = 5


class CommandError(Exception):
    """`code` is the exit code; `next_step` is a sentence or a command that helps."""

    def __init__(self, message: str, *, code: Exit = Exit.FAILED, next_step: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.next_step = next_step


_CODES: Mapping[type[HealError], Exit] = {
    InvalidError: Exit.USAGE,
    ForbiddenError: Exit.DENIED,
    NotFoundError: Exit.NOT_FOUND,
}
_STEPS: Mapping[type[HealError], str] = {
    InvalidError: "correct what is named above; --help shows an example",
    UnauthenticatedError: "the token is unknown here or has ended: name another by SUTURE_TOKEN or --token-file",
    ForbiddenError: "`suture principal me` shows your roles",
    NotFoundError: "the list command of this noun shows what there is",
    ConflictError: "look at its present state and try again",
    QuotaExceededError: "wait a moment and try again",
    UnavailableError: "`suture doctor` says what is missing",
}


class Edge(TyperGroup):
    """The root group: whatever a command refuses becomes two lines on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            raise _end(error) from None
        except HealError as error:
            raise _end(_of_heal(error)) from None
        except httpx2.TransportError as error:
            sentence = f"the connection to the API broke: {type(error).__name__}"
            raise _end(CommandError(sentence, next_step="`suture up` starts the stack; then try again")) from None
        except OSError as error:
            sentence = f"{error.filename or 'the system'}: {error.strerror or type(error).__name__}"
            raise _end(CommandError(sentence, next_step="check the path and its permissions")) from None


def finish(code: Exit) -> None:
    """End the command with `code`, when it is not a plain success."""
    if code is not Exit.OK:
        raise typer.Exit(code)


def refusal_of(status: int, problem: Mapping[str, Any], *, retry_after: str = "") -> CommandError:
    """What a refusal of the API means here."""
    code = str(problem.get("type", "")).rpartition("/")[2]
    flaws = [_flaw(each) for each in _items(problem.get("errors")) if each.get("message") != problem.get("detail")]
    detail = str(problem.get("detail") or problem.get("title") or f"the API answered {status}")
    message = "\n".join([f"{detail} [{code or status}]", *flaws])
    match status:
        case 401:
            return CommandError(message, next_step=_STEPS[UnauthenticatedError])
        case 403:
            return CommandError(message, code=Exit.DENIED, next_step=_AFTER.get(code, _STEPS[ForbiddenError]))
        case 404:
            return CommandError(message, code=Exit.NOT_FOUND, next_step=_STEPS[NotFoundError])
        case 409 | 412:
            return CommandError(message, next_step=_AFTER.get(code, _STEPS[ConflictError]))
        case 400 | 413 | 414 | 415 | 422:
            return CommandError(message, code=Exit.USAGE, next_step=_STEPS[InvalidError])
        case 429 | 503:
            return CommandError(message, next_step=f"try again in {retry_after or 'a few'} s; `suture doctor` if it stays so")
    request = plain(str(problem.get("instance") or "unknown"))
    return CommandError(message, next_step=f"the log of the API (<data>/logs/api.log) knows more under request {request}")


_AFTER = {
    "separation_of_duties": "`suture incident show` names who may approve",
    "stopped": "`suture kill-switch list` shows what is engaged and why",
    "approval_closed": "`suture plan show` says where the plan stands",
    "stale_plan": "a new plan supersedes it: `suture incident show` names it",
    "grant_used": "a grant counts once: `suture plan show` says what came of it",
}


def _of_heal(error: HealError) -> CommandError:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), Exit.FAILED)
    step = next((step for kind, step in _STEPS.items() if isinstance(error, kind)), "")
    return CommandError(str(error), code=code, next_step=step)


def _end(error: CommandError) -> typer.Exit:
    typer.echo(f"error: {plain(str(error))}", err=True)
    if error.next_step:
        typer.echo(f"next:  {error.next_step}", err=True)
    return typer.Exit(error.code)


def _items(errors: object) -> Sequence[Mapping[str, Any]]:
    return [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []


def _flaw(flaw: Mapping[str, Any]) -> str:
    return f"  {flaw.get('pointer') or 'body'}: {flaw.get('message')}"

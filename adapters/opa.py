"""Ask OPA, within two seconds and over kept-alive connections; whatever is no clear yes is a no."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from aiohttp import ClientError
from opa_client.opa_async import AsyncOpaClient
from pydantic import Field, JsonValue, StrictBool, ValidationError

from domain.base import Value
from domain.errors import ForbiddenError, InvalidError, UnavailableError
from domain.policy import (
    ApprovalFacts,
    ApprovalRule,
    AuthorizationFacts,
    AutonomyFacts,
    DecisionFacts,
    PolicyAnswer,
    PreflightFacts,
    Reason,
    Refusal,
    Tier,
)

PATIENCE = timedelta(seconds=2)
_UNDEFINED = Reason(code="PO001", msg="policy has no usable answer, so the answer is no")


class Answer(Value):
    """What one rule says, and the revision of the bundle that says it; a rule may say nothing at all."""

    value: JsonValue = None
    is_defined: bool
    revision: str


class OpaPolicy:
    """The policy engine at `url`; answers count only from the bundle named `bundle`."""

    def __init__(self, url: str, *, token: str | None = None, bundle: str = "suture", patience: timedelta = PATIENCE) -> None:
        self._bundle = bundle
        self._patience = patience.total_seconds()
        self._client = _client(url, token, self._patience)
        self._opening = asyncio.Lock()
        self._is_open = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back; the next question opens new ones."""
        async with self._opening:
            await self._client.close_connection()
            self._is_open = False

    async def ask(self, package: str, rule: str, question: Mapping[str, JsonValue]) -> Answer:
        """What `rule` of `package` says about `question`, and the revision that says it.

        Raises:
            UnavailableError: OPA is out of reach, slow, failing or without its bundle.
        """
        try:
            async with asyncio.timeout(self._patience):
                said = await self._post(package, rule, question)
        except TimeoutError as error:
            raise UnavailableError(f"the policy engine gave no answer within {self._patience:g} s") from error
        except (ClientError, OSError, ValueError) as error:
            raise UnavailableError(f"the policy engine is out of reach or failing: {type(error).__name__}") from error
        return Answer(value=said.result, is_defined=said.is_defined, revision=self._revision_of(said))

    async def revision(self) -> str:
        """The revision of the policy in force.

        Raises:
            UnavailableError: as for `ask`.
        """
        return (await self.ask("suture.authz", "allow", {})).revision

    async def authorize(self, facts: AuthorizationFacts) -> Refusal:
        """Why the principal may not do the act; empty when allowed."""
        return _refusal(await self.ask("suture.authz", "answer", _json(facts)))

    async def autonomy(self, facts: AutonomyFacts) -> PolicyAnswer:
        """Whether the plan runs alone, needs a person, or may not run."""
        answer = await self.ask("suture.autonomy", "decision", _json(facts))
        try:
            return PolicyAnswer.model_validate(_object(answer) | {"revision": answer.revision})
        except ValidationError:
            return PolicyAnswer(tier=Tier.BLOCK, reasons=(_UNDEFINED,), revision=answer.revision, rule="undefined")

    async def approval_rule(self, facts: ApprovalFacts) -> ApprovalRule:
        """What agreeing to the plan takes.

        Raises:
            ForbiddenError: policy names nobody who could agree to it.
        """
        answer = await self.ask("suture.approval", "rule", _json(facts))
        demands = {name.removesuffix("_s"): value for name, value in _object(answer).items()}
        if demands.pop("tier", None) != Tier.HUMAN:
            raise ForbiddenError("policy names nobody who may approve this plan")
        try:
            return ApprovalRule.model_validate(demands | {"revision": answer.revision})
        except ValidationError as error:
            raise ForbiddenError("policy names nobody who may approve this plan: its rule is malformed") from error

    async def may_decide(self, facts: DecisionFacts) -> Refusal:
        """Why the principal may not decide on the plan; empty when allowed."""
        return _refusal(await self.ask("suture.approval", "answer", _json(facts)))

    async def preflight(self, facts: PreflightFacts) -> Refusal:
        """What speaks against the plan as things stand now; empty when nothing does."""
        return _refusal(await self.ask("suture.preflight", "answer", _json(facts)))

    async def _post(self, package: str, rule: str, question: Mapping[str, JsonValue]) -> "_Said":
        async with self._opening:
            if not self._is_open:
                await self._client.__aenter__()
                self._is_open = True
        said = await self._client.query_rule(dict(question), package, rule, query_params={"provenance": "true"})
        return _Said.model_validate(said)

    def _revision_of(self, said: "_Said") -> str:
        bundle = said.provenance.bundles.get(self._bundle)
        if bundle is None or not bundle.revision:
            raise UnavailableError(f"the policy engine has no bundle named {self._bundle} with a revision")
        return bundle.revision


class _Lenient(Value):
    """The part we read of what OPA sends; it may send more."""

    model_config = Value.model_config | {"extra": "ignore"}


class _Bundle(_Lenient):
    revision: str = ""


class _Provenance(_Lenient):
    bundles: dict[str, _Bundle] = Field(default_factory=dict)


class _Said(_Lenient):
    result: JsonValue = None
    provenance: _Provenance = _Provenance()

    @property
    def is_defined(self) -> bool:
        return "result" in self.model_fields_set


def _client(url: str, token: str | None, patience: float) -> AsyncOpaClient:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidError(f"expected the policy engine as http(s)://host:port: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise InvalidError("expected the policy engine as http(s)://host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_encrypted = parts.scheme == "https"
    port = port or (443 if is_encrypted else 80)
    # One retry: a kept-alive connection may have died with the server that was behind it.
    return AsyncOpaClient(host=host, port=port, ssl=is_encrypted, token=token, retries=1, timeout=patience)


def _json(facts: Value) -> dict[str, JsonValue]:
    return facts.model_dump(mode="json")


def _object(answer: Answer) -> dict[str, JsonValue]:
    return answer.value if isinstance(answer.value, dict) else {}


def _refusal(answer: Answer) -> Refusal:
    """An allowance takes `allow` and an empty `deny`; any other form is a no."""
    try:
        verdict = _Verdict.model_validate(answer.value)
    except ValidationError:
        return (_UNDEFINED,)
    if verdict.allow or verdict.deny:
        return verdict.deny
    return (_UNDEFINED,)


class _Verdict(Value):
    allow: StrictBool
    deny: tuple[Reason, ...]

"""Who calls: tokens, which are checked against the database every time and never remembered."""

import hmac
import re
import secrets
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import OrgId, PrincipalId, TokenId
from domain.errors import ForbiddenError, UnauthenticatedError
from domain.identity import Allowance, Caller, Principal, Role, Token
from domain.principals import IssuedToken, NewToken, check_may_grant
from services.guard import DEFAULT_QUOTAS
from services.ledger import Ledger
from storage import identity, quotas, tokens
from storage.engine import Database, new_id, now, repeatable

_TOKEN = re.compile(r"sut_(?P<org>[0-9a-z]{26})_(?P<id>[0-9a-z]{26})_(?P<secret>[0-9a-f]{64})", re.ASCII)
_LENT = re.compile(r"[0-9a-z]{26}\.[0-9a-z]{26}\.[0-9]{1,12}\.[0-9a-f]{32}\.[0-9a-f]{64}", re.ASCII)
_REFUSAL = "the credential is unknown, expired or revoked"
_LEAST_KEY = 32


class Identity:
    """`hmac_key` is a secret of the installation: whoever has the database without it can forge nothing."""

    def __init__(self, database: Database, ledger: Ledger, *, hmac_key: bytes) -> None:
        if len(hmac_key) < _LEAST_KEY:
            raise ValueError(f"expected an HMAC key of at least {_LEAST_KEY} bytes, got {len(hmac_key)}")
        self._database = database
        self._ledger = ledger
        self._key = hmac.digest(hmac_key, b"suture token", "sha256")

    @repeatable
    async def authenticate(self, token: str) -> Caller:
        """The principal as this token presents it.

        Raises:
            UnauthenticatedError: always the same sentence, whatever is wrong.
        """
        org, _, _ = parts = _read(token)
        async with self._database.transaction(org) as session:
            return await self._verified(session, *parts)

    @repeatable
    async def admit(self, token: str) -> tuple[Caller, Allowance]:
        """The same, and what this request leaves of the org's `requests` in this minute; it is for the edge to refuse.

        Raises:
            UnauthenticatedError: always the same sentence, whatever is wrong; nothing is counted.
        """
        org, _, _ = parts = _read(token)
        async with self._database.transaction(org) as session:
            caller = await self._verified(session, *parts)
            return caller, await quotas.allowance(session, org, "requests", default=DEFAULT_QUOTAS["requests"])

    async def _verified(self, session: AsyncSession, org: OrgId, token_id: TokenId, secret: str) -> Caller:
        expected = self._mac(org, token_id, secret)
        known = await tokens.credential(session, token_id)
        matches = hmac.compare_digest(known.hmac if known else bytes(len(expected)), expected)
        if known is None or not matches or not known.counts:
            raise UnauthenticatedError(_REFUSAL)
        if known.is_seen_long_ago:
            await tokens.touch(session, token_id)
        scopes = frozenset(known.token.scopes)
        return Caller(principal=known.principal, token=token_id, issuer=known.token.issuer, scopes=scopes)

    async def again(self, caller: Caller) -> Caller:
        """The caller as its token presents it now.

        Raises:
            UnauthenticatedError: it counts no more.
        """
        return await self._present(caller.org, caller.token)

    async def lend(self, caller: Caller, purpose: str, lasts: timedelta) -> str:
        """A text that stands for the caller's token, for one purpose and a short time."""
        async with self._database.transaction(caller.org) as session:
            until = int((await now(session) + lasts).timestamp())
        claim = f"{_bare(caller.org)}.{_bare(caller.token)}.{until}.{secrets.token_hex(16)}"
        return f"{claim}.{self._seal(purpose, claim)}"

    async def borrowed(self, text: str, purpose: str) -> Caller:
        """Whom a lent text stands for, while it lasts and the token behind it counts.

        Raises:
            UnauthenticatedError: always the same sentence, whatever is wrong.
        """
        claim, _, seal = text.rpartition(".")
        if _LENT.fullmatch(text) is None or not hmac.compare_digest(seal, self._seal(purpose, claim)):
            raise UnauthenticatedError(_REFUSAL)
        org, token, until, _ = claim.split(".")
        known = OrgId.of(f"org_{org}")
        async with self._database.transaction(known) as session:
            if int(until) <= (await now(session)).timestamp():
                raise UnauthenticatedError(_REFUSAL)
        return await self._present(known, TokenId.of(f"tok_{token}"))

    def derived_key(self, purpose: str) -> bytes:
        """A key of the installation for one purpose; it says nothing about the others."""
        return hmac.digest(self._key, f"suture {purpose}".encode(), "sha256")

    async def _present(self, org: OrgId, token_id: TokenId) -> Caller:
        async with self._database.transaction(org) as session:
            known = await tokens.credential(session, token_id)
        if known is None or not known.counts:
            raise UnauthenticatedError(_REFUSAL)
        scopes = frozenset(known.token.scopes)
        return Caller(principal=known.principal, token=token_id, issuer=known.token.issuer, scopes=scopes)

    def _seal(self, purpose: str, claim: str) -> str:
        return hmac.new(self.derived_key(purpose), claim.encode(), "sha256").hexdigest()

    @repeatable
    async def create_token(self, caller: Caller, wanted: NewToken) -> IssuedToken:
        """A token for oneself, for a service account of one's own or, by an admin, for anybody; its secret is shown once.

        Raises:
            ForbiddenError: somebody else's token, or a scope that the caller's own token lacks.
            NotFoundError: no such principal.
        """
        check_may_grant(caller, wanted.scopes)
        async with self._database.transaction(caller.org) as session:
            principal = await identity.get_principal(session, wanted.principal)
            _check_may_hand_out(caller, principal)
            return await self.issue(session, principal, wanted, issuer=caller.id, actor=Actor.calling(caller))

    async def issue(
        self, session: AsyncSession, principal: Principal, wanted: NewToken, *, issuer: PrincipalId, actor: Actor
    ) -> IssuedToken:
        """Store the token of a principal whose right to it has been checked."""
        token_id, secret = TokenId.of(await new_id(session)), secrets.token_hex(32)
        token = await tokens.add(
            session,
            principal,
            token=token_id,
            issuer=issuer,
            hmac=self._mac(principal.org, token_id, secret),
            scopes=wanted.scopes,
            expires_in=wanted.expires_in,
        )
        await self._enter(session, principal.org, "token.created", actor, token)
        shown = f"sut_{_bare(principal.org)}_{_bare(token_id)}_{secret}"
        return IssuedToken(token=token, secret=SecretStr(shown))

    async def list_tokens(
        self, caller: Caller, *, principal: PrincipalId | None = None, after: TokenId | None = None, limit: int = 50
    ) -> list[Token]:
        """An admin sees everybody's, others their own."""
        if Role.ADMIN not in caller.principal.roles:
            principal = caller.id
        async with self._database.transaction(caller.org) as session:
            return await tokens.find(session, principal=principal, after=after, limit=limit)

    @repeatable
    async def revoke_token(self, caller: Caller, token_id: TokenId) -> Token:
        """From now on it counts no more; revoking it again changes nothing.

        Raises:
            NotFoundError, ForbiddenError: no such token, or somebody else's.
        """
        async with self._database.transaction(caller.org) as session:
            token = await tokens.get_for_update(session, token_id)
            if caller.id not in {token.principal, token.issuer}:
                _check_may_hand_out(caller, await identity.get_principal(session, token.principal))
            if token.revoked_at is not None:
                return token
            revoked = await tokens.revoke(session, token_id)
            await self._enter(session, caller.org, "token.revoked", Actor.calling(caller), revoked)
            return revoked

    def _mac(self, org: OrgId, token_id: TokenId, secret: str) -> bytes:
        return hmac.digest(self._key, f"{org.shown} {token_id.shown} {secret}".encode(), "sha256")

    async def _enter(self, session: AsyncSession, org: OrgId, action: str, actor: Actor, token: Token) -> None:
        resource = token.id.shown
        await self._ledger.append(session, org, action, actor=actor, resource_type="token", resource_id=resource, after=token)


def _read(token: str) -> tuple[OrgId, TokenId, str]:
    found = _TOKEN.fullmatch(token)
    try:
        if found is None:
            raise UnauthenticatedError(_REFUSAL)
        return OrgId.of(f"org_{found['org']}"), TokenId.of(f"tok_{found['id']}"), found["secret"]
    except ValueError:
        raise UnauthenticatedError(_REFUSAL) from None


def _bare(identifier: OrgId | TokenId) -> str:
    return identifier.shown.partition("_")[2]


def _check_may_hand_out(caller: Caller, principal: Principal) -> None:
    if caller.id in {principal.id, principal.owner} or Role.ADMIN in caller.principal.roles:
        return
    raise ForbiddenError("tokens of others are for their owner and for admins")

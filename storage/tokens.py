"""Tokens as rows: an HMAC, never the secret."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Column, Text, func, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import PrincipalId, TokenId, Value
from domain.errors import NotFoundError
from domain.identity import Principal, Token
from storage.engine import moment
from storage.identity import OrgRow, PrincipalRow, to_principal

_USED_AGAIN = timedelta(minutes=1)


class TokenRow(SQLModel, table=True):
    __tablename__ = "tokens"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    principal_id: UUID
    issuer_id: UUID
    hmac: bytes
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment())
    expires_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    last_used_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class Credential(Value):
    """What is known about a presented token; `counts` by the database's clock, if its secret matches."""

    token: Token
    principal: Principal
    hmac: bytes
    counts: bool
    is_seen_long_ago: bool


async def credential(session: AsyncSession, token: TokenId) -> Credential | None:
    now = func.suture.now()
    expired = func.coalesce(col(TokenRow.expires_at) <= now, False)
    counts = col(TokenRow.revoked_at).is_(None) & ~expired & col(PrincipalRow.is_active) & col(OrgRow.is_active)
    long_ago = func.coalesce(col(TokenRow.last_used_at) < now - _USED_AGAIN, True)
    owner = (col(PrincipalRow.org_id) == TokenRow.org_id) & (col(PrincipalRow.id) == TokenRow.principal_id)
    statement = select(TokenRow, PrincipalRow, counts, long_ago).join(PrincipalRow, owner)
    statement = statement.join(OrgRow, col(OrgRow.id) == TokenRow.org_id).where(TokenRow.id == token)
    found = (await session.execute(statement)).first()
    if found is None:
        return None
    row, principal, is_good, is_old = found
    return Credential(
        token=_to_token(row), principal=to_principal(principal), hmac=row.hmac, counts=is_good, is_seen_long_ago=is_old
    )


async def touch(session: AsyncSession, token: TokenId) -> None:
    await session.execute(update(TokenRow).where(col(TokenRow.id) == token).values(last_used_at=func.suture.now()))


async def add(
    session: AsyncSession,
    principal: Principal,
    *,
    token: TokenId,
    issuer: PrincipalId,
    hmac: bytes,
    scopes: tuple[str, ...],
    expires_in: timedelta | None,
) -> Token:
    values = {
        "org_id": principal.org,
        "id": token,
        "principal_id": principal.id,
        "issuer_id": issuer,
        "hmac": hmac,
        "scopes": list(scopes),
        "expires_at": None if expires_in is None else func.suture.now() + expires_in,
    }
    row = (await session.scalars(insert(TokenRow).values(values).returning(TokenRow))).one()
    return _to_token(row)


async def get_for_update(session: AsyncSession, token: TokenId) -> Token:
    """Raises NotFoundError: no such token in the caller's org."""
    row = await session.scalar(select(TokenRow).where(TokenRow.id == token).with_for_update())
    if row is None:
        raise NotFoundError(f"no token {token.shown}")
    return _to_token(row)


async def find(session: AsyncSession, *, principal: PrincipalId | None, after: TokenId | None, limit: int) -> list[Token]:
    statement = select(TokenRow).order_by(col(TokenRow.id)).limit(limit)
    if principal is not None:
        statement = statement.where(TokenRow.principal_id == principal)
    if after is not None:
        statement = statement.where(col(TokenRow.id) > after)
    return [_to_token(row) for row in await session.scalars(statement)]


async def revoke(session: AsyncSession, token: TokenId) -> Token:
    statement = update(TokenRow).where(col(TokenRow.id) == token).values(revoked_at=func.suture.now()).returning(TokenRow)
    return _to_token((await session.scalars(statement, execution_options={"populate_existing": True})).one())


async def issuers(session: AsyncSession, principal: PrincipalId) -> frozenset[PrincipalId]:
    """Everybody who ever issued this principal a token."""
    rows = await session.scalars(select(TokenRow.issuer_id).where(TokenRow.principal_id == principal).distinct())
    return frozenset(PrincipalId.of(row) for row in rows)


def _to_token(row: TokenRow) -> Token:
    return Token.model_validate(
        row.model_dump(include={"id", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"})
        | {"principal": row.principal_id, "issuer": row.issuer_id}
    )

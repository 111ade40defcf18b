"""Sign every org's ledger that has grown since its newest checkpoint, so that a tail cut off afterwards is found."""

import asyncio
import logging
from datetime import timedelta

from domain.base import OrgId
from domain.errors import ConflictError, InvalidError
from services.audit import Audit
from storage.upkeep import Heads

_EACH_WITHIN = timedelta(minutes=1)
_BATCH = 500

log = logging.getLogger("suture.checkpoints")


class Checkpoints:
    def __init__(self, heads: Heads, audit: Audit) -> None:
        self._heads = heads
        self._audit = audit

    async def sign_grown(self) -> int:
        """How many ledgers were signed; one that is not whole is named in the log and holds up no other."""
        signed, after = 0, OrgId(int=0)
        while heads := await self._heads.page(after=after, limit=_BATCH):
            for org, size in heads:
                signed += await self._sign(org, size)
            after = heads[-1][0]
        return signed

    async def _sign(self, org: OrgId, size: int) -> bool:
        """A ledger that is shorter than what was signed is looked at, too: that is what a cut tail looks like."""
        try:
            async with asyncio.timeout(_EACH_WITHIN.total_seconds()):
                if await self._audit.signed_size(org) == size:
                    return False
                await self._audit.checkpoint(org)
        except (ConflictError, InvalidError) as error:
            log.error("a ledger is not whole", extra={"org": org.shown, "reason": str(error)})  # noqa: TRY400 - no fault of ours
            return False
        except TimeoutError:
            log.warning("a ledger was not signed in time", extra={"org": org.shown, "entries": size})
            return False
        except OSError as error:
            log.error("a checkpoint cannot be kept", extra={"org": org.shown, "error": type(error).__name__})  # noqa: TRY400
            return False
        return True

"""One redactor for each org, whose marks no other org's tell anything about."""

import hmac
from functools import lru_cache

from adapters.redaction.redactor import Redactor
from domain.base import OrgId

_REMEMBERED = 1_024


class OrgRedactors:
    """Implements `services.ports.Redactors`. The key of an org follows from the installation's and never changes.

    Data keys would not do: they are rotated, and the same value would get another mark.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.of = lru_cache(maxsize=_REMEMBERED)(self._made)

    def _made(self, org: OrgId) -> Redactor:
        return Redactor.for_org(hmac.digest(self._key, b"suture redaction|" + org.bytes, "sha256"))

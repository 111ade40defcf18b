"""One redactor for each org, whose marks no other org's tell anything about."""

import hmac
from functools import lru_cache

from pydantic import ValidationError

from adapters.redaction.extra import ExtraRule
from adapters.redaction.redactor import Redactor
from domain.base import OrgId
from domain.redaction import RedactionFlaw, RedactionPolicy

_REMEMBERED = 1_024


class OrgRedactors:
    """Implements `services.ports.Redactors`. The key of an org follows from the installation's and never changes.

    Data keys would not do: they are rotated, and the same value would get another mark.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.of = lru_cache(maxsize=_REMEMBERED)(self._made)

    def flaw(self, policy: RedactionPolicy) -> RedactionFlaw | None:
        for number, rule in enumerate(policy.rules):
            try:
                ExtraRule(kind=rule.kind, pattern=rule.pattern)
            except ValidationError as error:
                reason = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
                return RedactionFlaw(pointer=f"/rules/{number}/pattern", reason=reason)
        return None

    def _made(self, org: OrgId, policy: RedactionPolicy) -> Redactor:
        key = hmac.digest(self._key, b"suture redaction|" + org.bytes, "sha256")
        rules = [ExtraRule(kind=each.kind, pattern=each.pattern) for each in policy.rules]
        return Redactor.for_org(key, rules, hide_ips=policy.hide_ips)

"""The one org of the recorded histories, and its key: fixed, public, and used for nothing else."""

import hashlib
from pathlib import Path

from domain.base import OrgId

ORG = OrgId("00000000-5077-7e57-8057-000000000001")
HISTORIES = Path(__file__).parent / "histories"
_KEY = hashlib.sha256(b"the key of the recorded histories").digest()
_KEY_ID = "recorded"


class FixedKeyring:
    """Implements `adapters.codec.Keyring`."""

    async def current(self, org: OrgId | None) -> tuple[str, bytes]:
        return _KEY_ID, _KEY

    async def get(self, org: OrgId | None, key_id: str) -> bytes:
        if (org, key_id) != (ORG, _KEY_ID):
            raise KeyError(f"expected the recorded org and key, got {org} and {key_id}")
        return _KEY

"""What stands for a value that cannot be redacted: its digest, by which it can be recognised and not be read."""

import hashlib
import json

from pydantic import JsonValue

from adapters.redaction.scanner import HIDDEN


def digest_of(value: JsonValue) -> str:
    """A text by its own digest, anything else by that of its JSON; what nests too deep for that is hidden."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    except (RecursionError, TypeError, ValueError):
        return HIDDEN
    return f"<DIGEST:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}>"

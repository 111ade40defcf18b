"""Ask a server whether it is well."""

import asyncio
import ssl
from datetime import timedelta
from urllib.parse import urlsplit

_PATIENCE = timedelta(seconds=2)


async def is_well(url: str) -> bool:
    """Whether an `http://` or `https://` address answers with a 2xx within two seconds.

    A certificate counts when the machine's authorities vouch for it; `SSL_CERT_FILE` names others.
    """
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            return 200 <= await _status(url) < 300
    except (OSError, ValueError, TimeoutError):
        return False


async def _status(url: str) -> int:
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    secured = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if secured else 80), ssl=secured)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
    return int((line.split() or [b"", b"0"])[1])

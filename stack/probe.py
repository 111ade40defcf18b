"""Ask a server on this machine whether it is well."""

import asyncio
from datetime import timedelta
from urllib.parse import urlsplit

_PATIENCE = timedelta(seconds=2)


async def is_well(url: str) -> bool:
    """Whether an `http://` address answers with a 2xx within two seconds."""
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            return 200 <= await _status(url) < 300
    except (OSError, ValueError, TimeoutError):
        return False


async def _status(url: str) -> int:
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
    return int((line.split() or [b"", b"0"])[1])

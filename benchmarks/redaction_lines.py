"""Log lines made from a seed: about 124 characters each, two thirds of them with something to take out."""

import base64
import json
import random
from collections.abc import Callable

CLEAN_SHARE = 0.33
_LENGTH = 124
_SERVICES = ("orders", "travel", "auth", "payment", "basic-info", "route-plan")
_CLASSES = ("o.a.k.c.NetworkClient", "com.acme.orders.OrderServiceImpl", "java.net.SocketInputStream", "io.netty.channel.Loop")
_DOINGS = (
    "took {n} ms for {n} rows in partition {n}",
    "retrying attempt {n} of 5 after status 503",
    "GET /api/v1/{s}/{n}/items?page={n} 200",
    "commit {sha} deployed",
    "leader of epoch {n} is replica {n}, offset {n}",
    "read /var/lib/{s}/segments/{n}.log at {n}",
)
_BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def mixed_lines(count: int, *, seed: int = 7) -> list[str]:
    """A third clean, the others with one secret or personal value, sometimes with two."""
    draw = random.Random(seed)
    return [_line(draw, "" if draw.random() < CLEAN_SHARE else _held(draw)) for _ in range(count)]


def clean_lines(count: int, *, seed: int = 8) -> list[str]:
    draw = random.Random(seed)
    return [_line(draw, "") for _ in range(count)]


def _line(draw: random.Random, held: str) -> str:
    at = f"2026-03-{draw.randint(10, 28)}T{draw.randint(10, 23)}:{draw.randint(10, 59)}:07.{draw.randint(100, 999)}Z"
    start = f"{at} {draw.choice(('INFO', 'WARN', 'ERROR'))} {draw.choice(_CLASSES)} trace={draw.getrandbits(64):016x} "
    doing = draw.choice(_DOINGS).format(n=draw.randint(1, 9_999), s=draw.choice(_SERVICES), sha=f"{draw.getrandbits(160):040x}")
    line = f"{start}{held} {doing}" if held else f"{start}{doing}"
    return line[: max(_LENGTH, len(start) + len(held))].ljust(_LENGTH - 8, ".")


def _held(draw: random.Random) -> str:
    makers = _MAKERS if draw.random() < 0.9 else (_pair,)
    return draw.choice(makers)(draw)


def _pair(draw: random.Random) -> str:
    return f"{draw.choice(_MAKERS)(draw)} {draw.choice(_MAKERS)(draw)}"


def _letters(draw: random.Random, count: int, alphabet: str = _BASE62) -> str:
    return "".join(draw.choices(alphabet, k=count))


def _email(draw: random.Random) -> str:
    return f"user {_letters(draw, 6).lower()}.{_letters(draw, 5).lower()}@{draw.choice(_SERVICES)}.example.com"


def _ip(draw: random.Random) -> str:
    return f"from {'.'.join(str(draw.randint(11, 223)) for _ in range(4))}:{draw.randint(1024, 65_535)}"


def _phone(draw: random.Random) -> str:
    return f"sms to +{draw.randint(1, 99)} {draw.randint(100, 999)} {draw.randint(100, 999)} {draw.randint(1000, 9999)}"


def _card(draw: random.Random) -> str:
    body = f"4{draw.randint(0, 10**14 - 1):014d}"
    doubled = sum(sum(divmod(int(each) * (2 - at % 2), 10)) for at, each in enumerate(body))
    return f"card {body}{-doubled % 10}"


def _json_token(draw: random.Random) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256"}).encode()).decode().rstrip("=")
    return f"USER TOKEN: {header}.{_letters(draw, 24)}.{_letters(draw, 16)}"


def _named(draw: random.Random) -> str:
    return f"{draw.choice(('password', 'api_key', 'client_secret', 'access_token'))}={_letters(draw, 14)}"


def _url(draw: random.Random) -> str:
    return f"postgresql://app:{_letters(draw, 12)}@{draw.choice(_SERVICES)}-db:5432/app"


def _access_token(draw: random.Random) -> str:
    return f"ghp_{_letters(draw, 36)}"


def _bearer(draw: random.Random) -> str:
    return f"Authorization: Bearer {_letters(draw, 32)}"


_MAKERS: tuple[Callable[[random.Random], str], ...] = (
    _email,
    _ip,
    _phone,
    _card,
    _json_token,
    _named,
    _url,
    _access_token,
    _bearer,
)

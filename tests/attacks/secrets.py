"""Twenty kinds of credentials, made anew for each run, and ordinary words that only look a little like them."""

import base64
import json
import random
import string
from typing import NamedTuple

_ANY, _CAPITALS, _HEX = string.ascii_letters + string.digits, string.ascii_uppercase + string.digits, "0123456789abcdef"


class Planted(NamedTuple):
    """`whole` is as it stands in a text, `core` the part that nobody may find anywhere."""

    whole: str
    core: str


def secrets_of(seed: int) -> dict[str, Planted]:
    dice = random.Random(seed)

    def run(length: int, letters: str = _ANY) -> str:
        return "".join(dice.choice(letters) for _ in range(length - 3)) + "aZ7"

    def alone(text: str) -> Planted:
        return Planted(text, text)

    def within(before: str, core: str, after: str = "") -> Planted:
        return Planted(f"{before}{core}{after}", core)

    basic = base64.b64encode(f"user:{run(13)}".encode()).decode()
    claims = base64.urlsafe_b64encode(json.dumps({"sub": run(9)}).encode()).decode().rstrip("=")
    return {
        "AWS": within("AKIA", "".join(dice.choice(_CAPITALS) for _ in range(16))),
        "GitHub": alone("ghp_" + run(36)),
        "GitHub, fine-grained": alone(f"github_pat_{run(22)}_{run(59)}"),
        "GitLab": alone("glpat-" + run(20)),
        "Slack": alone(f"xoxb-{dice.randrange(10**10, 10**11)}-{run(24)}"),
        "Stripe": alone("sk_live_" + run(24)),
        "Google": alone("AIza" + run(35)),
        "JWT": within(f"eyJhbGciOiJIUzI1NiJ9.{claims}.", run(43)),
        "npm": alone("npm_" + run(36)),
        "PyPI": alone("pypi-" + run(60)),
        "SendGrid": alone(f"SG.{run(22)}.{run(43)}"),
        "Hugging Face": alone("hf_" + run(34)),
        "Vault": alone("hvs." + run(24)),
        "Databricks": alone("dapi" + "".join(dice.choice(_HEX) for _ in range(32))),
        "ours": alone("sut_" + run(40)),
        "password of a URL": within("postgres://app:", run(14), "@db.internal/shop"),
        "basic": within("Authorization: Basic ", basic),
        "bearer": within("Authorization: Bearer ", run(32)),
        "named": within("password=", run(12)),
        "PEM": within("-----BEGIN RSA PRIVATE KEY-----\n", run(64), f"\n{run(40)}\n-----END RSA PRIVATE KEY-----"),
        "random": alone(run(40)),
    }


ORDINARY = tuple(
    """
checkout failed after 3 retries
connection to db-primary-0.shop.svc.cluster.local:5432 refused
HTTP 503 Service Unavailable
order 4711 of customer 12 has no price
java.lang.NullPointerException: Cannot invoke "Order.total()" because "order" is null
at com.example.shop.CheckoutController.checkout(CheckoutController.java:42)
KeyError: 'amount'
disk /dev/sda1 is 93% full
File "/srv/shop/checkout.py", line 214, in charge
deployment shop-api-6f7c9d8b5-x2x9z scaled to 4 replicas
latency_p99_ms
OOMKilled
commit 9fceb02d0ae598e95dc970b74767f19372d61af8 deployed
request 7d4f0b1e-3c55-4c2e-9f0e-0a7e6c1d2b3a took 512 ms
token bucket is empty
the password was wrong
no secret is mounted
authorization failed
cache key user:42:cart expired
s3://shop-data/orders/2026/11/27/part-00001.parquet
kafka lag of topic orders.v2 partition 7 is 1024
SELECT id, total FROM orders WHERE created_at > $1
ECONNRESET
upstream prematurely closed connection
GET /api/v1/orders?limit=50
sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
TypeError: unsupported operand type(s) for +: 'int' and 'str'
job nightly-export finished in 00:12:31
worker-3 lost its lease
schema orders has no column discount
2 of 3 replicas are up
io.netty.channel.AbstractChannelHandlerContext.invokeChannelRead
ValueError: could not convert string to float: 'n/a'
pod shop-worker-0 evicted: The node was low on resource: memory
certificate expires in 13 days
rollback to version 1.42.0-rc.1
queue depth 18342 exceeds 10000
gc pause 1.2 s
p95=412ms p99=987ms
retrying in 30s (attempt 4/5)
cron 0 3 * * * skipped
invalid literal for int() with base 10: '12,5'
tls: handshake failure
NXDOMAIN payments.internal
exit status 137
""".strip().splitlines()
)
"""What operators read every day."""

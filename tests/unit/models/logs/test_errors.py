"""The signature of an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.logs.errors import VERSION, ErrorSignature, kinship, said
from models.logs.miner import Miner
from models.logs.records import read

PYTHON = """\
{time} {host} api[{n}]: ERROR order {id} failed
Traceback (most recent call last):
  File "/srv/releases/{n}/app/orders.py", line {n}, in place
    store.save(order)
  File "/usr/lib/python3.11/socket.py", line {n}, in connect
ConnectionRefusedError: [Errno 111] Connection refused by {ip}:5432
"""
JAVA = """\
{time} ERROR [http-{n}] c.acme.Orders - order {id} failed on {host}-{n}.internal
com.acme.OrderFailed: order {id}
\tat com.acme.Store$$EnhancerBySpring$${hex}.save(<generated>)
\tat com.acme.Orders.lambda$place${n}(Orders.java:{n})
Caused by: java.sql.SQLException: deadlock of {n}
\tat com.mysql.cj.Statement.execute(Statement.java:{n})
\t... {n} more
"""
JSON = """\
{{"level": 50, "time": {n}, "pid": {n}, "hostname": "{host}", "msg": "order {id} failed", "code": "E_STOCK",
"trace_id": "{hex}"}}
"""
GO = """\
panic: order {id}: no stock

goroutine {n} [running]:
acme.dev/shop.(*Server).handle.func{n}(0x{hex}, {{0x1, 0x2}})
\t/home/{host}/shop/server.go:{n} +0x{n}
"""

PLACES = st.fixed_dictionaries(
    {
        "time": st.datetimes().map(lambda at: at.strftime("%b %d %H:%M:%S") if at.day > 9 else "Jan 11 00:00:00"),
        "host": st.sampled_from(["web", "node", "alpha", "worker"]),
        "n": st.integers(1, 99_999),
        "id": st.uuids() | st.integers(0),
        "ip": st.ip_addresses(v=4),
        "hex": st.integers(2**60, 2**64 - 1).map(lambda each: f"{each:x}0"),
    }
)


ONCE = {"time": "Jan 11 00:00:00", "host": "web", "n": 7, "id": 8, "ip": "10.0.0.1", "hex": "1f"}


def signature(text: str) -> ErrorSignature:
    return ErrorSignature.of(read(text))


@pytest.mark.parametrize("form", [PYTHON, JSON, GO])
@given(first=PLACES, second=PLACES)
def test_the_same_failure_has_one_signature(form, first, second):
    """Other hosts, ids, times, processes, releases and lines of code do not matter."""
    assert signature(form.format(**first)) == signature(form.format(**second))


@given(first=PLACES, second=PLACES)
def test_numbers_of_a_compiler_do_not_matter(first, second):
    """Generated classes and lambdas are numbered anew by every build."""
    host = {"host": "web"}

    assert signature(JAVA.format(**first | host)) == signature(JAVA.format(**second | host))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ERROR order 7 failed", "ERROR order 7 refused"),
        ("ERROR upstream said HTTP 503", "ERROR upstream said HTTP 404"),
        ("ERROR exit code 137", "ERROR exit code 1"),
        ("ERROR ORA-00942: no", "ERROR ORA-00001: no"),
        ("ERROR [Errno 111] no", "ERROR [Errno 113] no"),
        ("ERROR SQLSTATE[42P01] no", "ERROR SQLSTATE[42703] no"),
        ("x (0x80131904): no", "x (0x80131500): no"),
        ("ValueError: no", "TypeError: no"),
        ('{"msg": "no", "code": 14}', '{"msg": "no", "code": 4}'),
        ('{"msg": "no", "err": {"message": "a"}}', '{"msg": "no", "err": {"message": "b"}}'),
    ],
)
def test_different_causes_have_different_signatures(one, other):
    """A code, a type or a word that differs is another error."""
    assert signature(one).digest != signature(other).digest


@pytest.mark.parametrize(
    ("form", "this", "that"),
    [
        (PYTHON, "in place", "in cancel"),
        (PYTHON, "orders.py", "carts.py"),
        (PYTHON, "Errno 111", "Errno 113"),
        (JAVA, "deadlock", "duplicate"),
        (JAVA, "java.sql.SQLException", "java.io.IOException"),
        (JAVA, "save(", "load("),
        (GO, "handle", "serve"),
    ],
)
def test_another_place_or_root_cause_is_another_error(form, this, that):
    """Where it broke and what broke first count, however alike the rest is."""
    assert signature(form.format(**ONCE)).digest != signature(form.replace(this, that).format(**ONCE)).digest


def test_a_signature_says_what_it_is_made_of():
    """People see why two errors are one."""
    found = signature(PYTHON.format(**ONCE))

    assert (found.version, found.code) == (VERSION, "ConnectionRefusedError/111")
    assert found.template == "order <*> failed: [Errno <*>] Connection refused by <*>"
    assert found.frame == "place app/orders.py"


def test_the_digest_never_changes():
    """Stored signatures stay good: a change of this digest needs another version."""
    expected = "4d222fe95b65bb6f0d40f61e820ad51e4562b1e13f2692827596502efd25a775"

    assert signature("ERROR order 7 failed with status 503").digest == expected


def test_the_template_of_a_miner_tells_what_varies_by_its_words():
    """Names vary without looking like it: only who saw many of them knows."""
    miner = Miner()
    records = [read(f"ERROR login of {name} refused") for name in ("ann", "bob", "cid", "dan")]
    numbers = [miner.take(said(each), 0.0).number for each in records]
    templates = {each.number: each.text for each in miner.templates()}
    digests = {ErrorSignature.of(each, templates[miner.current(n)]).digest for each, n in zip(records, numbers, strict=True)}

    assert len(digests) == 1
    assert len({ErrorSignature.of(each).digest for each in records}) == 4


def test_what_was_redacted_does_not_matter():
    """A mark is equal for equal values and so differs from one value to the next."""
    assert signature("ERROR login of <EMAIL:0badcafe> refused") == signature("ERROR login of <EMAIL:deadbeef> refused")


@given(st.text(max_size=300), st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_text_has_a_signature(text, template):
    """The same text has the same signature each time."""
    assert ErrorSignature.of(read(text), template) == ErrorSignature.of(read(text), template)


KIN = [
    "order 17 is lost",
    "order 18 is lost",
    "order is lost",
    "upstream answered with status 503",
    "upstream answered with status 504",
    "upstream answered with status 503 after 17 ms",
    "upstream answered with status 503 after 18 ms",
    "ORA-00942: table 17",
    "ORA-00943: table 17",
    "error CS0103 in line 3",
    '{"message": "lost", "errorCode": 17}',
    '{"message": "lost", "errorCode": 18}',
    "msg=lost errno=17",
    "msg=lost errno=18",
    '2026-11-20 10:00:00 ERROR {"message": "lost", "errorCode": 17}',
    '2026-11-20 10:00:00 ERROR {"message": "lost", "errorCode": 18}',
    "exit code: 1",
    "exit code: 137",
    "(0x80070005) denied",
    "(0x80070006) denied",
    'Traceback (most recent call last):\n  File "/a/pay.py", line 7, in pay\nTimeoutError: 17 ms',
    'Traceback (most recent call last):\n  File "/a/pay.py", line 9, in pay\nTimeoutError: 18 ms',
    'Traceback (most recent call last):\n  File "/a/ask.py", line 9, in ask\nTimeoutError: 18 ms',
    "x" * 5_000 + " one",
    "x" * 5_000 + " two",
]


@pytest.mark.parametrize("one", KIN)
def test_texts_of_one_kin_are_one_error(one: str):
    """Whatever is told apart by its signature is told apart by its kinship; numbers in a sentence are neither."""
    assert [each for each in KIN if kinship(each) == kinship(one) and signature(each).digest != signature(one).digest] == []
    assert kinship("order 17 is lost") == kinship("order 18 is lost")

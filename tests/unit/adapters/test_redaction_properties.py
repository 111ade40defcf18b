"""Redaction of any text ends, changes nothing the second time, leaves no secret and takes no id."""

import base64
import json
import re
import string
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.redaction import RULES, PatternRedactor, Redactor
from adapters.redaction.prefilter import Prefilter
from adapters.redaction.rule import Rule

REDACTORS = (Redactor.for_org(b"a key of the tests"), PatternRedactor())
REDACTOR = REDACTORS[0]

PIECES = (
    *(
        "ann@example.org",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "4111111111111111",
        "GB82WEST12345698765432",
        "536-22-1234",
    ),
    *("+41 44 874 76 30", "467 3395", "203.0.113.9", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "https://www.example.org/", "7412 SL"),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "://u:p@ss@h/",
        "<EMAIL:12345678>",
        "<SECRET:0123abcd>",
        "[redacted]",
    ),
    *("phone ", "card ", "zip code ", "driver's license ", "my ", "number ", "call me at ", "is ", "website ", "iban "),
    *(
        "password",
        "token",
        "Bearer ",
        "Authorization: ",
        "cookie: a=b;",
        "--secret ",
        "=",
        ":",
        " ",
        "\n",
        '"',
        r"\"",
        "'",
        "<",
        ">",
        "@",
        ".",
    ),
)
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=14).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("redactor", REDACTORS)
@given(text=TEXTS)
@settings(max_examples=600)
def test_what_is_redacted_stays_as_it_is(redactor: Redactor, text: str):
    """So whoever redacts once more, on the way to a model or a log, changes no mark."""
    shown = redactor.text(text)
    assert redactor.text(shown) == shown


@given(content=st.dictionaries(TEXTS, VALUES, max_size=4))
@settings(max_examples=200)
def test_nested_values_are_redacted_once_as_well(content: dict[str, Any]):
    """Names and numbers too; and what comes out is JSON."""
    shown = REDACTOR.content(content)
    assert REDACTOR.content(shown) == shown
    json.dumps(shown)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_no_rule_finds_what_its_hint_does_not_see(rule: Rule, data: st.DataObject):
    """Otherwise the first look would hide it from the rule."""
    text = data.draw(st.one_of(st.from_regex(rule.pattern), TEXTS))
    found = any(rule.locate(match) for match in rule.pattern.finditer(text))
    assert not found or list(Prefilter([rule.hint]).hits(text)) == [0]


LETTERS = st.text(string.ascii_letters + string.digits, min_size=24, max_size=36)
WORDS = st.text(string.ascii_lowercase, min_size=5, max_size=12).map("q".__add__)
DIGITS = st.integers(10**9, 10**10 - 1).map(str)


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def with_luhn(body: str) -> str:
    total = sum(sum(divmod(int(each) * (2 - at % 2), 10)) for at, each in enumerate(body))
    return f"{body}{-total % 10}"


def iban(account: str) -> str:
    body = f"DE00{account:0>18}"
    remainder = int("".join(str(int(each, 36)) for each in body[4:] + body[:4])) % 97
    return f"DE{98 - remainder:02d}{account:0>18}"


PLANTED = {
    "JWT": st.builds(
        lambda name, tail: f"{b64(json.dumps({'alg': name}).encode())}.{b64(name.encode())}.{tail}", WORDS, LETTERS
    ),
    "PEM": LETTERS.map(lambda body: f"-----BEGIN EC PRIVATE KEY-----\n{body}\n{body}\n-----END EC PRIVATE KEY-----"),
    "CLOUD_KEY": st.text(string.ascii_uppercase + "234567", min_size=16, max_size=16).map("AKIA".__add__),
    "PAT": LETTERS.map("ghp_".__add__),
    "EMAIL": st.builds("{}.{}@{}.example.org".format, WORDS, WORDS, WORDS),
    "CARD": st.integers(0, 10**14 - 1).map(lambda body: with_luhn(f"4{body:014d}")),
    "IBAN": DIGITS.map(iban),
    "SSN": st.builds("{}-{:02d}-{:04d}".format, st.integers(101, 665), st.integers(1, 99), st.integers(1, 9999)),
    "PHONE": DIGITS.map(lambda rest: f"+44 {rest[:3]} {rest[3:6]} {rest[6:]}"),
    "IP": st.builds("{}.{}.{}.{}".format, *[st.integers(11, 126)] * 4),
    "DOMAIN": WORDS.map("https://www.{}.org/".format),
}


@pytest.mark.parametrize("kind", PLANTED)
@given(data=st.data(), before=WORDS, behind=WORDS)
@settings(max_examples=60)
def test_a_planted_secret_is_found_wherever_it_is_put(kind: str, data: st.DataObject, before: str, behind: str):
    """In a text, a label, nested JSON, a name and a header."""
    secret = data.draw(PLANTED[kind])
    text = f"{before} {secret} {behind}"
    shown = (
        REDACTOR.text(text),
        str(REDACTOR.content({"label": text, "deep": [{"list": [text, secret]}], text: 1})),
        str(REDACTOR.headers({"X-Note": text})),
    )
    for each in shown:
        assert secret not in each
        assert f"<{kind}:" in each


@given(
    secret=LETTERS,
    name=st.sampled_from(("password", "DB_PASSWORD", "client_secret", "access-token", "apiKey", "Authorization")),
)
def test_what_a_secret_name_holds_is_hidden(secret: str, name: str):
    """However the two are written."""
    ways = (
        f"{name}={secret}",
        f"{name}: {secret}",
        f'"{name}": "{secret}"',
        f"'{name}' => '{secret}'",
        rf"\"{name}\":\"{secret}\"",
    )
    assert all(secret not in REDACTOR.text(f"x {way} y") for way in ways)
    assert secret not in str(REDACTOR.content({"a": {name: secret}})) + str(REDACTOR.headers({name: f"Bearer {secret}"}))


CLASSES = st.builds("org.{}.{}.{}{}Exception".format, WORDS, WORDS, WORDS.map(str.title), WORDS.map(str.title))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (the zone is added)
FORMS = (
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y-%m-%d %H:%M:%S,%f",
    "%d/%b/%Y:%H:%M:%S +0100",
    "%d.%m.%Y %H:%M:%S",
    "%b %d %H:%M:%S",
    "%s",
)
IDS = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda each: each.hex),
    st.binary(min_size=20, max_size=20).map(bytes.hex),
    st.binary(min_size=32, max_size=32).map(lambda each: f"sha256:{each.hex()}"),
    st.builds("00-{}-{}-01".format, st.uuids().map(lambda each: each.hex), st.binary(min_size=8, max_size=8).map(bytes.hex)),
    CLASSES,
    CLASSES.map(lambda name: f"at {name}.run({name.rpartition('.')[2]}.java:42)"),
    st.lists(WORDS, min_size=2, max_size=5).map(lambda parts: f"/var/{'/'.join(parts)}.log"),
    st.builds(lambda at, form: at.strftime(form), MOMENTS, st.sampled_from(FORMS)),
    st.builds("{}-{}-64469b5b48-5rjvb".format, WORDS, WORDS),
    MOMENTS.map(lambda at: f"{int(at.timestamp() * 1000)} {int(at.timestamp())}000000000"),
)


@given(parts=st.lists(IDS, min_size=1, max_size=4), name=st.sampled_from(("trace_id=", "commit ", "id: ", "at ", "")))
@settings(max_examples=400)
def test_what_diagnosis_needs_stays(parts: list[str], name: str):
    """Commits, UUIDs, trace ids, classes, paths and moments, in a text and by a name."""
    text = " | ".join(f"{name}{part}" for part in parts)
    assert REDACTOR.text(text) == text
    assert REDACTOR.content({"trace_id": parts[0], "rows": list(parts)}) == {"trace_id": parts[0], "rows": parts}


def test_marks_keep_correlation_through_two_looks():
    """The same value is shown alike in texts that differ."""
    one, two = REDACTOR.text("login of ann@example.org"), REDACTOR.text('{"user":"ANN@example.org"}')
    assert re.findall(r"<EMAIL:\w{8}>", one) == re.findall(r"<EMAIL:\w{8}>", two)

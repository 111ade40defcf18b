"""What stands in a value's place: the same for the same value of one org, and by the org's own rules too."""

import hashlib
import hmac
import re

import pytest
from pydantic import ValidationError

from adapters.redaction import ExtraRule, Redactor

KEY, OTHER = b"k" * 32, b"o" * 32
REDACTOR = Redactor.for_org(KEY)


def test_a_mark_is_the_kind_and_eight_digits_of_an_hmac():
    """Over the kind and the value, so that whoever holds the key can look for a value."""
    tag = hmac.new(KEY, b"EMAILann@example.org", hashlib.sha256).hexdigest()[:8]
    assert REDACTOR.text("by Ann@Example.org!") == f"by <EMAIL:{tag}>!"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4111 1111 1111 1111", "4111111111111111"),
        ("GB82 WEST 1234 5698 7654 32", "GB82WEST12345698765432"),
        ("+41 44 874 76 30", "+41448747630"),
        ("https://Example.org/", "https://example.org"),
    ],
)
def test_two_forms_of_a_value_are_shown_alike(one: str, other: str):
    """Correlation does not hang on spaces and capitals."""
    assert REDACTOR.text(one) == REDACTOR.text(other)


def test_two_orgs_show_a_value_differently():
    """Nobody finds in one org what was seen in another."""
    assert Redactor.for_org(OTHER).text("ann@example.org") != REDACTOR.text("ann@example.org")


def test_a_short_key_is_refused():
    """Eight digits made with a guessed key hide nothing."""
    with pytest.raises(ValueError, match="at least 16 bytes, got 5"):
        Redactor.for_org(b"short")


def test_an_org_may_keep_addresses():
    """By policy, IPs stay and everything else goes."""
    shown = Redactor.for_org(KEY, hide_ips=False).text("ann@example.org from 203.0.113.9")
    assert re.fullmatch(r"<EMAIL:\w{8}> from 203\.0\.113\.9", shown)


def test_an_org_may_add_rules():
    """What its last group marks is taken out, in text of any script."""
    redactor = Redactor.for_org(KEY, [ExtraRule(kind="CASE", pattern=r"(?i)\bcase (é?[0-9]{6})\b")])
    assert re.fullmatch(r"über Case <CASE:\w{8}> of case 12", redactor.text("über Case é123456 of case 12"))


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [("case", "x"), ("CASE", "(?<=x)y"), ("CASE", "(a"), ("CASE", "a*"), ("CASE", ""), ("CASE", "a" * 1001)],
)
def test_a_rule_that_re2_cannot_run_or_that_finds_nothing_is_refused(kind: str, pattern: str):
    """So no org can make redaction slow, or have a mark put between all letters."""
    with pytest.raises(ValidationError):
        ExtraRule(kind=kind, pattern=pattern)


def test_nested_values_go_by_their_names():
    """A number that may be anything is known by its name; what a secret name holds is hidden whole."""
    given = {
        "phoneNumber": "467 3395",
        "rows": 4673395,
        "phone": 4673395,
        "card": {"number": 630427373398, "cvc": "123"},
        "secret": {"a": ["x", {"b": "y"}], "n": 7},
        "max_tokens": 512,
        "ann@example.org": True,
    }
    shown = str(REDACTOR.content(given))
    assert not re.search(r"467 3395|: '?123\b|'x'|'y'|ann@|'n': 7", shown)
    assert "'rows': 4673395" in shown
    assert "'max_tokens': 512" in shown
    assert shown.count("<PHONE:") == 2


def test_headers_are_hidden_by_name_and_by_value():
    """Of any spelling; what else there is stays."""
    shown = REDACTOR.headers(
        {"AUTHORIZATION": "Basic abc", "X-Api-Key": "k", "Set-Cookie": "a=b", "X-User": "ann@example.org", "Accept": "*/*"}
    )
    assert all(re.fullmatch(r"<SECRET:\w{8}>", shown[each]) for each in ("AUTHORIZATION", "X-Api-Key", "Set-Cookie"))
    assert re.fullmatch(r"<EMAIL:\w{8}>", shown["X-User"])
    assert shown["Accept"] == "*/*"

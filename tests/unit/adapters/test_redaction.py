"""Credentials are taken out of what is stored, at every depth, in a time that no text can stretch."""

import time

import pytest

from adapters.redaction import PatternRedactor, redact


def test_strings_are_redacted_wherever_they_stand():
    """By their look in any text, by their name under a telling key; numbers and short words stay."""
    given = {"note": "Bearer abc", "deep": [{"password": "hunter2", "port": 5432}], "tokens": 512, "ok": None}
    cleaned = {"note": "Bearer [redacted]", "deep": [{"password": "[redacted]", "port": 5432}], "tokens": 512, "ok": None}
    assert PatternRedactor().content(given) == cleaned


def test_what_lies_too_deep_is_hidden_whole():
    """A payload of a thousand levels is no way around, and no way to exhaust the stack."""
    deep = "sut_secret"
    for _ in range(500):
        deep = {"a": deep}
    assert "sut_secret" not in str(PatternRedactor().content(deep))


@pytest.mark.parametrize("part", ["eyJ-", "eyJa.", "://:", "://a:", "password ", "secret:", "basic ", "bearer\t"])
def test_no_text_makes_redaction_slow(part):
    """Sixteen times the text takes about sixteen times as long, not two hundred and fifty-six."""
    began = time.process_time()
    redact(part * 16_000)
    assert time.process_time() - began < 1

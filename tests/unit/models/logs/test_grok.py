"""Patterns of a user's own."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.logs.grok import MOST_PATTERNS, Grok, GrokPatterns, mask
from models.logs.grok_base import BASE
from models.logs.levels import Level
from models.logs.miner import Miner


def grok(*expressions: str, **definitions: str) -> Grok:
    return Grok(GrokPatterns(expressions=expressions, definitions=definitions))


def test_what_a_reference_finds_is_a_field():
    """Fields have the kind that the pattern says; what has no name is none."""
    found = grok("%{IP:client} %{WORD} took %{NUMBER:ms:float} ms, %{INT:tries:int}").match(
        "from 10.0.0.1 GET took 1.5 ms, 2 times"
    )

    assert found == {"client": "10.0.0.1", "ms": 1.5, "tries": 2}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("INT", "-12", "x"),
        ("NUMBER", "1.5", "."),
        ("BASE16NUM", "0xfe", "gg"),
        ("WORD", "word", "a b"),
        ("NOTSPACE", "a/b", "a b"),
        ("QUOTEDSTRING", '"a \\" b"', '"a'),
        ("UUID", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3f2504e0"),
        ("MAC", "00:1b:44:11:3a:b7", "00:1b"),
        ("IPV4", "255.1.2.3", "256.1.2.3"),
        ("IPV6", "2001:db8::1", "2001"),
        ("IPORHOST", "db-1.example.com", "-"),
        ("EMAILADDRESS", "a.b+c@example.com", "a@"),
        ("PATH", "/var/log/a.log", "var"),
        ("URI", "https://user@example.com:8080/a/b?c=d", "https:"),
        ("TIMESTAMP_ISO8601", "2020-01-02T03:04:05.678+01:00", "2020-13-02T03:04"),
        ("SYSLOGTIMESTAMP", "Oct  9 22:14:15", "22:14:15"),
        ("HTTPDATE", "10/Oct/2000:13:55:36 -0700", "10/10/2000"),
        ("LOGLEVEL", "WARN", "loud"),
        ("JAVACLASS", "com.acme.Foo$Bar", "1a"),
    ],
)
def test_base_patterns_match_what_their_names_say(name, good, bad):
    """All of the good text is found, and not all of the bad."""
    whole = grok(f"^%{{{name}:all}}$")

    assert whole.match(good) == {"all": good}
    assert whole.match(bad) is None


@pytest.mark.parametrize("name", BASE)
def test_every_base_pattern_can_be_compiled(name):
    """None of them refers to what is not there."""
    grok(f"%{{{name}}}")


def test_a_web_servers_line_has_its_fields():
    """The composed patterns name their fields as ECS does."""
    line = '10.0.0.1 - ann [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 503 23 "-" "Mozilla/5.0"'
    found = grok("%{COMBINEDAPACHELOG}").match(line)

    assert (found["source.address"], found["user.name"], found["url.original"]) == ("10.0.0.1", "ann", "/a")
    assert (found["http.response.status_code"], found["user_agent.original"]) == (503, "Mozilla/5.0")
    assert "http.request.referrer" not in found


def test_definitions_and_groups_of_ones_own_are_fields_too():
    """A definition may be made of others and comes before a base pattern of its name."""
    found = grok(
        "%{QUEUE:queue}: (?<[mail][to]>%{NOTSPACE}) (?P<state>sent|deferred)", QUEUE="%{HEX}{10,11}", HEX="[0-9A-F]", INT="x"
    ).match("BEF25A72965: ann@example.com deferred")

    assert found == {"queue": "BEF25A72965", "mail.to": "ann@example.com", "state": "deferred"}


def test_the_first_expression_that_matches_counts():
    """Expressions stand in the order of preference, and of one field of an expression the first part that holds something."""
    both = grok("a (?:%{INT:n:int}|%{WORD:n})", "%{WORD:first}")

    assert [both.match(text) for text in ("a 1", "a b", "z", "")] == [{"n": 1}, {"n": "b"}, {"first": "z"}, None]


def test_fields_make_a_record():
    """Level and message are known by any name; without a message the text is it."""
    pattern = grok("%{LOGLEVEL:loglevel} %{GREEDYDATA:msg}", "took %{INT:ms:int}")

    assert (pattern.read("WARN slow").level, pattern.read("WARN slow").message) == (Level.WARNING, "slow")
    assert pattern.read("it took 5").message == "it took 5"
    assert pattern.read("else") is None


def test_a_number_too_long_to_be_one_stays_text():
    """No text makes a field that cannot be written as JSON."""
    assert grok("%{NOTSPACE:n:int}").match("9" * 5_000) == {"n": "9" * 4_096}


@pytest.mark.parametrize(
    ("expression", "definitions", "reason"),
    [
        ("%{A}", {"A": "%{B}", "B": "x%{A}"}, "pattern A is made of itself: A > B > A"),
        ("%{INT}", {"INT": "%{INT}"}, "pattern INT is made of itself: INT > INT"),
        ("%{NOPE}", {}, "no pattern is called NOPE"),
        ("%{INT:a:date}", {}, "got %{INT:a:date}"),
        ("%{}", {}, "got %{}"),
        ("(?!x)", {}, "invalid perl operator: (?!"),
        ("(a", {}, "missing )"),
        ("a{1001}", {}, "invalid repetition size"),
        ("(?:a?){1000}" * 3, {}, "at most 4,000 instructions, got 6,00"),
        ("%{P0}", {f"P{n}": f"%{{P{n + 1}}}" for n in range(13)} | {"P13": "x"}, "nested more than 12 deep"),
        ("%{P0}", {f"P{n}": f"%{{P{n + 1}}}" * 9 for n in range(9)} | {"P9": "x"}, "at most 20,000 characters"),
        ("%{INT:a}" * 51, {}, "at most 50 fields"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled_is_refused_with_its_reason(expression, definitions, reason):
    """The sentence says what is wrong, whatever it would cost to find out by trying."""
    with pytest.raises(ValueError, match="1 validation error") as refused:
        GrokPatterns(expressions=(expression,), definitions=definitions)

    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"expressions": ["a"] * (MOST_PATTERNS + 1)},
        {"expressions": ["a" * 2_001]},
        {"expressions": [""]},
        {"expressions": ["%{COMBINEDAPACHELOG}"] * 6},
        {"expressions": [], "definitions": {f"N{n}": "a" for n in range(MOST_PATTERNS + 1)}},
        {"expressions": [], "definitions": {"not a name": "a"}},
    ],
)
def test_patterns_are_bounded(given):
    """Too many, too long or too large together are refused."""
    with pytest.raises(ValueError, match="validation error"):
        GrokPatterns.model_validate(given)


def test_a_mask_takes_out_what_a_user_says_varies():
    """The miner's own masks know numbers and addresses only."""
    miner = Miner(extra=[mask("tenant-%{NAME}", {"NAME": "[a-z]+"})])

    assert len({miner.take(f"quota of tenant-{name} used up", 0.0).number for name in ("blue", "red")}) == 1
    with pytest.raises(ValueError, match="finds the empty text"):
        mask("%{GREEDYDATA}")


@given(st.text(max_size=100))
def test_any_text_can_be_asked(text):
    """Nothing found is no error."""
    found = grok("%{WORD:word}", "%{GREEDYMULTILINE:all}").match(text)

    assert bool(found) == bool(text)


def test_the_longest_text_is_not_slow():
    """The hardest pattern allowed ends on the hardest text."""
    hard, began = grok("(a?){499}(a?){499}b"), time.process_time()
    hard.match("a" * 65_536)

    assert time.process_time() - began < 3.0

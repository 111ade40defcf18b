"""What a logger writes before the message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.logs import levels
from models.logs.heads import head
from models.logs.levels import Level


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ("<34>Oct 11 22:14:15 web-1 su[123]: root refused", Level.CRITICAL, "root refused"),
        ("<165>1 2003-10-11T22:14:15.003Z web evntslog 111 ID47 [a@1 b=\"c\"] it began", Level.INFO, "it began"),
        ("Jun 14 15:16:01 10.0.0.1 sshd(pam)[19]: refused", None, "refused"),
        ("2023-01-30T11:50:59Z web app[7]: level=3", None, "level=3"),
        ("E0102 15:04:05.123456    1234 reflector.go:123] cannot list", Level.ERROR, "cannot list"),
        ("2015-10-18 18:01:47,978 INFO [main] org.acme.mapred.Master: Created", Level.INFO, "Created"),
        ("2015-07-29 17:41:44,747 - WARN  [Peer[id=1]/0:0:2181:Election@774] - Notified", Level.WARNING, "Notified"),
        ("20:50:59.971 [main] WARN  c.e.Foo - slow", Level.WARNING, "slow"),
        ("2023-01-30 11:50:59.971  INFO 1 --- [nio-8080] c.e.Foo    : ready", Level.INFO, "ready"),
        ("ERROR:root:it failed", Level.ERROR, "it failed"),
        ("2020-01-01 00:00:00,123 - my.name - ERROR - it failed", Level.ERROR, "it failed"),
        ("[2020-01-01 00:00:00 +0000] [123] [INFO] Booting", Level.INFO, "Booting"),
        ("INFO:     127.0.0.1:123 - GET", Level.INFO, "127.0.0.1:123 - GET"),
        ("[Sun Dec 04 04:47:44 2005] [error] [client 1.2.3.4] refused", Level.ERROR, "[client 1.2.3.4] refused"),
        ("[Fri Sep 09 10:42:29.902022 2011] [core:error] gone", Level.ERROR, "gone"),
        ("2020-01-01 00:00:00.000 UTC [123] app@orders ERROR:  deadlock detected", Level.ERROR, "deadlock detected"),
        ("2020-01-01 00:00:00.000 UTC [123] LOG:  checkpoint starting: time", Level.INFO, "checkpoint starting: time"),
        ("E, [2020-01-01T00:00:00.123 #123] ERROR -- prog: it failed", Level.ERROR, "it failed"),
        ("[12:00:00 ERR] it failed", Level.ERROR, "it failed"),
        ("[2020-01-01T00:00:00Z ERROR acme::db] it failed", Level.ERROR, "it failed"),
        ("2020-01-01T00:00:00.123Z ERROR acme::db: it failed", Level.ERROR, "it failed"),
        ("2020-01-01T00:00:00.000Z\tERROR\tdb/store.go:12\tit failed", Level.ERROR, "it failed"),
        ("03-17 16:13:38.811  1702  2395 D WindowManager: drawn", Level.DEBUG, "drawn"),
        ("2023-01-30T11:50:59.97Z stderr F 2023/01/30 11:50:59 FATAL gone", Level.CRITICAL, "gone"),
        ("ERROR c.acme.Store: ERROR IN ORDER", Level.ERROR, "ERROR IN ORDER"),
        ("20200102T030405Z WARN slow", Level.WARNING, "slow"),
        ("20200102-03:04:05:678|slow", None, "slow"),
        ("2020-01-01 00:00:00.1234|ERROR|Acme.Orders.Store|it failed", Level.ERROR, "it failed"),
        ("20200102-0:4:5:678|Orders|30002312|it failed", None, "it failed"),
        ("2020-01-01 00:00:00.123 | ERROR    | acme.orders:place:12 - it failed", Level.ERROR, "it failed"),
        ("2020-01-01 00:00:00.008 25746 INFO nova.wsgi.server [req-1 2 - - -] ready", Level.INFO, "ready"),
        ("api-1  | 2020-01-01 00:00:00 WARN slow", Level.WARNING, "slow"),
        ("[pod/api-1/app] 2020-01-01T00:00:00Z WARN slow", Level.WARNING, "slow"),
        ("fail: Acme.Orders.Store[12]", Level.ERROR, ""),
        ("2009/11/10 23:00:00 hello world", None, "hello world"),
        ("error: cannot compile", Level.ERROR, "cannot compile"),
        ("(warning) low on space", Level.WARNING, "low on space"),
    ],
)  # fmt: skip
def test_the_head_is_what_the_logger_wrote(line, level, message):
    """Time, level, thread and logger are taken off, whichever logger wrote them."""
    found = head(line)

    assert (found.level, line[found.ends :].strip()) == (level, message)


@pytest.mark.parametrize(
    "line",
    ["Error: boom", "ValueError: bad", "3 errors found", "Errors were found", "user ERROR seen", "[payment] failed", "May I?",
     "10 items", "-", "<b>bold</b>", "{}", "INFORMATION wanted", "infos: none",
     "since 2020-01-01 it failed", "20201231 10 rows", ""],
)  # fmt: skip
def test_a_line_without_a_head_is_all_message(line):
    """Words that look like a head and are none stay where they are."""
    assert head(line) == (None, 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ERROR java.lang.IllegalStateException: bad", "java.lang.IllegalStateException: bad"),
        ("ERROR [payment] failed: x", "[payment] failed: x"),
        ("12:00:00 connection timeout: no answer", "connection timeout: no answer"),
        ("2020-01-01 00:00:00 Job ended with ERROR code 5", "Job ended with ERROR code 5"),
    ],
)
def test_what_is_not_surely_of_the_head_stays(line, message):
    """A word taken for the logger's would make two causes one."""
    assert line[head(line).ends :].strip() == message


@given(st.text(max_size=200))
def test_any_line_has_a_head(line):
    """The head of any line is a part of it."""
    assert 0 <= head(line).ends <= len(line)


@pytest.mark.parametrize(
    ("read", "said", "level"),
    [
        (levels.of_word, " Warn ", Level.WARNING),
        (levels.of_word, "loud", None),
        (levels.of_syslog, 3, Level.ERROR),
        (levels.of_syslog, 8, None),
        (levels.of_otel, 17, Level.ERROR),
        (levels.of_otel, 0, None),
        (levels.of_python, 40, Level.ERROR),
        (levels.of_number, 40, Level.WARNING),
        (levels.of_number, 4, Level.WARNING),
        (levels.of_letter, "F", Level.CRITICAL),
        (levels.of_letter, "x", None),
    ],
)
def test_levels_have_one_scale(read, said, level):
    """The same number means another level to another logger."""
    assert read(said) == level

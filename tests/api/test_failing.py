"""Errors that senders tell of, in logs, spans and runs: each is one incident, however often and by whomever it is told."""

from typing import Any

import pytest

from tests.api.site import Person, Site
from tests.api.test_ingest import CONFIG, Sender

TRACE = (
    'Traceback (most recent call last):\n  File "/srv/{}/shop/pay.py", line {}, in pay\nTimeoutError: timed out after {} ms\n'
)


async def a_sender(site: Site, someone: Person, kind: str, tail: str = "", **config: Any) -> Sender:
    made = await someone.post("/connectors", {"kind": kind, "name": kind, "config": CONFIG | config})
    sender = Sender(site, made.json(), kind=kind)
    sender.path += tail
    return sender


def attributes(**named: str) -> list[dict[str, Any]]:
    return [{"key": name.replace("_", "."), "value": {"stringValue": value}} for name, value in named.items()]


def record(said: str, *, at: int, severity: int = 17, **named: str) -> dict[str, Any]:
    told = {"timeUnixNano": str(1_767_225_600_000_000_000 + at), "severityNumber": severity, "body": {"stringValue": said}}
    return told | {"attributes": attributes(**named)}


def logs(*records: dict[str, Any], service: str = "shop") -> dict[str, Any]:
    resource = {"attributes": attributes(service_name=service)}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": list(records)}]}]}


def span(number: int, *, failed: bool = True) -> dict[str, Any]:
    thrown = attributes(exception_type="TimeoutError", exception_stacktrace=TRACE.format(number, number, number))
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "POST /pay",
        "startTimeUnixNano": "1767225600000000000",
        "endTimeUnixNano": "1767225601000000000",
        "status": {"code": 2} if failed else {},
        "events": [{"name": "exception", "attributes": thrown}] if failed else [],
    }


def spans(*each: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": attributes(service_name="shop")}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(each)}]}]}


def run(state: str, number: int, **error: str) -> dict[str, Any]:
    facets = {"errorMessage": {"programmingLanguage": "python"} | error} if error else {}
    return {
        "eventType": state,
        "eventTime": f"2026-11-01T10:00:{number:02}Z",
        "run": {"runId": f"0197a1b2-7c3d-7e4f-8a5b-{number:012}", "facets": facets},
        "job": {"namespace": "airflow", "name": "orders.load"},
    }


async def send(sender: Sender, body: Any) -> int:
    answer = await sender.site.client.post(sender.path, json=body, headers={"Authorization": f"Bearer {sender.secret}"})
    return answer.status_code


async def incidents(someone: Person) -> list[tuple[str, str, int]]:
    found = (await someone.get("/incidents")).json()["items"]
    return sorted((each["service"], each["title"], each["event_count"]) for each in found)


async def test_an_error_in_a_log_is_an_incident_that_counts_each_line(site: Site, someone: Person) -> None:
    """Lines that differ in numbers are one error, another sentence is another; a repeated delivery counts nothing."""
    sender = await a_sender(site, someone, "otlp", "/v1/logs")
    batch = logs(
        record("order 17 is lost", at=1),
        record("order 18 is lost", at=2),
        record("no room left", at=3, severity=21),
        record("order 19 is late", at=4, severity=13),
    )

    answers = [await send(sender, body) for body in (batch, batch, logs(record("order 20 is lost", at=5)))]

    assert answers == [200, 200, 200]
    assert await incidents(someone) == [("shop", "no room left", 1), ("shop", "order 17 is lost", 3)]


async def test_equal_errors_of_a_batch_are_one_entry(site: Site, someone: Person) -> None:
    """One entry in the ledger for all that is alike in a delivery."""
    sender = await a_sender(site, someone, "otlp", "/v1/logs")

    await send(sender, logs(*(record(f"order {number} is lost", at=number) for number in range(50))))

    (incident,) = (await someone.get("/incidents")).json()["items"]
    entries = (await someone.get(f"/audit-logs?resource_id={incident['id']}")).json()["items"]
    assert ([each["action"] for each in entries], incident["event_count"]) == (["incident.opened"], 50)


async def test_the_same_words_of_two_services_are_two_incidents(site: Site, someone: Person) -> None:
    """Whatever one connector sends belongs to the service that says it."""
    sender = await a_sender(site, someone, "otlp", "/v1/logs")

    for service in ("shop", "stock"):
        await send(sender, logs(record("order 17 is lost", at=1), service=service))

    assert await incidents(someone) == [("shop", "order 17 is lost", 1), ("stock", "order 17 is lost", 1)]


async def test_an_exception_is_known_by_its_type_and_its_place(site: Site, someone: Person) -> None:
    """Release folders, line numbers and durations count for nothing; another type is another error."""
    sender = await a_sender(site, someone, "otlp", "/v1/logs")
    timed_out = [
        record("cannot pay", at=n, exception_type="TimeoutError", exception_stacktrace=TRACE.format(n, n, n)) for n in (1, 2)
    ]

    await send(sender, logs(*timed_out, record("cannot pay", at=3, exception_type="KeyError")))

    assert [count for _, _, count in await incidents(someone)] == [1, 2]


async def test_a_span_that_failed_is_an_incident(site: Site, someone: Person) -> None:
    """Two traces with one error are one incident; a span that went well is none."""
    sender = await a_sender(site, someone, "otlp", "/v1/traces")

    await send(sender, spans(span(1), span(2), span(3, failed=False)))

    assert [(service, count) for service, _, count in await incidents(someone)] == [("shop", 2)]


async def test_a_run_that_failed_or_was_aborted_is_an_incident(site: Site, someone: Person) -> None:
    """The same error of the next run joins; a run that began, and one that went well, are none."""
    sender = await a_sender(site, someone, "openlineage")
    lost = {"message": "relation 4711 does not exist"}

    for event in (run("START", 1), run("FAIL", 2, **lost), run("FAIL", 3, **lost), run("COMPLETE", 4), run("ABORT", 5)):
        assert await send(sender, event) == 202

    assert await incidents(someone) == [
        ("orders.load", "orders.load aborted", 1),
        ("orders.load", "relation 4711 does not exist", 2),
    ]


@pytest.mark.parametrize(
    ("kind", "tail", "body"), [("otlp", "/v1/logs", logs(record("lost", at=1))), ("openlineage", "", run("FAIL", 1))]
)
async def test_errors_without_that_word_open_nothing(site: Site, someone: Person, kind: str, tail: str, body: Any) -> None:
    """A connector that does not open incidents stores its signals and no more."""
    sender = await a_sender(site, someone, kind, tail, opens_incidents=False)

    assert await send(sender, body) in (200, 202)
    assert await incidents(someone) == []


async def test_an_incident_shows_no_secret_of_its_error(site: Site, someone: Person) -> None:
    """What tells errors apart is read after what is secret was taken out."""
    sender = await a_sender(site, someone, "otlp", "/v1/logs")

    await send(sender, logs(record("login with password=hunter2secret failed", at=1, exception_type="KeyError")))

    (incident,) = (await someone.get("/incidents")).json()["items"]
    entries = await someone.get(f"/audit-logs?resource_id={incident['id']}")
    assert "hunter2secret" not in incident["title"] + entries.text

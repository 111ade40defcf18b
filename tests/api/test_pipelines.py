"""Pipelines, their versions and runs, and the events that are about them."""

from tests.api.site import Person, code, spec


async def test_a_pipeline_is_applied_changed_and_read(someone: Person) -> None:
    """Each change is a version; the same content again is none."""
    created = await someone.post("/pipelines", {"spec": spec("orders"), "code": code()})
    where = created.headers["location"]
    again = await someone.post("/pipelines", {"spec": spec("orders"), "code": code()})
    changed = await someone.patch(where, {"config": {"column": "price"}})
    versions = (await someone.get(f"{where}/versions")).json()["items"]

    assert [each.status_code for each in (created, again, changed)] == [201, 201, 200]
    assert (again.json()["version"], changed.json()["version"]) == (1, 2)
    assert changed.json()["config_json"] == {"column": "price"}
    assert [each["version"] for each in versions] == [2, 1]
    assert (await someone.get("/pipelines")).json()["items"] == [(await someone.get(where)).json()]


async def test_a_config_that_the_stages_cannot_use_is_refused(someone: Person) -> None:
    """The pointer names the config; no version is made."""
    where = (await someone.post("/pipelines", {"spec": spec("orders")})).headers["location"]
    refused = await someone.patch(where, {"config": {"colum": "price"}})

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/config")
    assert (await someone.get(where)).json()["version"] == 1


async def test_an_environment_that_is_not_there_is_refused(someone: Person) -> None:
    """A pipeline lives in an environment with a row."""
    refused = await someone.post("/pipelines", {"spec": spec("orders", environment="moon")})

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/environment")


async def test_if_match_is_honoured_wherever_it_is_sent(someone: Person) -> None:
    """The tag moves with every change, of config and of activity; a stale one is 412."""
    where = (await someone.post("/pipelines", {"spec": spec("orders")})).headers["location"]
    tag = (await someone.get(where)).headers["etag"]
    first = await someone.patch(where, {"is_active": False}, headers={"If-Match": tag})
    stale = await someone.patch(where, {"config": {"column": "x"}}, headers={"If-Match": tag})
    fresh = await someone.patch(where, {"config": {"column": "x"}}, headers={"If-Match": first.headers["etag"]})
    same = await someone.get(where, headers={"If-None-Match": fresh.headers["etag"]})

    assert [each.status_code for each in (first, stale, fresh, same)] == [200, 412, 200, 304]
    assert (await someone.get(where)).json()["is_active"] is False


async def test_code_larger_than_its_cap_is_refused(someone: Person) -> None:
    """Eight MiB of code are too much by one byte; a body over its own cap is 413."""
    fits = await someone.post("/pipelines", {"spec": spec("large"), "code": code({"x": bytes(8 * 1024 * 1024)})})
    large = await someone.post("/pipelines", {"spec": spec("larger"), "code": code({"x": bytes(8 * 1024 * 1024 + 1)})})
    huge = await someone.post("/pipelines", {"spec": spec("huge"), "code": code({"x": bytes(13 * 1024 * 1024)})})
    other = await someone.post("/workflows", {"name": "x" * 1_100_000})

    assert [each.status_code for each in (fits, large, huge, other)] == [201, 422, 413, 413]


async def test_a_stopped_workflow_starts_no_run(someone: Person) -> None:
    """409 names the switch; nothing is started."""
    pipeline = (await someone.post("/pipelines", {"spec": spec("orders")})).json()["id"]
    switch = {"workflow_id": pipeline.replace("pip_", "wfl_"), "is_active": True, "reason": "fire"}
    engaged = await someone.put("/kill-switches", switch)
    refused = await someone.post(f"/pipelines/{pipeline}/runs")
    released = await someone.put("/kill-switches", switch | {"is_active": False})
    started = await someone.post(f"/pipelines/{pipeline}/runs")

    assert [each.status_code for each in (engaged, refused, released, started)] == [200, 409, 200, 202]
    assert refused.json()["type"] == "/problems/stopped"
    assert started.headers["location"] == f"/api/v1/operations/{started.json()['id'].replace('exe_', 'opr_')}"


async def test_an_event_is_durable_when_answered(someone: Person) -> None:
    """`event_id` finds it; its own idempotency key keeps it single."""
    body = {"event_type": "deploy", "payload": {"a": [1, {"b": None}]}, "idempotency_key": "k1", "correlation_id": "c-1"}
    first, second = await someone.post("/events", body), await someone.post("/events", body)
    found = (await someone.get(f"/events/{first.json()['event_id']}")).json()

    assert (first.json()["status"], second.json()["status"]) == ("stored", "duplicate")
    assert first.json()["event_id"] == second.json()["event_id"]
    assert (found["payload"], found["correlation_id"]) == (body["payload"], "c-1")


async def test_a_spent_quota_says_when_to_come_back(someone: Person) -> None:
    """429 with Retry-After."""
    await someone.put("/quotas", {"name": "signals", "per_minute": 1})
    answers = [await someone.post("/events", {"event_type": "x"}) for _ in range(3)]

    refused = [each for each in answers if each.status_code == 429]
    assert answers[0].status_code == 201
    assert refused  # a minute may begin between two of them, never between all
    assert all(each.headers["retry-after"] for each in refused)

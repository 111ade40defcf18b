"""The document says what the routes do, and the committed one is the one that is served."""

from api.app import document
from api.openapi import COMMITTED, text
from services.authority import IN_PROCESS
from tests.api.fakes import AUTHZ
from tests.api.operations import ALL, BODIES, DOCUMENT, DOORS, OPEN_TO_ALL, WITH_BODY, operations
from tests.api.site import Site


def test_the_committed_document_is_the_served_one() -> None:
    """`python -m api.openapi` writes it anew."""
    assert COMMITTED.read_text() == text()


def test_only_the_canonical_prefix_is_shown() -> None:
    """The aliases answer and are not documented."""
    assert DOCUMENT["openapi"].startswith("3.1")
    assert all(path.startswith("/api/v1/") for path in DOCUMENT["paths"])


def test_every_operation_is_guarded_or_on_the_short_list() -> None:
    """Default deny: an operation without an act is open only by name."""
    unguarded = {each.key for each in operations() if each.action is None}

    assert unguarded == OPEN_TO_ALL | DOORS | {("get", "/api/v1/codec/session")}


def test_every_act_is_known_to_policy() -> None:
    """An act that no role table names would be refused to everybody."""
    known = {*AUTHZ["everyone"], *(action for actions in AUTHZ["roles"].values() for action in actions)}

    assert {each.action for each in ALL if each.action} <= known


def test_what_is_decided_in_process_agrees_with_policy_data() -> None:
    """The table in the code says the same as the data of the policy engine."""
    for action, roles in IN_PROCESS.items():
        named = {role for role, actions in AUTHZ["roles"].items() if action in actions or action in AUTHZ["everyone"]}
        assert {str(role) for role in roles} == named, action


def test_every_body_has_an_example_here() -> None:
    """A route with a body that is added is attacked too."""
    assert {each.key for each in WITH_BODY} == BODIES.keys()


def test_every_refusal_is_a_problem() -> None:
    """Refusals are declared, as Problem+JSON."""
    for path in DOCUMENT["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if status[0] in "45" and status != "503":
                    assert "application/problem+json" in answer["content"], operation["summary"]


async def test_the_document_is_served(site: Site) -> None:
    """Whoever asks gets it, without a token."""
    assert (await site.client.get("/openapi.json")).json() == document(site.app)

"""What the stack tells the engine about the product's workflows."""

from stack.application import SEARCH_ATTRIBUTES, inherited, roles_of
from workflows.details import KEYS


def test_engine_knows_every_attribute_that_workflows_write():
    """Name and type of each search attribute are the ones that the workflows use."""
    kinds = {key.name: key.indexed_value_type.name.replace("_", "").title() for key in KEYS}
    assert kinds == SEARCH_ATTRIBUTES


def test_processes_inherit_no_credential_that_was_not_meant_for_them():
    """Paths, language and settings pass; database URLs, the caller's token and everything unknown do not."""
    passing = {"PATH": "/bin", "HOME": "/h", "SSL_CERT_FILE": "/c", "XDG_CACHE_HOME": "/x", "SUTURE_LOG_LEVEL": "INFO"}
    kept_back = {
        "SUTURE_DATABASE_URL": "u",
        "SUTURE_DATABASE_ADMIN_URL": "u",
        "SUTURE_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "s",
        "PATHOLOGY": "p",
    }
    assert inherited(passing | kept_back) == passing


def test_only_the_process_that_serves_io_knows_more_than_the_applications_role():
    """Nobody gets the platform's role."""
    assert roles_of(("io", "inference")) == ("app", "relay", "upkeep")
    assert roles_of(("execute-prod",)) == ("app",)

"""What the stack tells the engine about the product's workflows."""

from stack.application import SEARCH_ATTRIBUTES
from workflows.details import KEYS


def test_engine_knows_every_attribute_that_workflows_write():
    """Name and type of each search attribute are the ones that the workflows use."""
    kinds = {key.name: key.indexed_value_type.name.replace("_", "").title() for key in KEYS}
    assert kinds == SEARCH_ATTRIBUTES

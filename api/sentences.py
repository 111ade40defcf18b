"""What a validation error says to people, by its type alone: pydantic's own messages may repeat what was sent."""

from collections.abc import Mapping
from typing import Any

# Only facts of the schema may stand between braces, never the input or an exception's text.
_SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is no field of this request",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "datetime_type": "must be a date and time",
    "datetime_parsing": "must be a date and time in ISO 8601",
    "datetime_from_date_parsing": "must be a date and time in ISO 8601",
    "timezone_aware": "must name its offset from UTC",
    "time_delta_type": "must be a duration",
    "time_delta_parsing": "must be a duration in ISO 8601",
    "url_parsing": "must be a URL",
    "url_type": "must be a URL",
    "url_scheme": "must be a URL with the scheme {expected_schemes}",
    "union_tag_invalid": "must name one of {expected_tags}",
    "union_tag_not_found": "must say which kind it is",
    "none_required": "must be null",
}


def flaw_sentence(kind: str, facts: Mapping[str, Any]) -> str:
    """The sentence for pydantic's error type `kind`; a type without one is named, not quoted."""
    sentence = _SENTENCES.get(kind)
    return sentence.format_map(facts) if sentence else f"does not fit: {kind.replace('_', ' ')}"

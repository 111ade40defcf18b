"""What is taken out of text before anybody stores or shows it: a file of rules per family, and who applies them."""

from adapters.redaction.digest import digest_of
from adapters.redaction.extra import ExtraRule
from adapters.redaction.orgs import OrgRedactors
from adapters.redaction.plain import PatternRedactor, redact
from adapters.redaction.redactor import Redactor
from adapters.redaction.registry import RULES
from adapters.redaction.scanner import HIDDEN
from adapters.redaction.secrets import is_secret_name

__all__ = [
    "HIDDEN",
    "RULES",
    "ExtraRule",
    "OrgRedactors",
    "PatternRedactor",
    "Redactor",
    "digest_of",
    "is_secret_name",
    "redact",
]

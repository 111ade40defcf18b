"""Every rule, by family; of two that find the same, the first one names it."""

from adapters.redaction.contacts import CONTACTS
from adapters.redaction.finance import FINANCE
from adapters.redaction.identity import IDENTITY
from adapters.redaction.keys import KEYS
from adapters.redaction.network import NETWORK
from adapters.redaction.phones import PHONES
from adapters.redaction.secrets import SECRETS

CREDENTIALS = (*KEYS, *SECRETS)
RULES = (*CREDENTIALS, *FINANCE, *IDENTITY, *CONTACTS, *PHONES, *NETWORK)

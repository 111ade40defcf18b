"""A service with its monitor, on the real database."""

import pytest

from adapters.redaction import OrgRedactors
from domain.refs import MonitorRef
from services.admission import Admission
from services.guard import Guard
from services.intake import Intake
from services.redacting import Redacting
from tests.database import HMAC_KEY
from tests.storage.watched import Service, monitors_of


@pytest.fixture
def service(database, ledger, tenant, shift):
    intake = Intake(database, ledger, Guard(region="local"), Redacting(database, ledger, OrgRedactors(HMAC_KEY)), Admission())
    ref = MonitorRef(org=tenant.org, environment="prod", service="checkout")
    return Service(database, tenant, intake, monitors_of(database, ledger), ref, shift)

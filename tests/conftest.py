"""What every test may ask for: the real database, the real engine, the real policy server."""

from hypothesis import settings

pytest_plugins = ["tests.database", "tests.engine"]

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

"""Settings for all tests: hypothesis has no deadline, as the machine may be busy with others."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tests")

"""Settings for all tests: hypothesis has no deadline, as the machine may be busy with others.

What they write doesn't wait for the disk: no test cuts the power.

The longest tests start first: one of them as the last would keep the other processors waiting.

A shell's background jobs, and so the programs that the tests start, ignore Ctrl-C; here they don't.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tests")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Only an invalid descriptor is still an error.
os.fsync = os.fstat  # type: ignore[assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that are marked ``long`` before all others, both in their order."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)

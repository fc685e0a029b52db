"""The measurements of a run, for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from ign_deploy.metrics.measurement import MeasuredModule, MeasuredStage, Measurement

MEASURED = Measurement(
    "deployment",
    "deployed",
    True,
    datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
    83.25,
    environment="production",
    stages=(MeasuredStage("upload", 4.5), MeasuredStage("install", 60.0, begin=10.0)),
    modules=(MeasuredModule("com.example.pump", "1.4.2", 2048),),
    gateways={"deployed": 2, "failed": 1},
    deployment_id="d-1",
)

"""What a run tells others: notices, ordinary and hostile, and measurements."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ign_deploy.metrics import MeasuredModule, MeasuredStage, Measurement
from ign_deploy.net.client import ServiceOptions
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.notify.notice import Notice, NoticedGateway, NoticedModule

QUICK = RetryPolicy(attempts=3, deadline=5.0, first_wait=0.01, longest_wait=0.01)
QUICK_SERVICE = ServiceOptions(retry=QUICK)
HOSTILE = (
    "<!channel> <https://evil.test|click> @channel & \"'</td><script>alert(1)</script>"
    "\r\nBcc: everybody@evil.test\r\n\r\n[click](https://evil.test) \u202egnp.exe \x1b[31m\ud800"
)

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


def notice(**fields: Any) -> Notice:
    """Return a notice about one module on two gateways."""
    known: dict[str, Any] = {
        "event": "deployment",
        "result": "deployed",
        "environment": "production",
        "started_at": datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
        "seconds": 83.25,
        "modules": (NoticedModule("com.example.pump", "1.4.2", "1.4.1", "ab" * 32),),
        "gateways": (
            NoticedGateway("https://gw1:8043", "deployed"),
            NoticedGateway("https://gw2:8043", "deployed"),
        ),
        "actor": "octocat",
        "run_url": "https://ci.example.com/runs/1",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "message": "",
        "deployment_id": "d-1",
    }
    return Notice(**known | fields)


def hostile() -> Notice:
    """Return a notice in which every untrusted text is hostile."""
    return notice(
        environment=HOSTILE,
        modules=(NoticedModule(HOSTILE, HOSTILE, HOSTILE),),
        gateways=(NoticedGateway(HOSTILE, HOSTILE),),
        actor=HOSTILE,
        run_url="https://ci.example.com/a|b",
        commit=HOSTILE,
        message=HOSTILE,
        deployment_id=HOSTILE,
    )


def as_is(text: str) -> str:
    """Redact nothing."""
    return text

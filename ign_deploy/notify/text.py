"""A notice as text for people: a title, and facts as label and value."""

from __future__ import annotations

from ign_deploy.notify.notice import Notice, NoticedGateway, NoticedModule

_MOST_LINES = 20
_GOOD = frozenset({"deployed", "uploaded", "removed", "unchanged"})
_OPEN = frozenset({"in-progress", "restart-pending"})


def is_good(notice: Notice) -> bool:
    """Return whether the run did what was requested, such as a rollback that rolled back."""
    requested = notice.event == "rollback" and notice.result == "rolled-back"
    return requested or notice.result in _GOOD


def is_open(notice: Notice) -> bool:
    """Return whether it is still running, or waiting for a restart."""
    return notice.result in _OPEN


def title(notice: Notice) -> str:
    """Return the notice in one line: ``Deployment to production: rolled back``."""
    where = {"deployment": "to", "rollback": "in", "release": "for"}[notice.event]
    location = f" {where} {notice.environment}" if notice.environment else ""
    return f"{notice.event.capitalize()}{location}: {notice.result.replace('-', ' ')}"


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Return the known facts as label and value.

    A value can have several lines; long lists end with the number of further items.
    """
    known = [
        ("Modules", _lines([_module(each) for each in notice.modules])),
        ("Gateways", _lines([_gateway(each) for each in notice.gateways])),
        ("By", notice.actor),
        ("Commit", notice.commit[:12]),
        ("Started", notice.started_at.strftime("%Y-%m-%d %H:%M:%S %Z")),
        ("Took", _duration(notice.seconds)),
        ("Deployment", notice.deployment_id),
        ("Audit head", notice.audit_head),
    ]
    return [(label, value) for label, value in known if value]


def _module(module: NoticedModule) -> str:
    before = f" (was {module.previous_version})" if module.previous_version else ""
    return f"{module.id} {module.version}{before}"


def _gateway(gateway: NoticedGateway) -> str:
    which = f" ({', '.join(gateway.modules)})" if gateway.modules else ""
    return f"{gateway.name}: {gateway.outcome.replace('-', ' ')}{which}"


def _lines(items: list[str]) -> str:
    more = len(items) - _MOST_LINES
    return "\n".join(items[:_MOST_LINES] + ([f"and {more} more"] if more > 0 else []))


def _duration(seconds: float) -> str:
    if seconds <= 0:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"

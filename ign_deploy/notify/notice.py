"""A notice of a deployment, a rollback or a release, and its text: a title, labels and values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

Event = Literal["deployment", "rollback", "release"]
Redact = Callable[[str], str]
"""Return a text with every secret replaced."""

MAX_TEXT = 300
MAX_MESSAGE = 2000
MAX_MODULES = MAX_GATEWAYS = 500

_MOST_LINES = 20
_GOOD = frozenset({"deployed", "uploaded", "removed", "unchanged"})
_OPEN = frozenset({"in-progress", "restart-pending"})


_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#]*@")
# Control characters, bidirectional and invisible ones, lone surrogates: chats interpret some of
# them, and none belongs in a name.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]+"
)


@dataclass(frozen=True, slots=True)
class NoticedModule:
    """A module; ``previous_version`` is empty if there was none, ``sha256`` lower-case hex."""

    id: str
    version: str
    previous_version: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class NoticedGateway:
    """A gateway by name or URL, and its outcome: ``deployed``, ``rolled-back``, ….

    ``modules`` are the ids of those deployed there, if not all were; ``change`` is from which
    version to which, ``reason`` that of the outcome.
    """

    name: str
    outcome: str
    modules: tuple[str, ...] = ()
    change: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened in a run.

    ``result`` is one of ``in-progress``, ``deployed``, ``restart-pending``, ``rolled-back``,
    ``failed``, ``rollback-failed``, ``removed``, ``uploaded``, or a later one. ``started_at`` is an
    aware time, ``seconds`` the duration. ``audit_head`` is the audit trail's head afterwards: kept
    elsewhere, it reveals later whether the trail was rewritten.
    """

    event: Event
    result: str
    environment: str
    started_at: datetime
    seconds: float = 0.0
    modules: tuple[NoticedModule, ...] = ()
    gateways: tuple[NoticedGateway, ...] = ()
    actor: str = ""
    run_url: str = ""
    commit: str = ""
    message: str = ""
    deployment_id: str = ""
    audit_head: str = ""

    def cleaned(self, redact: Redact) -> Notice:
        """Return the notice in a form that is safe to send.

        Secrets, credentials in URLs, control and invisible characters are removed, and texts are
        cut to their maximum length. A ``run_url`` that isn't a web address becomes empty.
        """

        def text(value: str) -> str:
            return clean_text(value, redact=redact)

        return replace(
            self,
            result=text(self.result),
            environment=text(self.environment),
            modules=tuple(
                NoticedModule(
                    text(each.id),
                    text(each.version),
                    text(each.previous_version),
                    text(each.sha256),
                )
                for each in self.modules[:MAX_MODULES]
            ),
            gateways=tuple(
                NoticedGateway(
                    text(each.name),
                    text(each.outcome),
                    tuple(map(text, each.modules)),
                    text(each.change),
                    text(each.reason),
                )
                for each in self.gateways[:MAX_GATEWAYS]
            ),
            actor=text(self.actor),
            run_url=_web_address(redact(self.run_url)),
            commit=text(self.commit),
            message=clean_message(self.message, redact=redact),
            deployment_id=text(self.deployment_id),
            audit_head=text(self.audit_head),
        )


def clean_text(text: str, *, redact: Redact) -> str:
    """Return ``text`` as one harmless line of at most ``MAX_TEXT`` characters."""
    return _cut(_UNSAFE.sub(" ", redact(_CREDENTIALS.sub("", text))).strip(), MAX_TEXT)


def clean_message(text: str, *, redact: Redact) -> str:
    """Return ``text`` in harmless lines of at most ``MAX_MESSAGE`` characters in total."""
    redacted = redact(_CREDENTIALS.sub("", text))
    return _cut("\n".join(_UNSAFE.sub(" ", line) for line in redacted.splitlines()), MAX_MESSAGE)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _web_address(url: str) -> str:
    """Return the URL if it is a plain web address, else nothing, because it becomes a link."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("https", "http") and bool(parts.hostname) and "@" not in url
    except ValueError:
        return ""
    return url if sound and re.fullmatch(r"[!#-;=?-~]{1,2000}", url) else ""


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
        ("Gateways", _lines([_gateway(each, notice.message) for each in notice.gateways])),
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


def _gateway(gateway: NoticedGateway, message: str) -> str:
    """Return a gateway's row; a reason that the message gives isn't repeated."""
    which = f" ({', '.join(gateway.modules)})" if gateway.modules else ""
    change = f"{gateway.change}, " if gateway.change else ""
    reason = f": {gateway.reason}" if gateway.reason and gateway.reason not in message else ""
    return f"{gateway.name}: {change}{gateway.outcome.replace('-', ' ')}{which}{reason}"


def _lines(items: list[str]) -> str:
    more = len(items) - _MOST_LINES
    return "\n".join(items[:_MOST_LINES] + ([f"and {more} more"] if more > 0 else []))


def _duration(seconds: float) -> str:
    if seconds <= 0:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"

"""How a simulated gateway behaves; tests change it while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ign_deploy.deployment.conformance.report import ConformanceReport, RecordedStep
from tests.support.gateway.modl import Modl
from tests.support.gateway.reported import Answers


def options_of(report: ConformanceReport) -> Options:
    """Return how to behave like the gateway of a report, as far as it says."""
    gateway, install = report.gateway, _step(report, "install")
    answers = Answers.of(report)
    seconds = install.seconds if install else 15.0
    states = install.states if install else ("gateway: down",)
    down = 5.0 if "gateway: down" in states else 0.0
    return Options(
        version=gateway.version or "8.3.8",
        build=gateway.build,
        edition=gateway.edition,
        redundancy_role=gateway.redundancy_role,
        deployment_mode=gateway.deployment_mode,
        allow_unsigned=gateway.allows_unsigned is True,
        old_forms=any("moduleId" in each.query for each in answers.to("DELETE", "uninstall")),
        described=any(each.status == 200 for each in answers.to("GET", "/openapi.json")),
        restart_cuts=any(each.failure for each in answers.to("POST", "/restart")),
        down_seconds=down,
        starting_seconds=max(0.0, seconds - down),
        answers=answers,
    )


def _step(report: ConformanceReport, name: str) -> RecordedStep | None:
    return next((each for each in report.steps if each.name == name), None)


def line_of(version: str) -> tuple[int, ...]:
    """Return the line of an Ignition version: two numbers, or the year that it is named by."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return (major,) if major > 2000 else (major, minor)


@dataclass
class ModuleFault:
    """A module that fails when it starts; ``version`` empties to every version."""

    cause: str = "the database is missing"
    version: str = ""


@dataclass
class Options:
    """Times are in the gateway's own seconds, of which each lasts ``scale`` real ones.

    ``old_forms`` (None: those of ``version``) is how 8.3.4 was seen to speak: a short answer to
    an installation, and modules to be removed named in the query.
    """

    version: str = "8.3.8"
    build: str = "2026071409"
    token: str = "ci:s3cret"
    name: str = "plant-1"
    edition: str = "standard"
    redundancy_role: str = "Independent"
    deployment_mode: str = "production"
    allow_unsigned: bool = False
    trial: bool = True
    can_read: bool = True
    can_write: bool = True
    secure_only: bool = False
    requires_tls: bool = False  # for all tokens, and it says so without one
    denies_writes_with: int = 403  # 401 was seen as well
    described: bool = True
    old_forms: bool | None = None
    developer_upload: bool = False
    html: bool = False
    page_cap: int = 1000
    scale: float = 0.001
    down_seconds: float = 5.0
    starting_seconds: float = 10.0
    going_down_seconds: float = 0.0
    notice_seconds: float = 1.0
    restart_cuts: bool = True
    never_back: str = ""  # "down" or "starting": where a restart gets stuck
    hangs: bool = False  # takes connections, and never responds
    commissioning: bool = False
    recommissions_unsigned: bool = False
    refuse: dict[str, str] = field(default_factory=dict)  # route → reason, inside a 200
    # By module id: what the gateway reads in an uploaded file, and what it installs instead.
    reads_as: dict[str, Modl] = field(default_factory=dict)
    installs_as: dict[str, Modl] = field(default_factory=dict)
    answers: Answers | None = None  # the forms of answers, as a report has them
    faults: dict[str, ModuleFault] = field(default_factory=dict)  # by module id, at its start

    @property
    def line(self) -> tuple[int, ...]:
        return line_of(self.version)

    @property
    def has_api(self) -> bool:
        return self.line >= (8, 3)

    @property
    def speaks_old_forms(self) -> bool:
        if self.old_forms is not None:
            return self.old_forms
        return tuple(int(part) for part in self.version.split(".")[:3]) <= (8, 3, 4)

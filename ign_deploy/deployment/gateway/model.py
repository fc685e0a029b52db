"""What is known of a gateway and of the modules on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ign_deploy.deployment.gateway.versions import ShownVersion

ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class GatewayCapabilities:
    """What a target can do, as found by asking it.

    ``lists_modules``: it says which modules it has. ``reports_state``: it says whether they run.
    ``uninstall`` and ``restart``: it does so when asked. ``at_once``: what is installed runs
    without a restart. ``described``: the rest was read from the gateway's own description;
    otherwise it is assumed from the version.
    """

    lists_modules: bool = False
    reports_state: bool = False
    install: bool = False
    uninstall: bool = False
    restart: bool = False
    at_once: bool = False
    described: bool = False


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What a gateway says of itself; what it doesn't say is empty, or None.

    ``location`` is fit to be shown; ``version`` is Ignition's (``8.3.8``) and ``build`` its build
    (``2026071409``). ``trial_seconds`` are left of the trial. ``obstacle`` says why changes can't
    be made now, empty when they can.
    """

    location: str
    capabilities: GatewayCapabilities
    version: str = ""
    build: str = ""
    name: str = ""
    edition: str = ""
    redundancy_role: str = ""
    deployment_mode: str = ""
    allows_unsigned: bool | None = None
    license_state: str = ""
    trial_seconds: int | None = None
    free_bytes: int | None = None
    obstacle: str = ""

    @property
    def is_trial(self) -> bool:
        """Whether the gateway runs without a licence, which is normal for tests."""
        return "trial" in self.license_state.lower()


@dataclass(frozen=True, slots=True)
class InstalledModule:
    """One module on a gateway; what the gateway doesn't say is empty, or None.

    ``state`` is the gateway's word (``ACTIVE``, ``INACTIVE``, ``FAULTED``, …), empty for a module
    that is only in quarantine. ``pending_upgrade``: another version takes its place at the next
    restart. ``quarantine`` says why a version of it is kept out, ``quarantined_version`` which:
    during an upgrade the old one may run while the new one is in quarantine.
    """

    id: str
    name: str
    version: ShownVersion
    state: str = ""
    pending_upgrade: bool = False
    on_startup: str = ""
    quarantine: str = ""
    quarantined_version: ShownVersion | None = None
    certificate_accepted: bool | None = None
    license_accepted: bool | None = None
    fault_cause: str = ""
    license_state: str = ""
    self_signed: bool | None = None

    @property
    def is_quarantined(self) -> bool:
        """Whether a version of it is kept out."""
        return self.quarantined_version is not None

    def runs(self, version: str) -> bool:
        """Tell whether that version is active, and nothing of the module faulted or kept out."""
        return (
            self.state == ACTIVE
            and self.version.is_version(version)
            and not self.is_quarantined
            and not self.fault_cause
        )


@dataclass(frozen=True, slots=True)
class ModuleCertificate:
    """The signer that a gateway shows for an uploaded module, as it writes it."""

    subject: str
    issuer: str
    serial: str
    self_signed: bool | None
    not_before: str
    not_after: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A module file that a target holds, or is about to; nothing of it is installed.

    ``certificate_accepted`` and ``license_accepted`` are the target's words at that moment. Both
    fingerprint and CRC are of the file itself: what a gateway asks its operator to accept (SHA-1
    in lower-case hex, None when unsigned; CRC-32, None without a licence file).
    """

    path: Path
    file_name: str
    module_id: str
    version: str
    certificate_accepted: bool
    license_accepted: bool
    certificate_sha1: str | None = None
    license_crc: int | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody agreed to accept for a module; its signer, the text of its licence."""

    certificate: bool = False
    license: bool = False


NO_CONSENT = Consent()


@dataclass(frozen=True, slots=True)
class Installation:
    """What installing did. It takes effect at the next restart, except on developer gateways.

    ``accepted`` names what was accepted now (``certificate``, ``license``); ``replaced`` is the
    copy of the file that stood there before, where the target keeps one; ``message`` is the
    gateway's own.
    """

    accepted: tuple[str, ...] = ()
    replaced: Path | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Startup:
    """How a gateway came up: after how many seconds, and whether it was seen to be down."""

    seconds: float
    went_down: bool
    states: tuple[str, ...] = field(default=())

"""What a gateway is, what it can do, which modules it has, and how they get there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ign_deploy.deployment.gateway.errors import ConsentMissing
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.version import same_version

ACTIVE = "ACTIVE"
DEVELOPER_PREFIX = "developer+"
"""What --gateway has before the address of a developer gateway."""


@dataclass(frozen=True, slots=True)
class GatewayCapabilities:
    """What a target can do, as detected.

    ``lists_modules``: it reports which modules it has. ``reports_state``: it reports whether they
    run. ``uninstall`` and ``restart``: it does so on request. ``at_once``: an installed module runs
    without a restart. ``asks_consent``: certificates and licences have to be accepted.
    ``described``: the other values come from the gateway's own API description; otherwise they are
    assumed from its version.
    """

    lists_modules: bool = False
    reports_state: bool = False
    install: bool = False
    uninstall: bool = False
    restart: bool = False
    at_once: bool = False
    asks_consent: bool = False
    described: bool = False


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What a gateway reports about itself; missing values are empty, or None.

    ``location`` is safe to show; ``version`` is Ignition's (``8.3.8``) and ``build`` its build
    (``2026071409``). ``license_mode`` is ``Trial``, for example. ``obstacle`` says why it can't be
    changed now; it is empty if it can.
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
    license_mode: str = ""
    free_bytes: int | None = None
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class InstalledModule:
    """One module on a gateway; values the gateway doesn't report are empty, or None.

    ``state`` is the gateway's word (``ACTIVE``, ``INACTIVE``, ``FAULTED``, …), empty for a module
    that is only in quarantine. ``pending_upgrade``: another version replaces it at the next
    restart. ``quarantine`` is the reason why a version is quarantined, ``quarantined_version`` that
    version: during an upgrade, the old version may run while the new one is in quarantine.
    ``accepted_certificate`` is the SHA-1 fingerprint that the gateway has accepted for the module.
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
    accepted_certificate: str = ""
    fault_cause: str = ""
    license_state: str = ""
    self_signed: bool | None = None

    @property
    def is_quarantined(self) -> bool:
        """Whether a version of it is in quarantine."""
        return self.quarantined_version is not None

    def runs(self, version: str) -> bool:
        """Return whether that version is active, with no fault and nothing in quarantine."""
        return (
            self.state == ACTIVE
            and self.version.is_version(version)
            and not self.is_quarantined
            and not self.fault_cause
        )


@dataclass(frozen=True, slots=True)
class ModuleCertificate:
    """The signer that a gateway shows for an uploaded module, in the gateway's own wording."""

    subject: str
    issuer: str
    serial: str
    self_signed: bool | None
    not_before: str
    not_after: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A verified module that was handed to a target, but not installed yet.

    ``certificate_accepted`` and ``license_accepted`` are as the target reported them.
    """

    module: VerifiedModule
    file_name: str
    certificate_accepted: bool
    license_accepted: bool

    @property
    def module_id(self) -> str:
        """The module's id."""
        return self.module.descriptor.id

    @property
    def version(self) -> str:
        """The module's version."""
        return self.module.descriptor.version


@dataclass(frozen=True, slots=True)
class Consent:
    """What the user agreed to accept for a module: its signer, the text of its licence."""

    certificate: bool = False
    license: bool = False


NO_CONSENT = Consent()


@dataclass(frozen=True, slots=True)
class Installation:
    """The result of an installation, effective at the next restart (on developer gateways: now).

    ``accepted`` names what was accepted now (``certificate``, ``license``); ``replaced`` is the
    copy of the file that was replaced, if the target keeps one; ``message`` is the gateway's own.
    """

    accepted: tuple[str, ...] = ()
    replaced: Path | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Startup:
    """How a gateway started: after how many seconds, and whether it was seen to be down."""

    seconds: float
    went_down: bool
    states: tuple[str, ...] = field(default=())


_SHOWN = re.compile(r"(?P<version>.*?)\s*\(b(?P<build>[0-9]{1,20})\)\s*", re.DOTALL)
_NUMBERS = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+)(?![0-9]|\.[0-9])(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A version as a gateway writes it, parsed.

    ``shown`` is the whole text, ``version`` the part before ``(b…)``, and ``build`` the number in
    the parentheses, empty if there is none.
    """

    shown: str
    version: str
    build: str = ""

    @property
    def full(self) -> str:
        """The version as module.xml may write it: ``1.2.3.45``, and ``1.2.3`` for ``(b0)``."""
        numbers = _NUMBERS.fullmatch(self.version)
        if numbers is None or not self.build.strip("0"):
            return self.version
        return f"{numbers[1]}.{self.build}{numbers[2]}"

    def is_version(self, text: str) -> bool:
        """Return whether it is the module.xml version ``text``, however both are written."""
        return same_version(self.full, text) or text == self.shown

    def __str__(self) -> str:
        return self.full


def parse_shown(text: str) -> ShownVersion:
    """Parse a version as a gateway shows it; never fails, since modules use any version."""
    match = _SHOWN.fullmatch(text)
    if match is None:
        return ShownVersion(text, text.strip())
    return ShownVersion(text, match["version"].strip(), match["build"])


# A remainder too short to advance a floating-point clock would be waited for forever.
_SHORTEST_WAIT = 1e-6


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait for a gateway, in seconds, and on which clock.

    ``poll`` is the time between two polls; until ``floor`` seconds after a restart was requested,
    a gateway is not believed to be up again unless it was seen starting; ``confirm`` is how long a
    listing may take to show the effect of a request; ``deadline`` limits a whole restart.
    """

    poll: float = 2.0
    floor: float = 5.0
    confirm: float = 15.0
    deadline: float = 300.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def polls(self, seconds: float, *, early: float | None = None) -> Iterator[float]:
        """Yield the elapsed seconds, at once and after each poll, until ``seconds`` have passed.

        ``early`` is the time between two polls before the floor. One is at the floor: the first
        that shows a gateway which is up again, however little of its restart was seen.
        """
        start = self.clock()
        while True:
            passed = self.clock() - start
            yield passed
            passed = self.clock() - start
            if seconds - passed < _SHORTEST_WAIT:
                return
            wait = min(self.poll, seconds - passed)
            if passed < self.floor - _SHORTEST_WAIT:
                wait = min(wait, self.floor - passed, early or wait)
            self.sleep(wait)


def require_consent(upload: Upload, consent: Consent, *, host: str) -> None:
    """Raise ConsentMissing unless everything that has to be accepted may be."""
    certificate = not upload.certificate_accepted and not consent.certificate
    license_text = not upload.license_accepted and not consent.license
    sha1, crc = upload.module.certificate.sha1, upload.module.licence_crc
    needed: list[str] = []
    options: list[str] = []
    if certificate:
        needed.append(f"the certificate of {upload.module_id} (SHA-1 {sha1})")
        options.append(f"--accept-certificate {sha1}")
    if license_text:
        owner = "its licence" if needed else f"the licence of {upload.module_id}"
        needed.append(owner if crc is None else f"{owner} (CRC {crc})")
        options.append(f"--accept-license {'yes' if crc is None else crc}")
    if not needed:
        return
    raise ConsentMissing(
        f"{host} requires you to accept {' and '.join(needed)}; nothing was installed",
        hint=f"if you agree, add {' '.join(options)}.",
        certificate_sha1=sha1 if certificate else None,
        license_crc=crc if license_text else None,
    )

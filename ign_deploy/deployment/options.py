"""Options of a deployment: gateways, consent, restarts, checks, waves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from ign_deploy.deployment.gateway import Consent, Target, Timing
from ign_deploy.deployment.health import HealthCheck
from ign_deploy.errors import ConfigurationError
from ign_deploy.module.artifacts import VerifiedModule

ANY = "yes"


class Restart(StrEnum):
    """Whether a gateway may be restarted; a restart stops a plant's gateway."""

    NEVER = "never"
    IF_NEEDED = "if-needed"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway to deploy to; ``name`` is what people call it, empty if it has none."""

    target: Target
    name: str = ""

    @property
    def location(self) -> str:
        """Its address, without credentials."""
        return self.target.location

    @property
    def title(self) -> str:
        """What messages call it: its name, or its address."""
        return self.name or self.location

    @property
    def full_title(self) -> str:
        """Its name and address, for errors."""
        return f"{self.name} ({self.location})" if self.name else self.location


@dataclass(frozen=True, slots=True)
class AcceptOptions:
    """What the user agreed to accept: fingerprints (hex) and licence CRCs, or ``yes`` for all."""

    certificates: frozenset[str] = frozenset()
    licenses: frozenset[str] = frozenset()

    def consent_to(self, module: VerifiedModule) -> Consent:
        """Return what may be accepted for this module."""
        prints = {module.certificate.sha1, module.certificate.sha256}
        return Consent(
            certificate=ANY in self.certificates or not prints.isdisjoint(self.certificates),
            license=ANY in self.licenses or str(module.licence_crc) in self.licenses,
        )

    def require_use(self, modules: tuple[VerifiedModule, ...]) -> None:
        """Raise ConfigurationError for a fingerprint or CRC that matches none of the modules.

        A user who names one expects exactly that signer: another is caught before any change.
        """
        prints = {
            each
            for module in modules
            for each in (module.certificate.sha1, module.certificate.sha256)
        }
        crcs = {str(module.licence_crc) for module in modules if module.licence_crc is not None}
        for what, option, given, found in (
            ("certificate", "--accept-certificate", self.certificates, prints),
            ("licence", "--accept-license", self.licenses, crcs),
        ):
            for each in sorted(given - {ANY} - found):
                raise ConfigurationError(
                    f"{option} {each[:100]!a} matches no {what} of these modules, expected "
                    f"{' or '.join(sorted(found)) or 'none'}; nothing was changed",
                    hint="find out which value is correct before you accept it.",
                )


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """How to deploy.

    ``wave`` is the number of gateways at a time; with ``canary``, the first one goes alone. After a
    failure, no further wave starts unless ``continue_on_error`` is set; with ``all_or_nothing``,
    the gateways done before are rolled back, too. ``obtain`` fetches a published version (id,
    version) as a verified file, for the rollback; it raises IgnDeployError.
    """

    obtain: Callable[[str, str], VerifiedModule]
    accept: AcceptOptions = field(default_factory=AcceptOptions)
    restart: Restart = Restart.NEVER
    allow_downgrade: bool = False
    checks: tuple[HealthCheck, ...] = ()
    timing: Timing = field(default_factory=Timing)
    wave: int = 1
    canary: bool = False
    continue_on_error: bool = False
    all_or_nothing: bool = False


def normal_fingerprint(text: str) -> str:
    """Return a fingerprint in comparable form: lower-case hex without separators, or ``yes``."""
    return text.strip().lower().replace(":", "").replace(" ", "")

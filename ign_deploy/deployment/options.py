"""What is to be done on gateways, and how: modules, consent, restarts, checks."""

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
    """A gateway to deploy to; ``name`` is what people call it, its address where it has none."""

    target: Target
    name: str = ""

    @property
    def location(self) -> str:
        """Its address, without credentials."""
        return self.target.location

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.name or self.location


@dataclass(frozen=True, slots=True)
class AcceptOptions:
    """What the user agreed to accept: fingerprints (hex) and licence CRCs, or ``yes`` for any."""

    certificates: frozenset[str] = frozenset()
    licenses: frozenset[str] = frozenset()

    def to(self, module: VerifiedModule) -> Consent:
        """Return what may be accepted for this module."""
        prints = {module.certificate.sha1, module.certificate.sha256}
        return Consent(
            certificate=ANY in self.certificates or not prints.isdisjoint(self.certificates),
            license=ANY in self.licenses or str(module.licence_crc) in self.licenses,
        )

    def require_use(self, modules: tuple[VerifiedModule, ...]) -> None:
        """Raise ConfigurationError for a fingerprint or CRC that is of none of the modules.

        Whoever names one expects just that signer: another one is found before anything is changed.
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
                    f"{option} names {each[:100]!a}, but no module here has such a {what}; they "
                    f"have {', '.join(sorted(found)) or 'none'}",
                    hint="find out which is right before you accept it; nothing was changed.",
                )


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """How to deploy.

    ``wave`` gateways are done at once, one after the other with 1; with ``canary`` the first one
    is done alone. After a failure no new wave begins unless ``continue_on_error``; with
    ``all_or_nothing`` what was done before is rolled back too. ``obtain`` fetches a published
    version (id, version) as a verified file, for rolling back; it raises our errors.
    """

    obtain: Callable[[str, str], VerifiedModule]
    consents: AcceptOptions = field(default_factory=AcceptOptions)
    restart: Restart = Restart.NEVER
    allow_downgrade: bool = False
    checks: tuple[HealthCheck, ...] = ()
    timing: Timing = field(default_factory=Timing)
    wave: int = 1
    canary: bool = False
    continue_on_error: bool = False
    all_or_nothing: bool = False


def normal_fingerprint(text: str) -> str:
    """Return a fingerprint as we compare it: lower-case hex without separators, or ``yes``."""
    return text.strip().lower().replace(":", "").replace(" ", "")

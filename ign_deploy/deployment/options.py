"""Options of a deployment: gateways, consent, restarts, checks, waves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ign_deploy.deployment.gateway import DEVELOPER_PREFIX, Consent, Target
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
        """Its address as --gateway takes it, without credentials."""
        return self.target.location

    @property
    def web_address(self) -> str:
        """Where people and health checks find it."""
        return self.location.removeprefix(DEVELOPER_PREFIX)

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
    """What the user agreed to accept: fingerprints (hex) and licence CRCs, or ``yes`` for all.

    With ``restores_former``, the named fingerprints are those of a new signer: what the history has
    on a gateway comes back if the new version doesn't run, whoever signed it.
    """

    certificates: frozenset[str] = frozenset()
    licenses: frozenset[str] = frozenset()
    restores_former: bool = False

    def consent_to(
        self,
        module: VerifiedModule,
        *,
        ran_here: bool = False,
        beside: VerifiedModule | None = None,
    ) -> Consent:
        """Return what may be accepted for this module: what was named.

        Going back, also what was accepted before: ``ran_here`` says that the history has these very
        bytes on that gateway, ``beside`` is a module that this run trusts, such as the one that
        runs there now: the same signer and the same licence are fine.
        """
        prints = _prints(module)
        same_signer = beside is not None and prints == _prints(beside)
        same_licence = same_signer and beside is not None and _crc(module) == _crc(beside)
        return Consent(
            certificate=ANY in self.certificates
            or not prints.isdisjoint(self.certificates)
            or (not self.pins and (ran_here or same_signer))
            or (self.restores_former and ran_here),
            license=ANY in self.licenses
            or _crc(module) in self.licenses
            or ran_here
            or same_licence,
        )

    @property
    def pins(self) -> frozenset[str]:
        """The fingerprints that were named; every module must be signed by one of them."""
        return self.certificates - {ANY}

    def rejection(self, module: VerifiedModule) -> str:
        """Return why the named fingerprints rule the module out; empty if they don't."""
        if not self.pins or not _prints(module).isdisjoint(self.pins):
            return ""
        return (
            f"{module.descriptor.id} {module.descriptor.version} is signed by another certificate "
            f"(SHA-1 {module.certificate.sha1}) than --accept-certificate names"
        )

    def require_use(
        self, modules: Sequence[VerifiedModule], *, previous: Sequence[VerifiedModule] = ()
    ) -> None:
        """Raise ConfigurationError for a fingerprint or CRC that matches none of the modules.

        A user who names one expects exactly that signer: another is caught before any change.
        ``previous`` are modules that may have to be restored.
        """
        everything = (*modules, *previous)
        prints = {each for module in everything for each in _prints(module)}
        crcs = {_crc(module) for module in everything} - {""}
        for what, option, given, found in (
            ("certificate", "--accept-certificate", self.certificates, prints),
            ("licence", "--accept-license", self.licenses, crcs),
        ):
            for each in sorted(given - {ANY} - found):
                raise ConfigurationError(
                    f"{option} {each[:100]!r} matches no {what} of these modules, expected "
                    f"{' or '.join(sorted(found)) or 'none'}; nothing was changed",
                    hint="find out which value is correct before you accept it.",
                )
        for module in modules:
            if rejection := self.rejection(module):
                raise ConfigurationError(
                    f"{rejection}; nothing was changed",
                    hint="find out who signed it before you accept that certificate, too.",
                )


def _prints(module: VerifiedModule) -> frozenset[str]:
    return frozenset({module.certificate.sha1, module.certificate.sha256})


def _crc(module: VerifiedModule) -> str:
    return "" if module.licence_crc is None else str(module.licence_crc)


def _have_lease() -> None:
    """Where nothing has to be leased, no one else has it."""


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """How to deploy.

    ``wave`` is the number of gateways at a time; with ``canary``, the first one goes alone. After a
    failure, no further wave starts unless ``continue_on_error`` is set; with ``all_or_nothing``,
    the gateways done before are rolled back, too. ``obtain`` fetches a published version (id,
    version) as a verified file, for the rollback; it raises IgnDeployError. ``is_rollback``: the
    modules go back to a version that ran before. ``allow_uninstall``: a module may be taken off to
    undo its installation although another version of it ran before. ``rollback_command`` is what
    people can run if a rollback failed, ``resume_command`` what goes on where this run stopped,
    with the very same versions; empty if this run has no command line.
    ``require_lease`` raises DeploymentError, before a change, if another run may have the gateways
    by now.
    """

    obtain: Callable[[str, str], VerifiedModule]
    accept: AcceptOptions = field(default_factory=AcceptOptions)
    restart: Restart = Restart.NEVER
    allow_downgrade: bool = False
    allow_uninstall: bool = False
    is_rollback: bool = False
    checks: tuple[HealthCheck, ...] = ()
    wave: int = 1
    canary: bool = False
    continue_on_error: bool = False
    all_or_nothing: bool = False
    rollback_command: str = "ign-deploy rollback"
    resume_command: str = ""
    require_lease: Callable[[], None] = _have_lease


def normal_fingerprint(text: str) -> str:
    """Return a fingerprint in comparable form: lower-case hex without separators, or ``yes``."""
    return text.strip().lower().replace(":", "").replace(" ", "")

"""Which consent gateways will require, as far as that can be known without an upload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ign_deploy.deployment.gateway import Upload
from ign_deploy.deployment.gateway.errors import ConsentMissing
from ign_deploy.deployment.gateway.model import require_consent
from ign_deploy.deployment.options import DeployOptions
from ign_deploy.deployment.plan import GatewayPlan, ModuleChange
from ign_deploy.errors import CombinedError


def require_expected_consent(plans: Iterable[GatewayPlan], options: DeployOptions) -> None:
    """Raise CombinedError if a deployment would stop because something isn't accepted."""
    problems = [each for plan in plans for each in _missing(plan, options)]
    if problems:
        raise CombinedError(
            "the deployment would stop, because consent is missing; nothing was changed",
            causes=problems,
        )


def _missing(plan: GatewayPlan, options: DeployOptions) -> Iterator[ConsentMissing]:
    if not plan.facts.capabilities.asks_consent:
        return
    for change in plan.changes:
        if change.runs or change.obstacle:
            continue  # it was accepted, or can't be known
        try:
            require_consent(
                _expected(change), change.consent(options), host=plan.gateway.full_title
            )
        except ConsentMissing as problem:
            yield problem


def _expected(change: ModuleChange) -> Upload:
    """Return what the gateway would report: it accepted what it has, and nothing else."""
    new, old = change.module, change.previous
    return Upload(
        module=new,
        file_name="",
        certificate_accepted=old is not None and new.certificate.sha1 == old.certificate.sha1,
        license_accepted=new.licence_crc is None
        or (old is not None and new.licence_crc == old.licence_crc),
    )

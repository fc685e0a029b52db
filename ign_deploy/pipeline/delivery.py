"""The last stage of a release: what was published goes onto gateways, or is recorded."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.deployment.records import check_environment
from ign_deploy.deployment.rollout import require_success
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.deploy import Deployer, Order, Part, environment_of
from ign_deploy.pipeline.gateways import open_gateways
from ign_deploy.pipeline.publishing import open_configured_repository

if TYPE_CHECKING:
    from ign_deploy.deployment.records import DeploymentRecord
    from ign_deploy.pipeline.release import RunContext
    from ign_deploy.settings import Settings


def deliver(modules: Sequence[VerifiedModule], run: RunContext) -> str:
    """Deploy the modules to the gateways of --gateway; without any, only track the environment.

    Returns the outcome's name. Raises DeploymentError or RollbackError when it failed.
    """
    record = _deploy(modules, run, settings=run.settings)
    run.report.deployment = record
    run.report.audit_head = run.events.head
    require_success(record.gateways)
    if not run.settings.gateway or record.outcome is None:
        return "uploaded"
    return record.outcome.value


def look_ahead(modules: Sequence[VerifiedModule], run: RunContext) -> None:
    """Find out, before the modules are published, whether the gateways can take them.

    Raises NotBegun: a version that can't be deployed needn't be used up.
    """
    _deploy(modules, run, settings=run.settings.model_copy(update={"dry_run": True}))


def _deploy(
    modules: Sequence[VerifiedModule], run: RunContext, *, settings: Settings
) -> DeploymentRecord:
    gateways = (
        open_gateways(settings, env=run.env, reporter=run.reporter) if settings.gateway else []
    )
    with tempfile.TemporaryDirectory(prefix="ign-deploy-") as folder:
        deployer = Deployer(
            settings=settings,
            env=run.env,
            repository=open_configured_repository(settings, env=run.env, reporter=run.reporter),
            reporter=run.reporter,
            events=run.events,
            folder=Path(folder),
        )
        environment = check_environment(environment_of(settings))
        return deployer.deploy(Order(environment, (Part(modules, gateways),)))

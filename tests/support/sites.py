"""A whole site for tests: a repository with published modules, and deployments to simulators."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ign_deploy.cli import run_cli
from ign_deploy.deployment.history import DeployedVersion, Deployment
from ign_deploy.deployment.options import Gateway
from ign_deploy.deployment.records import DeploymentRecord
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.deploy import Deployer, Order, Part
from ign_deploy.pipeline.workspace import Once
from tests.support.gateway import Gateway as Simulated
from tests.support.gateway.client import MODULE_ID, client_of, modl, timing_of
from tests.support.reporting import Recorder
from tests.support.runs import run_context


def publish(repository: Path, *files: Path) -> None:
    """Upload signed modules as a user does."""
    for file in files:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            arguments = ["ign-deploy", "upload", str(file), "--repository-url", str(repository)]
            assert run_cli(arguments, {"PATH": os.environ["PATH"]}) == 0, file


def published(folder: Path, *versions: str, module_id: str = MODULE_ID, **options: Any) -> Path:
    """Make a repository that holds these versions of a module; returns it."""
    repository = folder / "repository"
    repository.mkdir(exist_ok=True)
    publish(repository, *(modl(folder, each, module_id=module_id, **options) for each in versions))
    return repository


@dataclass
class Site:
    """One environment of a repository; each run is a command of its own, knowing nothing else.

    ``fetched`` keeps downloads for all of them, for tests that make hundreds.
    """

    repository: Path
    folder: Path
    environment: str = "production"
    settings: dict[str, Any] = field(default_factory=dict)
    reported: Recorder = field(default_factory=Recorder)
    fetched: dict[tuple[str, str], VerifiedModule] | None = None

    def deployer(self, gateways: Sequence[Simulated], **settings: Any) -> Deployer:
        """Return what a command has; everything may be accepted, restarts are made if needed."""
        usual = {
            "environment": self.environment,
            "restart": "if-needed",
            "accept_certificate": ("yes",),
            "accept_license": ("yes",),
            "repository_url": str(self.repository),
        }
        context = run_context(
            {"USER": "tester"}, reporter=self.reported, **{**usual, **self.settings, **settings}
        )
        return Deployer(
            replace(context, _folder=Once(lambda: self.folder)),
            timing=replace(timing_of(gateways[0]), deadline=60.0) if gateways else None,
            _fetched={} if self.fetched is None else self.fetched,
        )

    def install(
        self, version: str, *gateways: Simulated, module_id: str = MODULE_ID, **settings: Any
    ) -> DeploymentRecord:
        """Do what ``install NAME@VERSION`` does."""
        deployer = self.deployer(gateways, **settings)
        targets = [Gateway(client_of(each)) for each in gateways]
        part = Part([deployer.obtain(module_id, version)], targets)
        return deployer.deploy(Order(self.environment, (part,)))

    def deployments(self) -> list[Deployment]:
        """Return what ``history`` shows, oldest first."""
        return self.deployer(()).history.deployments(self.environment)

    def deployed(self) -> list[DeployedVersion]:
        """Return what ``status`` shows."""
        return self.deployer(()).history.deployed(self.environment)

    def version(self, gateway: Simulated, module_id: str = MODULE_ID) -> str:
        """Return which version the history says the gateway runs, empty for none; never a doubt."""
        found = [
            each for each in self.deployed() if (each.gateway, each.id) == (gateway.url, module_id)
        ]
        assert not any(each.uncertain for each in found), found
        return found[0].version if found else ""


def active(gateway: Simulated, module_id: str = MODULE_ID) -> str:
    """Return the version that runs on the gateway, empty for none, having looked inside."""
    listed = gateway.state.listed.get(module_id)
    if listed is None:
        return ""
    assert listed.state == "ACTIVE", listed
    staged = gateway.state.staged.get(module_id)
    assert staged is None or staged.modl.version == listed.modl.version
    assert module_id not in gateway.state.removing
    return listed.modl.version

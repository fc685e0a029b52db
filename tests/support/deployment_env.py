"""Deployments to simulated gateways: published modules, and one environment of a repository.

``python -m tests.support.deployment_env`` records deployments again and again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ign_deploy.deployment.history import DeployedVersion, Deployment
from ign_deploy.deployment.options import AcceptOptions, DeployOptions, Gateway, Restart
from ign_deploy.deployment.records import DeploymentRecord, GatewayRecord, Outcome
from ign_deploy.deployment.rollout import Rollout, plan_gateways
from ign_deploy.deployment.state import EnvironmentState
from ign_deploy.errors import NotInRepository
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.deploy import Deployer, Order, Part
from ign_deploy.pipeline.workspace import Once
from ign_deploy.report import Reporter, SilentReporter
from tests.support.cli import CliWorkspace
from tests.support.gateway import Gateway as Simulated
from tests.support.gateway.client import MODULE_ID, client_of, modl, verified
from tests.support.reporting import Recorder
from tests.support.runs import run_context

ACCEPT_ALL = AcceptOptions(frozenset({"yes"}), frozenset({"yes"}))


@dataclass
class PublishedModules:
    """Published modules, by (id, version), as a repository would hand them out."""

    folder: Path
    modules: dict[tuple[str, str], VerifiedModule] = field(default_factory=dict)

    def add(self, version: str, *, module_id: str = MODULE_ID, **options: Any) -> VerifiedModule:
        """Make, sign and publish a version."""
        module = verified(modl(self.folder, version, module_id=module_id, **options))
        self.modules[module_id, version] = module
        return module

    def obtain(self, module_id: str, version: str) -> VerifiedModule:
        """Return a published version; raises NotInRepository."""
        if (module_id, version) not in self.modules:
            raise NotInRepository(f"{module_id} {version} is not published")
        return self.modules[module_id, version]


def target_of(simulated: Simulated, *, name: str = "") -> Gateway:
    """Return the gateway as a deployment's target: it has to be up again after a minute."""
    return Gateway(client_of(simulated, deadline=60.0), name=name)


def deploy_options_for(published: PublishedModules, **options: Any) -> DeployOptions:
    """Return options that accept everything and restart if needed, unless they say otherwise."""
    usual: dict[str, Any] = {"accept": ACCEPT_ALL, "restart": Restart.IF_NEEDED}
    return DeployOptions(obtain=published.obtain, **(usual | options))


def deploy(
    published: PublishedModules,
    simulated: Sequence[Simulated],
    modules: Sequence[VerifiedModule],
    *,
    before: Mapping[tuple[str, str], str] | None = None,
    reporter: Reporter | None = None,
    wrap: Callable[[Gateway], Gateway] = lambda gateway: gateway,
    removals: Sequence[str] = (),
    **options: Any,
) -> tuple[GatewayRecord, ...]:
    """Look at the gateways, then deploy the modules to them; returns what became of each."""
    chosen = deploy_options_for(published, **options)
    reporter = reporter or SilentReporter()
    gateways = [
        wrap(target_of(each, name=f"gateway {number}"))
        for number, each in enumerate(simulated, start=1)
    ]
    plans = plan_gateways(
        gateways,
        modules,
        options=chosen,
        history=EnvironmentState(unfinished=before or {}),
        reporter=reporter,
        removals=removals,
    )
    return Rollout(plans, chosen, reporter).run()


def running(gateway: Simulated, module_id: str = MODULE_ID) -> str | None:
    """Return the version that is active on the gateway, None for none."""
    found = client_of(gateway).module(module_id)
    return found.version.full if found is not None and found.state == "ACTIVE" else None


def uploads(gateway: Simulated) -> int:
    """Count the modules that were sent to the gateway."""
    return gateway.asked("modules/upload")


def install_first(published: PublishedModules, gateway: Simulated, version: str = "1.0.0") -> None:
    """Publish and install a first version."""
    (record,) = deploy(published, [gateway], [published.add(version)])
    assert record.outcome is Outcome.DEPLOYED
    assert running(gateway) == version


def published_repository(
    folder: Path, *versions: str, module_id: str = MODULE_ID, **options: Any
) -> Path:
    """Make a repository that holds these versions of a module; returns it."""
    repository = folder / "repository"
    repository.mkdir(exist_ok=True)
    for each in versions:
        file = modl(folder, each, module_id=module_id, **options)
        CliWorkspace(folder).call("upload", file, "--repository-url", repository).must(0)
    return repository


@dataclass
class DeploymentEnv:
    """One environment of a repository; each run is a command of its own, knowing nothing else.

    ``fetched`` keeps downloads for all of them, for tests that make hundreds.
    """

    repository: Path
    folder: Path
    environment: str = "production"
    settings: dict[str, Any] = field(default_factory=dict)
    reported: Recorder = field(default_factory=Recorder)
    fetched: dict[tuple[str, str], VerifiedModule] | None = None

    def deployer(self, **settings: Any) -> Deployer:
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
            _fetched={} if self.fetched is None else self.fetched,
        )

    def install(
        self, version: str, *gateways: Simulated, module_id: str = MODULE_ID, **settings: Any
    ) -> DeploymentRecord:
        """Do what ``install NAME@VERSION`` does."""
        deployer = self.deployer(**settings)
        targets = [target_of(each) for each in gateways]
        part = Part([deployer.obtain(module_id, version)], targets)
        return deployer.deploy(Order(self.environment, (part,)))

    def deployments(self) -> list[Deployment]:
        """Return what ``history`` shows, oldest first."""
        return self.deployer().context.history.deployments(self.environment)

    def deployed(self) -> list[DeployedVersion]:
        """Return what ``status`` shows."""
        return self.deployer().context.history.deployed(self.environment)

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


def record_many(arguments: Sequence[str]) -> None:
    """Record so many deployments, each of a version of its own.

    Arguments: repository, audit file, environment, the module's file, how often, a number of its
    own.
    """
    repository, audit_file, environment, module, times, name = arguments
    found = verified(Path(module))
    for number in range(int(times)):
        version = f"1.{name}.{number}"
        descriptor = replace(found.descriptor, version=version)
        context = run_context(
            {"USER": environment}, repository_url=repository, audit_file=audit_file
        )
        part = Part([replace(found, descriptor=descriptor)])
        Deployer(context).deploy(Order(environment, (part,)))


if __name__ == "__main__":
    record_many(sys.argv[1:])

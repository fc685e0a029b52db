"""Deploying to simulated gateways: what a test needs beside the gateway itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ign_deploy.deployment.options import AcceptOptions, DeployOptions, Gateway, Restart
from ign_deploy.deployment.records import GatewayRecord
from ign_deploy.deployment.rollout import Rollout, plan_gateways
from ign_deploy.errors import NotInRepository
from ign_deploy.module.artifacts import SignedModule, VerifiedModule
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.signing.verifier import inspect_signature, verify_module
from tests.support.gateway import Gateway as Simulated
from tests.support.gateway.client import MODULE_ID, client_of, modl, timing_of

NOW = datetime(2026, 2, 1, tzinfo=UTC)
ACCEPT_ALL = AcceptOptions(frozenset({"yes"}), frozenset({"yes"}))


def verified(path: Path) -> VerifiedModule:
    """Verify a module file, as every deployment does before."""
    return verify_module(SignedModule(path, inspect_signature(path, now=NOW).descriptor), now=NOW)


@dataclass
class VersionStore:
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


def deploy_options_for(shelf: VersionStore, simulated: Simulated, **options: Any) -> DeployOptions:
    """Return a manner that accepts everything and restarts if needed, unless told otherwise."""
    usual: dict[str, Any] = {
        "accept": ACCEPT_ALL,
        "restart": Restart.IF_NEEDED,
        "timing": replace(timing_of(simulated), deadline=60.0),
    }
    return DeployOptions(obtain=shelf.obtain, **(usual | options))


def deploy(
    shelf: VersionStore,
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
    how = deploy_options_for(shelf, simulated[0], **options)
    tell = reporter or SilentReporter()
    gateways = [
        wrap(Gateway(client_of(each), name=f"gateway {number}"))
        for number, each in enumerate(simulated, start=1)
    ]
    prepared = plan_gateways(
        gateways, modules, options=how, before=before or {}, reporter=tell, removals=removals
    )
    return Rollout(prepared, how, tell).run()

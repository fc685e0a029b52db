"""Orders for deployments, from what a user or a job requested: install, roll back, promote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.deployment.history import DeployedVersion
from ign_deploy.deployment.records import DeploymentKind, check_environment
from ign_deploy.errors import ConfigurationError, DeploymentError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.deploy import Deployer, Order, Part, environment_of
from ign_deploy.pipeline.gateways import open_gateways
from ign_deploy.pipeline.verify import verify_file

if TYPE_CHECKING:
    from ign_deploy.deployment.options import Gateway


def installation(names: Sequence[str], deployer: Deployer) -> Order:
    """Return the order to install published modules (``NAME[@VERSION]``) and signed files."""
    environment = environment_of(deployer.context)
    gateways = _gateways(deployer)
    modules = [_module(name, deployer) for name in names]
    ids = [module.descriptor.id for module in modules]
    for module_id in ids:
        if ids.count(module_id) > 1:
            raise ConfigurationError(
                f"two versions of {module_id} were requested", hint="name each module once."
            )
    return Order(environment, (Part(modules, gateways),))


def rollback(names: Sequence[str], deployer: Deployer) -> Order:
    """Return the order to restore what ran before, on every gateway of the environment."""
    environment = _required_environment(deployer)
    deployed = _selected(deployer.context.history.deployed(environment), names, environment)
    chosen = {gateway.location: gateway for gateway in _gateways(deployer)}
    by_gateway: dict[str, list[DeployedVersion]] = {}
    for each in deployed:
        if each.gateway in chosen or not (each.gateway or chosen) or not each.gateway:
            by_gateway.setdefault(each.gateway, []).append(each)
        else:
            deployer.context.reporter.warning(
                f"skipped {each.gateway}, which has {each.id} {each.version}: it isn't among the "
                "requested gateways"
            )
    if not by_gateway:
        raise DeploymentError(
            f"the history of {environment} has none of the requested gateways",
            hint="give their addresses as `ign-deploy status` shows them.",
        )
    parts = [
        _rollback_part(found, chosen.get(address), deployer)
        for address, found in by_gateway.items()
    ]
    return Order(environment, tuple(parts), kind=DeploymentKind.ROLLBACK)


def promotion(names: Sequence[str], deployer: Deployer) -> Order:
    """Return the order to deploy one environment's versions to another."""
    source = _required_environment(deployer)
    target = check_environment(deployer.context.settings.to)
    if source == target:
        raise ConfigurationError(
            f"cannot promote {source} to itself", hint="give another environment as --to."
        )
    deployed = _selected(deployer.context.history.deployed(source), names, source)
    versions: dict[str, str] = {}
    for each in deployed:
        if each.uncertain or versions.setdefault(each.id, each.version) != each.version:
            raise DeploymentError(
                f"{source} has no single version of {each.id}: "
                + ", ".join(
                    f"{one.version} on {one.gateway}" for one in deployed if one.id == each.id
                ),
                hint=f"deploy one version to all gateways of {source} first.",
            )
    modules = [deployer.obtain(module_id, version) for module_id, version in versions.items()]
    gateways = open_gateways(deployer.context.with_settings(environment=target))
    return Order(target, (Part(modules, gateways),), kind=DeploymentKind.PROMOTION, source=source)


def _rollback_part(
    found: Sequence[DeployedVersion], gateway: Gateway | None, deployer: Deployer
) -> Part:
    versions = {each.id: deployer.context.settings.to or each.rollback_version for each in found}
    modules = [
        deployer.obtain(module_id, version) for module_id, version in versions.items() if version
    ]
    removals = [module_id for module_id, version in versions.items() if not version]
    if gateway is None:
        if removals:
            raise DeploymentError(
                f"no earlier version of {', '.join(removals)} to roll back to",
                hint="give the version with --to.",
            )
        return Part(modules)
    return Part(modules, (gateway,), removals)


def _selected(
    deployed: Sequence[DeployedVersion], names: Sequence[str], environment: str
) -> list[DeployedVersion]:
    if not deployed:
        raise DeploymentError(
            f"nothing has been deployed to {environment}", hint="see `ign-deploy history`."
        )
    ids = {each.id for each in deployed}
    for name in names:
        if name not in ids:
            raise DeploymentError(
                f"{environment} has no {name[:200]!a}, only {', '.join(sorted(ids))}",
                hint="give the id of one of these modules.",
            )
    return [each for each in deployed if not names or each.id in names]


def _required_environment(deployer: Deployer) -> str:
    if not deployer.context.settings.environment:
        raise ConfigurationError("no environment given", hint="give --environment.")
    return check_environment(deployer.context.settings.environment)


def _gateways(deployer: Deployer) -> list[Gateway]:
    return open_gateways(deployer.context)


def _module(name: str, deployer: Deployer) -> VerifiedModule:
    """Return the verified file of that name, else the published module."""
    from ign_deploy.repositories.download import find_release

    path = Path(name)
    if name.endswith(".modl") or path.is_file():
        return verify_file(path, deployer.context)
    module, at, version = name.partition("@")
    requested = version if at else deployer.context.settings.version
    release = find_release(deployer.context.repository, module, version=requested or None)
    return deployer.obtain(release.id, release.version)

"""Orders for deployments, from what a user or a job requested: install, promote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.deployment.history import DeployedVersion
from ign_deploy.deployment.records import DeploymentKind, Outcome
from ign_deploy.errors import ConfigurationError, DeploymentError, VerificationError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.version import same_version
from ign_deploy.pipeline.deploy import Deployer, Order, Part
from ign_deploy.pipeline.environment import environment_of, named_environment
from ign_deploy.pipeline.gateways import gateways_or_tracking
from ign_deploy.pipeline.verify import verify_file

if TYPE_CHECKING:
    from ign_deploy.deployment.history import EnvironmentState


def installation(names: Sequence[str], deployer: Deployer) -> Order:
    """Return the order to install published modules (``NAME[@VERSION]``) and signed files."""
    environment = environment_of(deployer.context)
    gateways = gateways_or_tracking(deployer.context)
    modules = [requested_module(name, deployer) for name in names]
    again = [
        name if _is_file(name) else f"{module.descriptor.id}@{module.descriptor.version}"
        for name, module in zip(names, modules, strict=True)
    ]
    ids = [module.descriptor.id for module in modules]
    for module_id in ids:
        if ids.count(module_id) > 1:
            raise ConfigurationError(
                f"two versions of {module_id} were requested", hint="name each module once."
            )
    return Order(environment, (Part(modules, gateways),), arguments=again)


def promotion(names: Sequence[str], deployer: Deployer) -> Order:
    """Return the order to deploy one environment's versions to another (``MODULE[@VERSION]``).

    A version only says which one is expected there.
    """
    source = required_environment(deployer)
    expected = {
        module_id: version for module_id, _, version in (each.partition("@") for each in names)
    }
    target = named_environment(deployer.context.settings.to, deployer.context)
    if source == target:
        raise ConfigurationError(
            f"cannot promote {source} to itself", hint="give another environment as --to."
        )
    gateways = gateways_or_tracking(deployer.context.with_settings(environment=target))
    state = deployer.context.history.state(source)
    deployed = select_modules(state.deployed, list(expected), source, deployer)
    versions: dict[str, DeployedVersion] = {}
    for each in deployed:
        if each.uncertain or versions.setdefault(each.id, each).version != each.version:
            raise DeploymentError(
                f"{source} has no single version of {each.id}: "
                + ", ".join(
                    f"{one.version} on {one.gateway}" for one in deployed if one.id == each.id
                ),
                hint=f"deploy one version to all gateways of {source} first.",
            )
        _require_run(each, source)
        _require_expected(each, source, expected.get(each.id, ""))
    modules = [_promoted(each, state, deployer) for each in versions.values()]
    return Order(
        target,
        (Part(modules, gateways),),
        kind=DeploymentKind.PROMOTION,
        source=source,
        arguments=[f"{each.id}@{each.version}" for each in versions.values()],
    )


def _require_run(deployed: DeployedVersion, source: str) -> None:
    """Raise DeploymentError for a version that waits for a restart: it has never run."""
    if deployed.outcome is Outcome.RESTART_PENDING:
        what = f"{deployed.id} {deployed.version}"
        raise DeploymentError(
            f"{what} has not run in {source} yet: {deployed.gateway} waits for a restart",
            hint=f"restart {deployed.gateway}, then run `ign-deploy install "
            f"{deployed.id}@{deployed.version} -e {source}` to verify it; or install it in the "
            "other environment by its number.",
        )


def _require_expected(deployed: DeployedVersion, source: str, version: str) -> None:
    if version and not same_version(version, deployed.version):
        raise DeploymentError(
            f"{source} has {deployed.id} {deployed.version}, expected {version[:100]}",
            hint=f"promote {deployed.id}@{deployed.version}, or install the other version.",
        )


def _promoted(
    deployed: DeployedVersion, state: EnvironmentState, deployer: Deployer
) -> VerifiedModule:
    """Return the very file that the source environment has."""
    module = deployer.obtain(deployed.id, deployed.version)
    key = (deployed.gateway, deployed.id, deployed.version)
    require_digest(module, state.digests.get(key, ""))
    return module


def require_digest(module: VerifiedModule, expected: str) -> None:
    """Raise VerificationError if the repository's file isn't the one in the history."""
    from ign_deploy.deployment.plan import wrong_digest

    if expected and module.sha256 != expected:
        raise VerificationError(
            wrong_digest(module, expected),
            hint="don't install it; find out who changed the repository.",
        )


def select_modules(
    deployed: Sequence[DeployedVersion],
    names: Sequence[str],
    environment: str,
    deployer: Deployer,
) -> list[DeployedVersion]:
    """Return the named modules of an environment, or all of them; raises DeploymentError."""
    if not deployed:
        known = deployer.context.history.environments()
        if not known:
            deployer.context.require_repository()
        if environment in known:
            raise DeploymentError(
                f"{environment} has no module now",
                hint=f"run `ign-deploy history -e {environment}` to see what became of them.",
            )
        raise DeploymentError(
            f"nothing has been deployed to {environment}",
            hint=f"give one of these environments: {', '.join(known)}."
            if known
            else "install a module first.",
        )
    ids = {each.id for each in deployed}
    for name in names:
        if name not in ids:
            raise DeploymentError(
                f"{environment} has no {name[:200]!r}, only {', '.join(sorted(ids))}",
                hint="give the id of one of these modules."
                if name.partition("@")[0] not in ids
                else "give the id alone; `rollback` takes the version as --to.",
            )
    return [each for each in deployed if not names or each.id in names]


def required_environment(deployer: Deployer) -> str:
    """Return the environment's name; raises ConfigurationError if none was given."""
    if not deployer.context.settings.environment:
        raise ConfigurationError("no environment given", hint="give --environment.")
    return named_environment(deployer.context.settings.environment, deployer.context)


def requested_module(name: str, deployer: Deployer) -> VerifiedModule:
    """Return the verified file of that name, else the published module."""
    from ign_deploy.repositories.download import find_release

    if _is_file(name):
        return verify_file(Path(name), deployer.context)
    module, at, version = name.partition("@")
    requested = version if at else deployer.context.settings.version
    release = find_release(
        deployer.context.repository,
        module,
        version=requested or None,
        ignition=deployer.context.settings.ignition,
    )
    return deployer.obtain(release.id, release.version)


def _is_file(name: str) -> bool:
    return name.endswith(".modl") or Path(name).is_file()

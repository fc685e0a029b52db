"""Whether a gateway can take a module, found out before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ign_deploy.deployment.gateway import GatewayFacts, InstalledModule
from ign_deploy.errors import DeploymentError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.dependencies import Needs
from ign_deploy.module.version import ModuleVersion, VersionSyntaxError


class Incompatible(DeploymentError):
    """A module can't go onto a gateway; nothing was changed anywhere."""

    code = "incompatible"


def obstacles(
    module: VerifiedModule,
    *,
    facts: GatewayFacts,
    installed: Mapping[str, InstalledModule],
    coming: Collection[str],
    allow_downgrade: bool,
) -> Iterator[Incompatible]:
    """Yield every reason why the gateway can't take the module.

    ``coming`` are the ids of all modules of the deployment: they may depend on each other.
    """
    what = f"{module.descriptor.id} {module.descriptor.version}"
    if facts.obstacle:
        yield Incompatible(
            f"{facts.location} can't be changed: {facts.obstacle}",
            hint="give the address of the gateway that is in charge, or wait.",
        )
    # The old file stays beside the new one until that is whole.
    if facts.free_bytes is not None and facts.free_bytes < 2 * module.size:
        yield Incompatible(
            f"{what} needs {2 * module.size >> 20} MiB, {facts.location} has "
            f"{facts.free_bytes >> 20} MiB free",
            hint="free some disk space there.",
        )
    yield from _other_line(module, what, facts)
    if facts.capabilities.lists_modules:
        missing = sorted(Needs.of(module.descriptor).required - installed.keys() - set(coming))
        if missing:
            yield Incompatible(
                f"{what} needs {', '.join(missing)}, which {facts.location} hasn't got",
                hint="install that first, or together with it.",
            )
    present = installed.get(module.descriptor.id)
    if present is not None and not allow_downgrade:
        yield from _downgrade(module, what, facts, present)


def _other_line(module: VerifiedModule, what: str, facts: GatewayFacts) -> Iterator[Incompatible]:
    required, running = (
        _version(module.descriptor.required_ignition_version),
        _version(facts.version),
    )
    if required is None or running is None:
        return
    if required.minor_line != running.minor_line:
        yield Incompatible(
            f"{what} is for Ignition {_line(required)}, {facts.location} is {facts.version}: a "
            "gateway of another line refuses it",
            hint=f"take a build of the module for Ignition {_line(running)}.",
        )
    elif required.numbers > running.numbers:
        yield Incompatible(
            f"{what} requires Ignition {required}, {facts.location} is {facts.version}",
            hint="update the gateway first, or take an older version of the module.",
        )


def _downgrade(
    module: VerifiedModule, what: str, facts: GatewayFacts, present: InstalledModule
) -> Iterator[Incompatible]:
    wanted, there = _version(module.descriptor.version), _version(present.version.full)
    if wanted is not None and there is not None and wanted < there:
        yield Incompatible(
            f"{what} is older than {there}, which {facts.location} has",
            hint="add --allow-downgrade if that is meant; `rollback` goes back to what ran before.",
        )


def _version(text: str) -> ModuleVersion | None:
    try:
        return ModuleVersion.parse(text)
    except VersionSyntaxError:
        return None


def _line(version: ModuleVersion) -> str:
    return ".".join(map(str, version.minor_line))

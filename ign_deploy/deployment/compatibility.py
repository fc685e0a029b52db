"""Compatibility of a module with a gateway, checked before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ign_deploy.deployment.gateway import GatewayFacts, InstalledModule
from ign_deploy.errors import DeploymentError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.dependencies import Needs
from ign_deploy.module.ignition import ignition_line, line_name, parsed_ignition
from ign_deploy.module.version import parsed_version


class Incompatible(DeploymentError):
    """A gateway can't take a module; nothing was changed."""

    code = "incompatible"


def incompatibilities(
    module: VerifiedModule,
    *,
    name: str,
    facts: GatewayFacts,
    installed: Mapping[str, InstalledModule],
    coming: Collection[str],
    allow_downgrade: bool,
) -> Iterator[Incompatible]:
    """Yield every reason why the gateway can't take the module.

    ``coming`` are the ids of all modules in the deployment: they may depend on each other.
    ``name`` is what messages call the gateway.
    """
    what = f"{module.descriptor.id} {module.descriptor.version}"
    if facts.obstacle:
        yield Incompatible(
            f"cannot deploy to {name}: {facts.obstacle}",
            hint="fix that first, or deploy to another gateway.",
        )
    # The old file is kept until the new one is complete.
    if facts.free_bytes is not None and facts.free_bytes < 2 * module.size:
        yield Incompatible(
            f"{what} needs {2 * module.size >> 20} MiB of disk space, but {name} has only "
            f"{facts.free_bytes >> 20} MiB free",
            hint="free up disk space on the gateway.",
        )
    yield from _other_line(module, what, name, facts)
    if facts.capabilities.lists_modules:
        missing = sorted(Needs.of(module.descriptor).required - installed.keys() - set(coming))
        if missing:
            yield Incompatible(
                f"{what} depends on {', '.join(missing)}, missing on {name}",
                hint=f"install {', '.join(missing)} first, or in the same deployment.",
            )
    present = installed.get(module.descriptor.id)
    if present is not None and not allow_downgrade:
        yield from _downgrade(module, what, name, present)


def _other_line(
    module: VerifiedModule, what: str, name: str, facts: GatewayFacts
) -> Iterator[Incompatible]:
    required = parsed_ignition(module.descriptor.required_ignition_version)
    running = parsed_ignition(facts.version)
    if required is None or running is None:
        return
    if ignition_line(required) != ignition_line(running):
        yield Incompatible(
            f"{what} is built for Ignition {line_name(required)}, but {name} runs {facts.version}",
            hint=f"deploy a build of the module for Ignition {line_name(running)}: add "
            f"--ignition {line_name(running)} to select the newest.",
        )
    elif required.numbers > running.numbers:
        yield Incompatible(
            f"{what} requires Ignition {required}, but {name} runs {facts.version}",
            hint="upgrade the gateway first, or deploy an older version of the module.",
        )
    elif not module.support.includes(running):
        yield Incompatible(
            f"{what} supports Ignition up to {module.support.maximum}, but {name} runs "
            f"{facts.version}",
            hint="deploy a version of the module that supports it.",
        )


def untested(module: VerifiedModule, *, name: str, facts: GatewayFacts) -> str:
    """Return that the module wasn't tested on the gateway's version; empty if it was.

    Also if its vendor doesn't say what it was tested on.
    """
    running = parsed_ignition(facts.version)
    if running is None or module.support.is_tested_on(running):
        return ""
    return (
        f"{module.descriptor.id} {module.descriptor.version} was tested on Ignition "
        f"{', '.join(module.support.tested_on)}, but {name} runs {facts.version}"
    )


def _downgrade(
    module: VerifiedModule, what: str, name: str, present: InstalledModule
) -> Iterator[Incompatible]:
    new, current = parsed_version(module.descriptor.version), parsed_version(present.version.full)
    if new is not None and current is not None and new < current:
        yield Incompatible(
            f"{what} is older than {current}, the current version on {name}",
            hint="add --allow-downgrade to downgrade, or run `ign-deploy rollback` to restore the "
            "previous version.",
        )

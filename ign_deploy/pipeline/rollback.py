"""The order to roll back: on each gateway, to what ran before the last deployment there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ign_deploy.deployment.history import DeployedVersion
from ign_deploy.deployment.records import DeploymentKind, GatewayRecord, ModuleOnGateway, Outcome
from ign_deploy.deployment.resuming import UNREACHABLE, facts_once_started
from ign_deploy.deployment.rollout import GRACE, WORKERS
from ign_deploy.errors import ConfigurationError, DeploymentError, IgnDeployError, NotInRepository
from ign_deploy.module.parallel import map_parallel
from ign_deploy.module.version import plain_version
from ign_deploy.pipeline.deploy import Deployer, Order, Part
from ign_deploy.pipeline.gateways import open_gateways
from ign_deploy.pipeline.orders import require_digest, required_environment, select_modules
from ign_deploy.pipeline.rollback_status import differs, explain, explain_from_history

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway import GatewayCapabilities, InstalledModule
    from ign_deploy.deployment.history import EnvironmentState
    from ign_deploy.deployment.options import Gateway
    from ign_deploy.module.artifacts import VerifiedModule


def rollback(names: Sequence[str], deployer: Deployer) -> Order:
    """Return the order to restore what ran before, on every gateway of the environment.

    Without names, the modules are those of the last deployment to each gateway. Where it changed
    nothing, because it failed and was rolled back, there is nothing to do. Raises DeploymentError
    if modules would have to be uninstalled without consent.
    """
    environment = required_environment(deployer)
    wanted = plain_version(deployer.context.settings.to)
    deployer = replace(deployer, context=deployer.context.with_settings(to=wanted))
    history = deployer.context.history
    state = history.state(environment)
    if (to := deployer.context.settings.to) and state.may_lack_digests(to):
        state = history.state(environment, is_whole=True)
    found = [each for each in state.modules if _is_known(each)]
    chosen = {gateway.location: gateway for gateway in open_gateways(deployer.context)}
    selected = select_modules(found, names, environment, deployer)
    by_gateway = _by_gateway(selected, chosen, environment, deployer)
    if not names:
        by_gateway = _of_last_deployments(by_gateway, state, deployer)
        _require_one_module(by_gateway, deployer)
    gateways = [chosen[address] for address in by_gateway if address in chosen]
    seen, unreachable = ({}, ()) if to else _look_at(gateways, state, deployer)
    skipped = {gateway.location for gateway, _ in unreachable}
    parts: list[Part] = []
    unchanged: list[GatewayRecord] = []
    for address, modules in by_gateway.items():
        if address in skipped:
            continue
        rolling = _Rolling(modules, chosen.get(address), seen.get(address), state, deployer)
        unchanged += rolling.unchanged()
        parts += rolling.parts()
    _require_uninstall_allowed(parts, seen, deployer)
    return Order(
        environment,
        tuple(_with_all_gateways(parts)),
        kind=DeploymentKind.ROLLBACK,
        unchanged=tuple(unchanged),
        unreachable=tuple(unreachable),
        arguments=names,
    )


@contextmanager
def leased_rollback(names: Sequence[str], deployer: Deployer) -> Iterator[Order]:
    """Yield the order of ``rollback`` while the gateways are this run's alone."""
    environment = required_environment(deployer)
    with deployer.leasing(open_gateways(deployer.context), environment):
        yield rollback(names, deployer)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a gateway can do and has now, its modules by id."""

    capabilities: GatewayCapabilities
    modules: Mapping[str, InstalledModule]


def _look_at(
    gateways: Sequence[Gateway], state: EnvironmentState, deployer: Deployer
) -> tuple[Mapping[str, _Seen], Sequence[tuple[Gateway, IgnDeployError]]]:
    """Look at all gateways at once; return what they have, and which can't be reached.

    Those only stop the others without ``continue_on_error``.
    """

    def look(gateway: Gateway) -> _Seen | IgnDeployError:
        try:
            capabilities = facts_once_started(gateway, state).capabilities
            return _Seen(capabilities, {each.id: each for each in gateway.target.modules()})
        except UNREACHABLE as problem:
            if not deployer.context.settings.continue_on_error:
                raise
            return problem

    looks = map_parallel(look, gateways, workers=WORKERS, grace=GRACE)
    found = list(zip(gateways, looks, strict=True))
    return (
        {gateway.location: each for gateway, each in found if isinstance(each, _Seen)},
        [(gateway, each) for gateway, each in found if isinstance(each, IgnDeployError)],
    )


def _with_all_gateways(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield the parts, those with the same content as one, so that they are planned at once."""
    found: dict[object, list[Part]] = {}
    for part in parts:
        modules = tuple((each.descriptor.id, each.sha256) for each in part.modules)
        found.setdefault((modules, tuple(part.removals)), []).append(part)
    for same in found.values():
        yield replace(same[0], gateways=[gateway for part in same for gateway in part.gateways])


def _is_known(module: DeployedVersion) -> bool:
    """Return whether the module is there, or was: not if its first installation failed."""
    is_pending = module.outcome is Outcome.RESTART_PENDING
    return bool(module.version or module.uncertain or module.undone or is_pending)


def _by_gateway(
    deployed: Sequence[DeployedVersion],
    chosen: Mapping[str, Gateway],
    environment: str,
    deployer: Deployer,
) -> Mapping[str, list[DeployedVersion]]:
    """Return the modules on each requested gateway; raises DeploymentError if there are none."""
    is_tracked = deployer.context.settings.track_only
    if is_tracked and chosen:
        raise ConfigurationError(
            "--track-only and gateways exclude each other", hint="drop one of them."
        )
    found: dict[str, list[DeployedVersion]] = {}
    for each in deployed:
        if each.gateway in chosen or (is_tracked and not each.gateway):
            found.setdefault(each.gateway, []).append(each)
        elif each.gateway:
            deployer.context.reporter.warning(
                f"skipped {each.gateway}, which has {each.id} {each.version}: it isn't among the "
                "requested gateways"
            )
    if found:
        return found
    known = ", ".join(sorted({each.gateway for each in deployed if each.gateway}))
    if not known:
        raise DeploymentError(
            f"{environment} is only tracked: its history has no gateway",
            hint="install a version on its gateways first."
            if chosen
            else "add --track-only to record a rollback without touching any gateway.",
        )
    what = "has none of the requested gateways" if chosen else "has gateways, but none was given"
    raise DeploymentError(
        f"the history of {environment} {what}",
        hint=f"give --gateway, with an address that the history has: {known}.",
    )


def _of_last_deployments(
    by_gateway: Mapping[str, Sequence[DeployedVersion]],
    state: EnvironmentState,
    deployer: Deployer,
) -> Mapping[str, list[DeployedVersion]]:
    """Return the modules of the last deployment to each gateway; say which others stay."""
    found: dict[str, list[DeployedVersion]] = {}
    for address, modules in by_gateway.items():
        last = state.last_modules.get(address, ())
        found[address] = [each for each in modules if each.id in last]
        for each in modules:
            if each.id not in last and each.version:
                deployer.context.reporter.info(
                    f"{each.id} {each.version} stays on {address or 'no gateway'}: it wasn't part "
                    "of the last deployment there; name it to roll it back"
                )
    return found


def _require_one_module(
    by_gateway: Mapping[str, Sequence[DeployedVersion]], deployer: Deployer
) -> None:
    """Raise ConfigurationError if one version was given for several modules."""
    ids = sorted({each.id for modules in by_gateway.values() for each in modules})
    if deployer.context.settings.to and len(ids) > 1:
        raise ConfigurationError(
            f"--to {deployer.context.settings.to[:100]} is the version of one module, but the "
            f"last deployment had {', '.join(ids)}",
            hint="name the module to roll back.",
        )


def _require_uninstall_allowed(
    parts: Sequence[Part], seen: Mapping[str, _Seen], deployer: Deployer
) -> None:
    for part in parts:
        for gateway in part.gateways if part.removals else ():
            if not seen[gateway.location].capabilities.uninstall:
                names = ", ".join(part.removals)
                raise DeploymentError(
                    f"cannot uninstall {names} from {gateway.title}: it can only add and replace "
                    "modules; nothing was changed",
                    hint="remove it on the gateway's web page, or give the version to restore as "
                    "--to.",
                )
    removals = [
        f"{module_id} from {gateway.title}"
        for part in parts
        for gateway in part.gateways
        for module_id in part.removals
    ]
    if removals and not deployer.context.settings.allow_uninstall:
        raise DeploymentError(
            f"rolling back would uninstall {', '.join(removals)}: no other version was there "
            "before; nothing was changed",
            hint="add --allow-uninstall to uninstall it, or give the version to restore as --to.",
        )


@dataclass(frozen=True, slots=True)
class _Rolling:
    """The modules on one gateway, or those that are only tracked.

    ``seen`` is None where it makes no difference what the gateway has.
    """

    deployed: Sequence[DeployedVersion]
    gateway: Gateway | None
    seen: _Seen | None
    state: EnvironmentState
    deployer: Deployer

    def unchanged(self) -> list[GatewayRecord]:
        """Return an entry for what needs no rollback, by what the gateway has."""
        done = [each for each in self.deployed if self._is_undone(each)]
        if not done:
            return []
        title = "no gateway" if self.gateway is None else self.gateway.title
        return [
            GatewayRecord(
                gateway="" if self.gateway is None else self.gateway.location,
                name="" if self.gateway is None else self.gateway.name,
                outcome=Outcome.UNCHANGED,
                message=f"{title}: nothing to roll back: {'; '.join(self._explanations(done))}",
                modules=tuple(
                    ModuleOnGateway(
                        id=each.id,
                        version=each.version,
                        sha256=each.sha256,
                        previous=each.version,
                        outcome=Outcome.UNCHANGED,
                    )
                    for each in done
                ),
            )
        ]

    def _explanations(self, done: Sequence[DeployedVersion]) -> list[str]:
        if self.gateway is None or self.seen is None or not self.seen.capabilities.lists_modules:
            return [explain_from_history(each) for each in done]
        installed, title = self.seen.modules, self.gateway.title
        return [explain(each, installed.get(each.id), title) for each in done]

    def parts(self) -> list[Part]:
        """Return what is to be restored, each file as it was installed there."""
        versions = {
            each.id: self._version(each) for each in self.deployed if not self._is_undone(each)
        }
        self._require_recorded(versions)
        modules = [
            self._obtain(module_id, version) for module_id, version in versions.items() if version
        ]
        address = self.gateway.location if self.gateway is not None else ""
        for module in modules:
            key = (address, module.descriptor.id, module.descriptor.version)
            require_digest(module, self.state.digests.get(key, ""))
        removals = [module_id for module_id, version in versions.items() if not version]
        if not versions:
            return []
        if self.gateway is not None:
            return [Part(modules, (self.gateway,), removals)]
        if removals:
            raise DeploymentError(
                f"no earlier version of {', '.join(removals)} to roll back to",
                hint="give the version with --to.",
            )
        return [Part(modules)]

    def _obtain(self, module_id: str, version: str) -> VerifiedModule:
        try:
            return self.deployer.obtain(module_id, version)
        except NotInRepository as problem:
            if self.deployer.context.settings.to:
                raise
            raise NotInRepository(
                f"cannot roll back: {problem.message}",
                hint="give another version as --to VERSION, or install its file from a backup.",
            ) from problem

    def _require_recorded(self, versions: Mapping[str, str]) -> None:
        """Raise DeploymentError where the gateway has a version that isn't this environment's.

        Someone else installed it, by hand or through another environment: it isn't ours to undo.
        """
        if self.gateway is None or self.seen is None or not self.seen.capabilities.lists_modules:
            return
        for each in self.deployed:
            found = self.seen.modules.get(each.id)
            known = (each.version, each.previous, versions.get(each.id, ""), *each.attempted)
            if each.id not in versions:
                continue
            if found is None:
                # A folder has the file at once, an API may list the module after the restart.
                is_pending = each.outcome is Outcome.RESTART_PENDING
                may_wait = is_pending and self.seen.capabilities.reports_state
                if each.version and not may_wait and not each.uncertain:
                    raise differs(each, "is not installed", self.gateway.title)
                continue
            if not any(found.version.is_version(version) for version in known if version):
                raise differs(each, f"is {found.version}", self.gateway.title)

    def _is_undone(self, deployed: DeployedVersion) -> bool:
        return bool(deployed.undone) and not self.deployer.context.settings.to

    def _version(self, deployed: DeployedVersion) -> str:
        if self.deployer.context.settings.to:
            return self.deployer.context.settings.to
        if deployed.contradiction:
            raise DeploymentError(
                f"the history doesn't say reliably what {deployed.id} {deployed.version} replaced "
                f"on {deployed.gateway or 'no gateway'}: {deployed.contradiction}",
                hint="find out which version ran there before, and give it as --to VERSION.",
            )
        return deployed.rollback_version

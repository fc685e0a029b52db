"""What the gateways themselves report, compared with what the history has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from ign_deploy.errors import ConfigurationError, IgnDeployError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.environment import DEFAULT_ENVIRONMENT
from ign_deploy.pipeline.gateways import chosen_entries, open_gateway

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway import InstalledModule, Restartable
    from ign_deploy.deployment.options import Gateway
    from ign_deploy.deployment.state import DeployedVersion, EnvironmentState
    from ign_deploy.settings import GatewayEntry

# A person waits for the whole table; one that hangs must not take the five minutes of a restart.
_SECONDS = 30
_WORKERS = 32
# Modules of the platform are on every gateway; they are of interest only if we deployed them.
_PLATFORM = "com.inductiveautomation."


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last deployment of a module to a gateway, if it didn't succeed; ``at`` is in UTC."""

    version: str
    outcome: str
    at: str
    reason: str


@dataclass(frozen=True, slots=True)
class LiveModule:
    """A module on a gateway; ``version`` is empty if it isn't installed, ``state`` if not reported.

    ``recorded`` is the version that the history has, empty for none. ``difference`` says what is
    not as recorded, empty if all is.
    """

    id: str
    version: str = ""
    state: str = ""
    license_state: str = ""
    self_signed: bool | None = None
    recorded: str = ""
    difference: str = ""
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True)
class LiveGateway:
    """A gateway's own report; ``problem`` is why there is none, then all else is empty.

    ``location`` is its address, empty if the settings of the gateway are wrong.
    ``pending`` is what waits for a restart, in the gateway's words.
    """

    environment: str
    title: str
    location: str
    ignition: str = ""
    pending: tuple[str, ...] = ()
    modules: tuple[LiveModule, ...] = ()
    problem: str = ""

    @property
    def is_as_recorded(self) -> bool:
        """Whether it responded, and nothing differs from the history."""
        return not self.problem and not any(module.difference for module in self.modules)


def ask_gateways(context: RunContext) -> tuple[LiveGateway, ...]:
    """Ask the requested gateways, at once, and compare them with the history.

    Those of --gateway, of the environment, or all of the config file. One that hangs costs its own
    time-out only, and one whose settings are wrong hides no other. Raises ConfigurationError if
    there is none that can be asked.
    """
    settings = context.settings
    entries = _entries(context)
    if not entries:
        raise ConfigurationError(
            "no gateway to ask: the config file has none"
            + (f" with the environment {settings.environment!a}" if settings.environment else ""),
            hint="give --gateway URL, or list the gateways in the config file.",
        )
    brief = context.with_settings(timeout=min(settings.timeout, _SECONDS))
    gateways = [(_environment(entry, context), _open(entry, brief)) for entry in entries]
    problems = [each for _, each in gateways if isinstance(each, _Unopened)]
    if len(problems) == len(gateways):
        raise problems[0].problem
    states = {name: context.history.state(name) for name in sorted({name for name, _ in gateways})}
    return tuple(map_parallel(partial(_ask, states=states), gateways, workers=_WORKERS))


def _entries(context: RunContext) -> Sequence[GatewayEntry]:
    settings = context.settings
    if settings.gateway or settings.environment:
        return chosen_entries(settings)
    return settings.gateways


@dataclass(frozen=True, slots=True)
class _Unopened:
    """A gateway that isn't asked, since its settings are wrong, such as a missing token."""

    name: str
    problem: ConfigurationError


def _open(entry: GatewayEntry, context: RunContext) -> Gateway | _Unopened:
    try:
        return open_gateway(entry, context)
    except ConfigurationError as problem:
        return _Unopened(entry.name, problem)


def _environment(entry: GatewayEntry, context: RunContext) -> str:
    """Return whose history has the gateway's deployments, as commands that deploy choose it."""
    return context.settings.environment or entry.environment or DEFAULT_ENVIRONMENT


def _ask(
    job: tuple[str, Gateway | _Unopened], *, states: Mapping[str, EnvironmentState]
) -> LiveGateway:
    environment, gateway = job
    if isinstance(gateway, _Unopened):
        # Its address was perhaps refused because it contains credentials.
        return LiveGateway(environment, gateway.name, "", problem=gateway.problem.message)
    report = partial(LiveGateway, environment, gateway.title, gateway.location)
    target = gateway.target
    try:
        facts = target.facts()
        if not facts.capabilities.lists_modules:
            return report(
                ignition=facts.version, problem="this kind of gateway doesn't list its modules"
            )
        found = {module.id: module for module in target.modules()}
        pending: tuple[str, ...] = ()
        if facts.capabilities.restart:
            pending = cast("Restartable", target).pending_restart()
    except IgnDeployError as problem:
        return report(problem=problem.message)
    except Exception as bug:  # noqa: BLE001 - one gateway's nonsense must not hide the others
        return report(problem=f"its response can't be read ({type(bug).__name__})")
    state = states.get(environment)
    recorded = _recorded(state, gateway.location)
    wanted = [id_ for id_ in found if id_ in recorded or not id_.startswith(_PLATFORM)]
    gone = [
        id_
        for id_, each in recorded.items()
        if id_ not in found and (each.version or each.uncertain)
    ]
    modules = tuple(
        _compare(
            id_,
            found.get(id_),
            recorded.get(id_),
            is_waiting=any(id_ in task.split() for task in pending),
            attempt=_last_attempt(state, gateway, id_),
        )
        for id_ in sorted({*wanted, *gone})
    )
    return report(ignition=facts.version, pending=pending, modules=modules)


def _recorded(state: EnvironmentState | None, location: str) -> dict[str, DeployedVersion]:
    modules = state.modules if state else ()
    return {each.id: each for each in modules if each.gateway == location}


def _compare(
    module_id: str,
    found: InstalledModule | None,
    recorded: DeployedVersion | None,
    *,
    is_waiting: bool,
    attempt: Attempt | None,
) -> LiveModule:
    """Compare a module; ``is_waiting``: the gateway has something pending for it."""
    return LiveModule(
        id=module_id,
        version=str(found.version) if found else "",
        state=(found.state or ("QUARANTINED" if found.is_quarantined else "")) if found else "",
        license_state=found.license_state if found else "",
        self_signed=found.self_signed if found else None,
        recorded=recorded.version if recorded else "",
        difference=""
        if is_waiting and recorded and not recorded.uncertain
        else _difference(found, recorded),
        attempt=attempt,
    )


def _difference(found: InstalledModule | None, recorded: DeployedVersion | None) -> str:
    """Return what isn't as the history has it; nothing for a module that it doesn't know."""
    if recorded is None:
        return ""
    if found is None:
        known = recorded.version or " or ".join(recorded.attempted)
        return f"not installed; the history has {known}"
    if recorded.uncertain:
        return f"uncertain in the history; the gateway has {found.version}"
    if not recorded.version:
        return f"installed; it was uninstalled according to the history (had {recorded.previous})"
    return _condition(found, recorded)


def _condition(found: InstalledModule, recorded: DeployedVersion) -> str:
    """Return what keeps an installed module from running the recorded version."""
    if found.is_quarantined:
        return f"in quarantine: {found.quarantine or 'no reason given'}"
    if found.fault_cause:
        return f"faulted: {found.fault_cause}"
    if found.pending_upgrade:
        return ""  # which version will run after the restart isn't reported
    if not found.version.is_version(recorded.version):
        return f"{found.version}; the history has {recorded.version}"
    state = found.state or "in an unknown state"
    return "" if found.runs(recorded.version) else f"{state}, expected ACTIVE"


def _last_attempt(
    state: EnvironmentState | None, gateway: Gateway, module_id: str
) -> Attempt | None:
    """Return the newest deployment of the module to the gateway, if it didn't succeed."""
    from ign_deploy.deployment.records import DEPLOYED_OUTCOMES

    for deployment in sorted(
        state.deployments if state else (), key=lambda each: each.started.started_at, reverse=True
    ):
        for record in deployment.last.gateways:
            module = next((each for each in record.modules if each.id == module_id), None)
            if record.gateway != gateway.location or module is None:
                continue
            if deployment.ended is None:
                return Attempt(
                    module.version, "unfinished", deployment.started.started_at, "it didn't end"
                )
            if module.outcome in DEPLOYED_OUTCOMES:
                return None
            at = deployment.ended.ended_at or deployment.started.started_at
            return Attempt(module.version, module.outcome.value, at, record.message)
    return None

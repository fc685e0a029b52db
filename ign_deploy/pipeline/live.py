"""What the gateways themselves report, compared with what the history has."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, cast

from ign_deploy.deployment.gateway.comparison import shown_moment
from ign_deploy.deployment.records import timestamp
from ign_deploy.errors import ConfigurationError, IgnDeployError
from ign_deploy.module.expiry import days_left
from ign_deploy.module.parallel import map_parallel
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.environment import DEFAULT_ENVIRONMENT
from ign_deploy.pipeline.gateways import chosen_entries, no_gateways, open_gateway
from ign_deploy.pipeline.live_comparison import (
    LiveModule,
    compare_module,
    last_attempt,
    unseen_module,
)

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway import Restartable
    from ign_deploy.deployment.options import Gateway
    from ign_deploy.deployment.state import DeployedVersion, EnvironmentState
    from ign_deploy.settings import GatewayEntry

# A person waits for the whole table; one that hangs must not take the five minutes of a restart.
_SECONDS = 30
_WORKERS = 32
# Modules of the platform are on every gateway; they are of interest only if we deployed them.
_PLATFORM = "com.inductiveautomation."


class LiveResult(StrEnum):
    """How a gateway, or all of them, compare with the history."""

    AS_RECORDED = "as-recorded"
    DIFFERENT = "different"
    UNREACHABLE = "unreachable"
    NOT_COMPARABLE = "not-comparable"


@dataclass(frozen=True, slots=True)
class LiveGateway:
    """A gateway's own report; ``problem`` is why there is none, then all else is empty.

    ``location`` is its address, empty if the settings of the gateway are wrong.
    ``pending`` is what waits for a restart, in the gateway's words. One that doesn't list its
    modules has those of the history, without versions. ``seconds`` is how long it took to ask.
    """

    environment: str
    title: str
    location: str
    ignition: str = ""
    pending: tuple[str, ...] = ()
    modules: tuple[LiveModule, ...] = ()
    problem: str = ""
    lists_modules: bool = True
    seconds: float = 0.0

    @property
    def result(self) -> LiveResult:
        """How it compares with the history."""
        if self.problem:
            return LiveResult.UNREACHABLE
        if not self.lists_modules:
            return LiveResult.NOT_COMPARABLE
        differs = any(module.difference for module in self.modules)
        return LiveResult.DIFFERENT if differs else LiveResult.AS_RECORDED

    @property
    def needs_attention(self) -> bool:
        """Whether it differs from the history, or didn't respond."""
        return self.result in (LiveResult.DIFFERENT, LiveResult.UNREACHABLE)


def overall_result(gateways: Sequence[LiveGateway]) -> LiveResult:
    """Return how all of them compare: those that don't list their modules change nothing."""
    if any(gateway.needs_attention for gateway in gateways):
        return LiveResult.DIFFERENT
    if any(gateway.result is LiveResult.AS_RECORDED for gateway in gateways):
        return LiveResult.AS_RECORDED
    return LiveResult.NOT_COMPARABLE


def ask_gateways(context: RunContext) -> tuple[LiveGateway, ...]:
    """Ask the requested gateways, at once, and compare them with the history.

    Those of --gateway, of the environment, or all of the config file. One that hangs costs its own
    time-out only, and one whose settings are wrong hides no other. Raises ConfigurationError if
    there is none that can be asked.
    """
    settings = context.settings
    entries = _entries(context)
    if not entries:
        raise no_gateways(settings, is_change=False)
    brief = context.with_settings(timeout=min(settings.timeout, _SECONDS))
    gateways = [(_environment(entry, context), _open(entry, brief)) for entry in entries]
    problems = [each for _, each in gateways if isinstance(each, _Unopened)]
    if len(problems) == len(gateways):
        raise problems[0].problem
    states = {name: context.history.state(name) for name in sorted({name for name, _ in gateways})}
    noun = "gateway" if len(gateways) == 1 else "gateways"
    with context.reporter.waiting(f"asking {len(gateways)} {noun}"):
        ask = partial(_timed, states=states, now=context.now)
    return tuple(map_parallel(ask, gateways, workers=_WORKERS))


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


def _timed(
    job: tuple[str, Gateway | _Unopened], *, states: Mapping[str, EnvironmentState], now: datetime
) -> LiveGateway:
    begin = time.monotonic()
    found = _ask(job, states=states, now=now)
    return replace(found, seconds=time.monotonic() - begin)


def _ask(
    job: tuple[str, Gateway | _Unopened], *, states: Mapping[str, EnvironmentState], now: datetime
) -> LiveGateway:
    environment, gateway = job
    if isinstance(gateway, _Unopened):
        # Its address was perhaps refused because it contains credentials.
        return LiveGateway(environment, gateway.name, "", problem=gateway.problem.message)
    report = partial(LiveGateway, environment, gateway.title, gateway.location)
    target = gateway.target
    try:
        facts = target.facts()
        found = {module.id: module for module in target.modules()}
        pending: tuple[str, ...] = ()
        if facts.capabilities.restart:
            pending = cast("Restartable", target).pending_restart()
    except IgnDeployError as problem:
        return report(problem=problem.message)
    except Exception as bug:  # noqa: BLE001 - one gateway's nonsense must not hide the others
        return report(problem=f"its response can't be read ({type(bug).__name__})")
    lists_modules = facts.capabilities.lists_modules
    state = states.get(environment)
    recorded = _recorded(state, gateway.location)
    wanted = [id_ for id_ in found if id_ in recorded or not id_.startswith(_PLATFORM)]
    gone = [
        id_
        for id_, each in recorded.items()
        if id_ not in found and (each.version or each.uncertain)
    ]
    compare = compare_module if lists_modules else unseen_module
    modules = tuple(
        compare(
            id_,
            found.get(id_),
            recorded.get(id_),
            is_waiting=any(id_ in task.split() for task in pending),
            attempt=last_attempt(state, gateway, id_),
        )
        for id_ in sorted({*wanted, *gone})
    )
    if facts.capabilities.restart:
        shown = cast("Restartable", target)
        modules = tuple(_with_signer(each, shown, now=now) for each in modules)
    return report(
        ignition=facts.version, pending=pending, modules=modules, lists_modules=lists_modules
    )


def _with_signer(module: LiveModule, target: Restartable, *, now: datetime) -> LiveModule:
    """Return the module with what the gateway shows of its certificate, if it does."""
    if not module.version:
        return module
    try:
        certificate = target.certificate(module.id)
    except IgnDeployError:
        return module  # what runs there is known all the same
    if certificate is None:
        return module
    end = shown_moment(certificate.not_after)
    return replace(
        module,
        signer=certificate.subject,
        certificate_expires="" if end is None else timestamp(end),
        days_left=None if end is None else days_left(end, now),
    )


def _recorded(state: EnvironmentState | None, location: str) -> dict[str, DeployedVersion]:
    modules = state.modules if state else ()
    return {each.id: each for each in modules if each.gateway == location}

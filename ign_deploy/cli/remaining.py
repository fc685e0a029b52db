"""What is left to do after deployments that didn't end well, with the commands that do it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ign_deploy.cli.formatting import partly
from ign_deploy.cli.session import Session
from ign_deploy.errors import docs_url
from ign_deploy.pipeline.environment import gateway_name
from ign_deploy.report import shown_age

if TYPE_CHECKING:
    from ign_deploy.deployment.records import DeploymentRecord
    from ign_deploy.deployment.state import DeployedVersion, EnvironmentState
    from ign_deploy.pipeline.live import LiveGateway

# A run that was killed keeps its gateways reserved for 150 seconds.
_WAIT = "--wait-for-lock 180"


@dataclass(frozen=True, slots=True)
class Remaining:
    """A sentence on what isn't done, and the commands that lead on."""

    text: str
    commands: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"step": self.text, "commands": list(self.commands)}


def remaining_steps(
    states: Mapping[str, EnvironmentState], session: Session, *, is_live: bool = False
) -> list[Remaining]:
    """Return what is left to do in these environments; nothing if all deployments ended well.

    ``is_live``: the gateways were asked already.
    """
    found: list[Remaining] = []
    for name, state in states.items():
        found += _unfinished(state, session, is_live=is_live)
        found += _broken(state, name, session, is_live=is_live)
        found += _pending(state, name, session)
        found += _failed(state, session)
    return found


def difference_steps(
    gateways: Sequence[LiveGateway], states: Mapping[str, EnvironmentState], session: Session
) -> Iterator[Remaining]:
    """Yield what leads back to the history on gateways that differ from it, without a deployment.

    A module that is uncertain has a step of its own.
    """
    for gateway in gateways:
        state = states[gateway.environment]
        uncertain = {each.id for each in state.modules if each.uncertain}
        modules = [
            each
            for each in gateway.modules
            if each.difference and each.recorded and each.id not in uncertain
        ]
        if not modules:
            continue
        names = ", ".join(each.id for each in modules)
        where = _gateways([gateway.location], gateway.environment, session)
        versions = [f"{each.id}@{each.recorded}" for each in modules]
        ids = [each.id for each in modules]
        commands = (("install", versions), ("rollback", ids))
        yield Remaining(
            f"{gateway.title} differs from the history in {names}. Find out why; then fix it "
            "there, install what the history has, or go back (add --restart if-needed if the "
            "gateway may restart).",
            tuple(
                f"{_command(session, name, arguments, gateway.environment)}{where}"
                for name, arguments in commands
            ),
        )


def _unfinished(state: EnvironmentState, session: Session, *, is_live: bool) -> Iterator[Remaining]:
    for deployment in state.unfinished_deployments:
        record = deployment.started
        by = f" by {record.actor}" if record.actor else ""
        yield Remaining(
            f"{record.kind.value.capitalize()} {record.id} to {record.environment}, started "
            f"{shown_age(record.started_at, session.now)}{by}, has not ended: it is still running, "
            "or was killed. If it was killed, run its command again with the options it had, such "
            "as --restart; or go back.",
            (
                *_look(record.environment, session, is_live=is_live),
                *_again(record, session),
            ),
        )


def _broken(
    state: EnvironmentState, environment: str, session: Session, *, is_live: bool
) -> Iterator[Remaining]:
    for each in state.modules:
        if each.uncertain and each.outcome.value == "rollback-failed":
            yield Remaining(
                f"{each.id} on {gateway_name(each.gateway, session.settings)} needs manual repair: "
                "the rollback from "
                f"{' or '.join(each.attempted) or 'a new version'} to "
                f"{each.version or 'no version'} failed. Follow "
                f"{docs_url('runbook-exit-8.md')}",
                (
                    *_look(environment, session, is_live=is_live),
                    _command(session, "history", ["show", each.deployment], environment),
                ),
            )


def _pending(state: EnvironmentState, environment: str, session: Session) -> Iterator[Remaining]:
    for each in state.modules:
        if each.outcome.value == "restart-pending" and not each.uncertain:
            what = each.version or "its removal"
            yield Remaining(
                f"{each.id} on {gateway_name(each.gateway, session.settings)}: {what} waits for a "
                "restart, according to the history. When the plant allows it, restart, verify and "
                "record it.",
                _restart(each, environment, session),
            )


def _failed(state: EnvironmentState, session: Session) -> Iterator[Remaining]:
    """Yield the newest deployments of a module that failed, unless a later one ended well."""
    from ign_deploy.deployment.records import DEPLOYED_OUTCOMES, Outcome

    newest: dict[str, DeploymentRecord] = {}
    for each in sorted(state.deployments, key=lambda each: each.started.started_at):
        newest |= {
            module.id: each.last for gateway in each.last.gateways for module in gateway.modules
        }
    for record in {each.id: each for each in newest.values()}.values():
        if record.outcome not in (Outcome.ROLLED_BACK, Outcome.FAILED):
            continue
        found = [module for gateway in record.gateways for module in gateway.modules]
        is_partly = any(module.outcome in DEPLOYED_OUTCOMES for module in found)
        reason = next((f": {each.message}" for each in record.gateways if each.message), "")
        again = _again(record, session, wait="")
        yield Remaining(
            f"{record.kind.value.capitalize()} {record.id} to {record.environment} failed "
            f"{shown_age(record.ended_at or record.started_at, session.now)}"
            f"{partly(record)}{reason}. Fix the cause, then run its command again with the options "
            f"it had{'; or go back everywhere' if is_partly else ''}.",
            (
                _command(session, "history", ["show", record.id], record.environment),
                *(again if is_partly else list(again)[:1]),
            ),
        )


def _look(environment: str, session: Session, *, is_live: bool) -> tuple[str, ...]:
    """Return the command that asks the gateways, unless that was done."""
    if is_live:
        return ()
    return (f"{_command(session, 'status', (), environment)} --live",)


def _again(record: DeploymentRecord, session: Session, *, wait: str = _WAIT) -> Iterator[str]:
    """Yield the command that finishes a deployment, and the one that undoes it."""
    modules = [module for gateway in record.gateways for module in gateway.modules]
    where = _gateways(
        [each.gateway for each in record.gateways if each.gateway], record.environment, session
    )
    ids = list(dict.fromkeys(module.id for module in modules))
    versions = list(
        dict.fromkeys(f"{module.id}@{module.version}" for module in modules if module.version)
    )
    if record.kind.value != "rollback" and versions:
        install = _command(session, "install", versions, record.environment)
        yield f"{install}{where} {wait}".rstrip()
    yield f"{_command(session, 'rollback', ids, record.environment)}{where} {wait}".rstrip()


def _restart(deployed: DeployedVersion, environment: str, session: Session) -> tuple[str, ...]:
    if not deployed.version:
        return ()
    names = [f"{deployed.id}@{deployed.version}"]
    where = _gateways([deployed.gateway], environment, session)
    return (f"{_command(session, 'install', names, environment)}{where} --restart if-needed",)


def _gateways(addresses: Sequence[str], environment: str, session: Session) -> str:
    """Return the options that choose these gateways: none if they are all of the environment's.

    Those of the config file by name, or their own settings wouldn't count.
    """
    if session.resolved.origin("gateway") == "--gateway":
        return ""  # the command is repeated with its options
    chosen = [gateway_name(each, session.settings) for each in addresses]
    own = {each.name for each in session.settings.gateways if each.environment == environment}
    if set(chosen) == own:
        return ""
    return "".join(f" --gateway {shlex.quote(each)}" for each in chosen)


def _command(session: Session, name: str, arguments: Sequence[str], environment: str) -> str:
    command_line = session.context.command_line
    if command_line is None:
        return shlex.join(["ign-deploy", name, "-e", environment, *arguments])
    return command_line(name, arguments, environment=environment)

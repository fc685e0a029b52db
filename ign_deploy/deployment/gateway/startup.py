"""Waiting for a gateway: until it is up (``/StatusPing``, no token), or until a change shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ign_deploy.deployment.gateway.client import GatewayClient
from ign_deploy.deployment.gateway.errors import (
    CommissioningError,
    GatewayRequestError,
    RestartTimeout,
)
from ign_deploy.deployment.gateway.model import Startup, Timing
from ign_deploy.errors import DeploymentError
from ign_deploy.net.errors import TransientFailure, TransientResponse

DOWN = "DOWN"
STARTING = "STARTING"
RUNNING = "RUNNING"
COMMISSIONING = "COMMISSIONING"
_TIMEOUT = (5.0, 10.0)


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The state of a gateway at one moment: its own word, or ``DOWN`` if it doesn't respond."""

    state: str
    details: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it is up; a gateway in commissioning reports RUNNING too, but is not."""
        return self.state == RUNNING and not self.is_commissioning

    @property
    def is_commissioning(self) -> bool:
        """Whether someone has to finish its commissioning first."""
        return COMMISSIONING in (self.state, self.details)


def read_status(client: GatewayClient) -> GatewayStatus:
    """Poll once. Anything but a gateway's own response counts as down: it is from a proxy."""
    from ign_deploy.deployment.gateway.schema import StatusPing

    try:
        response = client.attempt(
            "GET",
            "/StatusPing",
            title="checking the state",
            anonymous=True,
            timeout=_TIMEOUT,
            deadline=client.deadline(sum(_TIMEOUT)),
        )
    except (TransientResponse, TransientFailure, DeploymentError):
        return GatewayStatus(DOWN)
    ping = StatusPing.model_validate(response.fields() if response.ok else {})
    return GatewayStatus(ping.state.upper() or DOWN, ping.details.upper())


def wait_until_running(client: GatewayClient, timing: Timing) -> Startup:
    """Poll until the gateway runs; call it right after a restart was requested.

    A gateway that still reports RUNNING may not have gone down yet, and one lost response doesn't
    prove that it has: neither counts before the floor. Only its own word that it is starting, after
    it was down, does. Raises CommissioningError for one that is still in commissioning after the
    floor, RestartTimeout at the deadline, and NetworkError for a failure that is not temporary.
    """
    states: list[str] = []
    passed = 0.0
    # At first more often: a quick start may be over between two usual polls.
    for passed in timing.polls(timing.deadline, early=timing.poll / 4):
        status = read_status(client)
        word = COMMISSIONING if status.is_commissioning else status.state
        if states[-1:] != [word]:
            states.append(word)
            client.reporter.info(f"{client.host}: {word} after {passed:.0f} s")
        if status.is_running and (passed >= timing.floor or _has_restarted(states)):
            went_down = any(each != RUNNING for each in states)
            return Startup(passed, went_down, tuple(states))
        if status.is_commissioning and passed >= timing.floor:
            raise _commissioning(client.host)
    last = states[-1]
    if last == COMMISSIONING:
        raise _commissioning(client.host)
    raise RestartTimeout(
        f"{client.host} is not running after {passed:.0f} s (seen: {' → '.join(states)})",
        hint="check the gateway's log; if it only starts slowly, raise --timeout.",
    )


def _has_restarted(states: list[str]) -> bool:
    """Return whether the states, without repetitions, end with a whole start."""
    return states[-3:] == [DOWN, STARTING, RUNNING]


def wait_while_starting(client: GatewayClient, timing: Timing, *, may_be_down: bool) -> bool:
    """Wait for a gateway that is starting; return whether it runs, False if it isn't starting.

    ``may_be_down``: one that doesn't respond counts as starting, too. Raises what
    ``wait_until_running`` raises.
    """
    status = read_status(client)
    if status.is_running:
        return True
    if status.is_commissioning or (status.state == DOWN and not may_be_down):
        return False
    client.reporter.info(f"{client.host} is starting; waiting until it runs")
    with client.reporter.waiting(f"{client.host}: starting", limit=timing.deadline):
        wait_until_running(client, timing)
    return True


def _commissioning(host: str) -> CommissioningError:
    return CommissioningError(
        f"{host} is in commissioning, which someone has to finish in a browser",
        hint="open the gateway's web page and finish it; an unsigned module can be the cause.",
    )


def confirm_change(
    change: Callable[[], None],
    *,
    is_done: Callable[[], bool],
    title: str,
    client: GatewayClient,
    timing: Timing,
) -> None:
    """Make a change that must not be repeated blindly.

    If its response is lost, poll ``is_done`` for the timing's ``confirm`` seconds; only if the
    change doesn't show by then, request it again, as often as the retry policy allows. Raises what
    the last attempt raised.
    """
    for attempt in range(1, client.retry.attempts + 1):
        try:
            change()
        except GatewayRequestError:
            # A gateway may reject a change that it already made when its response was lost.
            if attempt > 1 and is_done():
                return
            raise
        except (TransientResponse, TransientFailure) as failure:
            if any(is_done() for _ in timing.polls(timing.confirm)):
                client.reporter.info(f"{client.host}: {title}: no response, but it was done")
                return
            if attempt == client.retry.attempts:
                raise
            client.reporter.warning(f"{client.host}: {title}: {failure}; trying again")
            client.retry.sleep(client.retry.wait_before(attempt + 1))
        else:
            return

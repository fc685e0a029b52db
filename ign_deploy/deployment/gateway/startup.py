"""Waiting until a gateway is up: ``/StatusPing``, which needs no token and answers early."""

from __future__ import annotations

from dataclasses import dataclass

from ign_deploy.deployment.gateway.client import Transport
from ign_deploy.deployment.gateway.errors import CommissioningError, RestartTimeout
from ign_deploy.deployment.gateway.model import Startup
from ign_deploy.deployment.gateway.timing import Timing
from ign_deploy.net.errors import TransientFailure, TransientResponse

DOWN = "DOWN"
RUNNING = "RUNNING"
COMMISSIONING = "COMMISSIONING"
_TIMEOUT = (5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a gateway: its word, ``DOWN`` when it doesn't answer, and more about it."""

    state: str
    details: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it is up: a gateway in commissioning says RUNNING too, and isn't."""
        return self.state == RUNNING and not self.is_commissioning

    @property
    def is_commissioning(self) -> bool:
        """Whether it waits for a person to commission it."""
        return COMMISSIONING in (self.state, self.details)


def read_status(transport: Transport) -> Status:
    """Take one look. Whatever isn't a gateway's answer counts as down: a proxy speaks for it."""
    from ign_deploy.deployment.gateway.schema import StatusPing

    try:
        reply = transport.send("GET", "/StatusPing", anonymous=True, timeout=_TIMEOUT)
        document = reply.document()
    except (TransientResponse, TransientFailure, ValueError):
        return Status(DOWN)
    if reply.status != 200 or not isinstance(document, dict):
        return Status(DOWN)
    ping = StatusPing.model_validate(document)
    return Status(ping.state.upper() or DOWN, ping.details.upper())


def wait_until_running(transport: Transport, timing: Timing) -> Startup:
    """Poll until the gateway runs; call it right after a restart was asked for.

    A gateway that still says RUNNING may not have gone down yet, and one lost answer is no proof
    that it has: it isn't believed before the floor. Raises CommissioningError for one that waits
    for its commissioning beyond the floor, RestartTimeout at the deadline, and NetworkError for
    what won't pass.
    """
    states: list[str] = []
    passed = 0.0
    for passed in timing.looks(timing.deadline):
        status = read_status(transport)
        word = COMMISSIONING if status.is_commissioning else status.state
        if states[-1:] != [word]:
            states.append(word)
            transport.reporter.info(f"{transport.host}: {word} after {passed:.0f} s")
        if status.is_running and passed >= timing.floor:
            went_down = any(each != RUNNING for each in states)
            return Startup(passed, went_down, tuple(states))
        if status.is_commissioning and passed >= timing.floor:
            raise _commissioning(transport.host)
    last = states[-1]
    if last == COMMISSIONING:
        raise _commissioning(transport.host)
    raise RestartTimeout(
        f"{transport.host} isn't running after {passed:.0f} s: it was {' → '.join(states)}",
        hint="look at the gateway's log; raise --timeout if it is only slow.",
    )


def _commissioning(host: str) -> CommissioningError:
    return CommissioningError(
        f"{host} waits for its commissioning: something has to be accepted in a browser first",
        hint="open the gateway's page and finish the commissioning; unsigned modules lead there.",
    )

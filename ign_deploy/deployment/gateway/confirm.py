"""Changes whose answer was lost: settled by looking at what the gateway has, not by guessing."""

from __future__ import annotations

from collections.abc import Callable

from ign_deploy.deployment.gateway.client import Transport
from ign_deploy.deployment.gateway.errors import GatewayRequestError
from ign_deploy.deployment.gateway.timing import Timing
from ign_deploy.net.errors import TransientFailure, TransientResponse


def settle(
    change: Callable[[], None],
    *,
    is_done: Callable[[], bool],
    title: str,
    transport: Transport,
    timing: Timing,
) -> None:
    """Make a change that must not be made twice blindly.

    When its answer is lost, ``is_done`` is asked until the timing's ``settle`` has passed; only
    if the change doesn't show is it asked for again, as often as the retry policy says. Raises
    what the last attempt raised.
    """
    for attempt in range(1, transport.retry.attempts + 1):
        try:
            change()
        except GatewayRequestError:
            # The gateway may refuse to do once more what it did when its answer was lost.
            if attempt > 1 and is_done():
                return
            raise
        except (TransientResponse, TransientFailure) as failure:
            if any(is_done() for _ in timing.looks(timing.settle)):
                transport.reporter.info(f"{transport.host}: {title}: done, by what it shows")
                return
            if attempt == transport.retry.attempts:
                raise
            transport.reporter.warning(f"{transport.host}: {title}: {failure}; once more")
            transport.retry.sleep(transport.retry.wait_before(attempt + 1))
        else:
            return

"""Many simulated gateways, a few of which have a fault of their own, and what became of them.

Counted is what the gateways themselves have seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.support.gateway import Gateway, ModuleFault, Options, VirtualTime
from tests.support.gateway.client import MODULE_ID
from tests.support.serving import serving

OLD, NEW = "1.0.0", "1.1.0"


class Role(StrEnum):
    """What is special about a gateway."""

    HEALTHY = "healthy"
    SLOW = "slow"
    FAILING = "failing"
    HANGING = "hanging"
    NEVER_BACK = "never back"


@dataclass(frozen=True)
class Fleet:
    """Running gateways that have OLD, and the role of each."""

    gateways: Sequence[Gateway]
    roles: Sequence[Role]

    def of(self, *roles: Role) -> list[Gateway]:
        """Return the gateways that have one of these roles."""
        pairs = zip(self.gateways, self.roles, strict=True)
        return [gateway for gateway, role in pairs if role in roles]

    def count(self, value: Callable[[Gateway], object], *roles: Role) -> Counter[object]:
        """Return how many gateways of these roles have which value."""
        return Counter(value(gateway) for gateway in self.of(*roles))

    def repair(self) -> None:
        """Have the gateways that didn't respond respond again, as someone at the machine would."""
        for gateway in self.of(Role.HANGING, Role.NEVER_BACK):
            gateway.options.hangs = False
            gateway.options.never_back = ""
            gateway.state.come_back()


def installs(gateway: Gateway) -> int:
    """Count the installations of a module."""
    return gateway.asked("modules/install", method="POST")


def restarts(gateway: Gateway) -> int:
    """Count the restarts."""
    return gateway.state.restarts


def version(gateway: Gateway) -> str:
    """Return the version that runs, empty for none."""
    if gateway.state.phase() != "running":
        return ""
    listed = gateway.state.listed.get(MODULE_ID)
    return listed.modl.version if listed is not None and listed.state == "ACTIVE" else ""


def roles_of(count: int) -> list[Role]:
    """Return the roles: 5 % fail and 5 % are slow, all over the waves; one hangs, one is lost."""
    few = max(1, count // 20)
    every = count // few
    roles = [Role.HEALTHY] * count
    roles[3::every] = [Role.FAILING] * len(roles[3::every])
    roles[7::every] = [Role.SLOW] * len(roles[7::every])
    roles[count // 2 + 1] = Role.HANGING
    roles[-2] = Role.NEVER_BACK
    return roles


@contextmanager
def running_fleet(modules: Path, count: int, *, scale: float = 0.0) -> Iterator[Fleet]:
    """Run so many gateways, which have OLD of the modules in a folder.

    Each is on a time of its own, or with ``scale`` on real time.
    """
    roles = roles_of(count)
    gateways = []
    for number, role in enumerate(roles):
        options = Options(name=f"line-{number}", scale=scale or 1.0)
        if role is Role.FAILING:
            options.faults[MODULE_ID] = ModuleFault(version=NEW)
        options.starting_seconds = 50.0 if role is Role.SLOW else 10.0
        options.hangs = role is Role.HANGING
        options.never_back = "starting" if role is Role.NEVER_BACK else ""
        clock = None if scale else VirtualTime()
        gateways.append(Gateway(options, clock=clock, port=0, tls=None))
        gateways[-1].have(modules / f"{MODULE_ID}-{OLD}.modl")
    with ExitStack() as stack:
        stack.enter_context(serving(*gateways, poll=0.5 if scale else 0.02))
        yield Fleet(gateways, roles)

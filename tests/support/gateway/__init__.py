"""A simulated Ignition gateway: stateful, strict, and changed by tests while it runs."""

from tests.support.gateway.modl import UNSIGNED, Modl
from tests.support.gateway.options import ModuleFault, Options, options_of
from tests.support.gateway.server import Gateway, running_gateway
from tests.support.gateway.state import State, VirtualTime

__all__ = [
    "UNSIGNED",
    "Gateway",
    "Modl",
    "ModuleFault",
    "Options",
    "State",
    "VirtualTime",
    "options_of",
    "running_gateway",
]

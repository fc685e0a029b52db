"""All settings: one model, filled from layers; each value knows where it came from.

Precedence: command-line option > action input > environment > env file > config file > default.
"""

from ign_deploy.settings.config_file import CONFIG_FILE
from ign_deploy.settings.deployment import GatewayEntry
from ign_deploy.settings.layers import Inputs, Resolved, given_secrets
from ign_deploy.settings.model import Settings
from ign_deploy.settings.source import (
    JOB_TOKENS,
    Source,
    default_variable,
    input_variable,
    missing_secret,
    option_name,
)

__all__ = [
    "CONFIG_FILE",
    "JOB_TOKENS",
    "GatewayEntry",
    "Inputs",
    "Resolved",
    "Settings",
    "Source",
    "default_variable",
    "given_secrets",
    "input_variable",
    "missing_secret",
    "option_name",
]

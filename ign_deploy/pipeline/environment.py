"""The environment that a deployment is for: its name, fit for paths in the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ign_deploy.deployment.records import check_environment
from ign_deploy.errors import ConfigurationError
from ign_deploy.pipeline.context import RunContext

if TYPE_CHECKING:
    from ign_deploy.settings import Settings

DEFAULT_ENVIRONMENT = "default"


def environment_of(context: RunContext) -> str:
    """Return the environment's name; without one, deployments are those of ``default``."""
    return named_environment(context.settings.environment or DEFAULT_ENVIRONMENT, context)


def named_environment(name: str, context: RunContext) -> str:
    """Return an environment's name; raises ConfigurationError if the history can't have it.

    It becomes a part of paths in the repository, where no one would look for a secret.
    """
    if context.redact(check_environment(name)) != name:
        raise ConfigurationError(
            "the name of the environment contains one of the secrets of this run",
            hint="give another name as --environment, such as production.",
        )
    return name


def gateway_name(address: str, settings: Settings) -> str:
    """Return the name that the config file gives to a gateway, or its address."""
    names = {entry.url.rstrip("/"): entry.name for entry in settings.gateways}
    return names.get(address.rstrip("/"), address)

"""The commands install, rollback and promote: modules onto gateways, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from ign_deploy.cli.deployment_reporting import answer_deployment, answer_failed_deployment
from ign_deploy.cli.options import (
    DEPLOYING,
    EVENTS,
    REPOSITORY,
    GroupedCommand,
    common_options,
    settings_options,
)
from ign_deploy.cli.session import Session
from ign_deploy.errors import IgnDeployError

if TYPE_CHECKING:
    from ign_deploy.pipeline.deploy import Deployer, Order

_USUAL = (*DEPLOYING, "continue_on_error", "notes", "tags", *REPOSITORY, "cache_dir",
          "trust_anchor", *EVENTS, "dry_run")  # fmt: skip


@click.command("install", cls=GroupedCommand, short_help="Install modules on gateways.")
@click.argument("names", nargs=-1, required=True, metavar="NAME|FILE…")
@settings_options("version", "environment", *_USUAL)
@common_options
def install_command(session: Session, names: tuple[str, ...]) -> None:
    """Install published modules, or signed files, on gateways, and see that they run.

    NAME is a module's id or name, with @VERSION or @RANGE if need be. What ran before is secured
    first, and comes back when the new version doesn't run. Without --gateway, it goes to the
    gateways that the config file has for the environment; without any, the deployment is
    only recorded. Gateways are restarted only with --restart.
    """

    def order(deployer: Deployer) -> Order:
        from ign_deploy.pipeline.orders import installation

        return installation(names, deployer)

    _run(session, order)


@click.command("rollback", cls=GroupedCommand, short_help="Go back to what ran before.")
@click.argument("modules", nargs=-1, metavar="[MODULE…]")
@settings_options("environment", "to", *_USUAL)
@common_options
def rollback_command(session: Session, modules: tuple[str, ...]) -> None:
    """Bring back what ran in an environment before, on every gateway it was deployed to.

    The version is the one before the last deployment, or --to. A module that wasn't there before
    is uninstalled.
    """

    def order(deployer: Deployer) -> Order:
        from ign_deploy.pipeline.orders import rollback

        return rollback(modules, deployer)

    _run(session, order)


@click.command(
    "promote", cls=GroupedCommand, short_help="Deploy what runs in one environment to another."
)
@click.argument("modules", nargs=-1, metavar="[MODULE…]")
@settings_options("environment", "to", *_USUAL)
@common_options
def promote_command(session: Session, modules: tuple[str, ...]) -> None:
    """Deploy the versions that --environment has to the environment --to, the very same files.

    Nothing is built again. Without --gateway, it goes to the gateways that the config file has for
    --to.
    """

    def order(deployer: Deployer) -> Order:
        from ign_deploy.pipeline.orders import promotion

        return promotion(modules, deployer)

    _run(session, order)


def _run(session: Session, order: Callable[[Deployer], Order]) -> None:
    """Carry out an order, and report how it ended, also when it failed."""
    from ign_deploy.deployment.rollout import require_success
    from ign_deploy.pipeline.deploy import Deployer

    _ = session.context.events  # unusable settings are found before anything is changed
    deployer = Deployer(session.context)
    record = deployer.deploy(order(deployer))
    if session.settings.dry_run:
        answer_deployment(session, record)
        return
    try:
        require_success(record.gateways)
    except IgnDeployError as problem:
        answer_failed_deployment(session, record, problem)
        raise
    answer_deployment(session, record)

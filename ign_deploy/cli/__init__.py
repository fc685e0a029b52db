"""The command line; ``deployment_cli`` can be mounted into another click program."""

from __future__ import annotations

from ign_deploy.cli.app import deployment_cli, run_cli

__all__ = ["deployment_cli", "run_cli"]

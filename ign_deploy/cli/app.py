"""The click group; ``options`` has the one handler of our errors."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import cast

import click

from ign_deploy import __version__
from ign_deploy.cli.action import action_arguments

_COMMANDS = {
    "init": "ign_deploy.cli.init",
    "module": "ign_deploy.cli.release",
    "batch": "ign_deploy.cli.release",
    "plan": "ign_deploy.cli.plan",
    "package": "ign_deploy.cli.release",
    "sign": "ign_deploy.cli.signing",
    "verify": "ign_deploy.cli.signing",
    "inspect": "ign_deploy.cli.signing",
    "generate-certificate": "ign_deploy.cli.certificate",
    "upload": "ign_deploy.cli.repository",
    "download": "ign_deploy.cli.repository",
    "list-modules": "ign_deploy.cli.repository",
    "install": "ign_deploy.cli.deployment",
    "rollback": "ign_deploy.cli.deployment",
    "promote": "ign_deploy.cli.deployment",
    "status": "ign_deploy.cli.status",
    "history": "ign_deploy.cli.history",
    "trust plan": "ign_deploy.cli.trust",
    "trust statement": "ign_deploy.cli.trust",
    "trust change": "ign_deploy.cli.trust",
    "audit": "ign_deploy.cli.audit",
    "render": "ign_deploy.cli.render",
    "yank": "ign_deploy.cli.maintenance",
    "unyank": "ign_deploy.cli.maintenance",
    "remove": "ign_deploy.cli.maintenance",
    "prune": "ign_deploy.cli.maintenance",
    "reindex": "ign_deploy.cli.maintenance",
    "mirror": "ign_deploy.cli.maintenance",
    "validate-env": "ign_deploy.cli.validate_env",
}


# What people type who know other tools, and the commands that do it here.
_OTHER_WORDS = {
    "deploy": ("install", "module"),
    "publish": ("upload", "module"),
    "release": ("module", "batch"),
    "build": ("package", "module"),
    "list": ("list-modules",),
    "search": ("list-modules",),
    "ls": ("list-modules",),
    "get": ("download",),
    "pull": ("download",),
    "push": ("upload",),
    "delete": ("remove",),
    "uninstall": ("rollback",),
    "undo": ("rollback",),
    "check": ("verify", "validate-env"),
    "log": ("history",),
    "new": ("init",),
    "trust": ("trust plan", "trust statement", "trust change"),
}
# Options of every command, which may stand before it as well; True: a value follows.
_LEADING = {
    "--json": False,
    "--verbose": False,
    "--no-color": False,
    "--config": True,
    "--env-file": True,
}


def behind_command(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the common options before the command moved behind it.

    A command of two words becomes one argument.
    """
    rest = list(arguments)
    moved: list[str] = []
    while rest and (takes_value := _LEADING.get(rest[0].partition("=")[0])) is not None:
        count = 2 if takes_value and "=" not in rest[0] else 1
        moved += rest[:count]
        del rest[:count]
    if moved and not rest:
        raise click.UsageError("Missing command.")
    rest = joined_command(rest)
    return [*rest[:1], *moved, *rest[1:]]


def joined_command(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the two words of a command such as ``trust plan`` as one."""
    name = " ".join(arguments[:2])
    return [name, *arguments[2:]] if name in _COMMANDS else list(arguments)


class LazyGroup(click.Group):
    """Loads a command's code only when that command is called: `verify` needs no repository."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Accept `help` and `help COMMAND`, and the common options before the command."""
        args = behind_command(args)
        if args[:1] == ["help"]:
            args = [*joined_command(args[1:])[:1], "--help"]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a module passes through them."""
        return [*_COMMANDS, *(name for name in super().list_commands(ctx) if name not in _COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds the command."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(_COMMANDS[cmd_name])
        command = getattr(module, re.sub("[ -]", "_", cmd_name) + "_command")
        return cast("click.Command", command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest name for a misspelt command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as cause:
            from difflib import get_close_matches

            typed = args[0] if args else ""
            meant = _OTHER_WORDS.get(typed) or get_close_matches(typed, _COMMANDS, n=1)
            if meant and typed not in self.commands:
                choice = " or ".join(map(repr, meant))
                raise click.UsageError(f"{cause.message} Did you mean {choice}?", ctx) from cause
            raise


@click.group(
    name="deploy",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ign-deploy")
@click.pass_context
def deployment_cli(ctx: click.Context) -> None:
    """Take Ignition modules from source to gateways.

    package → sign → verify → upload → deploy, in one command: `module`.
    """
    # Mounted into another program, the object is that program's, and we weren't given the
    # environment: then this is the edge.
    if ctx.parent is not None or not isinstance(ctx.obj, Mapping):
        ctx.obj = dict(os.environ)


def run_cli(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the command line and return its exit code; never raises, never calls ``sys.exit``.

    Without arguments, an action's inputs are the command line; see ``action``.
    """
    arguments = list(argv[1:])
    if not arguments:
        from ign_deploy.cli.action import enter_workspace, with_local_paths

        enter_workspace(env)
        env = with_local_paths(env)
        arguments = action_arguments(env)
    try:
        code = deployment_cli.main(
            arguments, prog_name="ign-deploy", obj=dict(env), standalone_mode=False
        )
    except click.ClickException as problem:
        from ign_deploy.cli.failure import report_usage

        if isinstance(problem, click.NoSuchOption) and problem.option_name == "--from":
            text = f"{problem.message} Did you mean --environment?"
            problem = click.UsageError(text, ctx=problem.ctx)
        return report_usage(problem, arguments=arguments, env=env)
    except click.Abort:
        sys.stderr.write("stopped by the user\n")
        return 130
    except SystemExit as end:
        # How click ends when the reader of the help text has gone.
        return end.code if isinstance(end.code, int) else 1
    except Exception as bug:  # noqa: BLE001 - a bug outside of any command still gets a clear end
        from ign_deploy.cli.failure import report_bug
        from ign_deploy.cli.session import open_bare_session

        return report_bug(open_bare_session(env, as_json="--json" in arguments), bug)
    return code if isinstance(code, int) else 0

"""Options of the commands, made from the settings model, so that both always agree."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from ign_deploy.cli.action import restored_ownership
from ign_deploy.cli.command_line import repeat_command
from ign_deploy.cli.failure import (
    report_bug,
    report_early_failure,
    report_failure,
    system_error,
)
from ign_deploy.cli.session import Session, discard, open_session
from ign_deploy.errors import IgnDeployError
from ign_deploy.settings import Settings, Source, option_name

Command = Callable[..., Any]
_SIGPIPE = 128 + 13
_NO_MEANINGS: Mapping[str, tuple[str, str]] = {}

SHORT = {
    "version": "-v",
    "environment": "-e",
    "output_dir": "-o",
    "description": "-d",
}
PACKAGING = (
    "version",
    "module_id",
    "output_dir",
    "gradle_args",
    "build_timeout",
    "isolate",
    "format",
)
SIGNING = ("key", "cert_path", "key_path", "keystore", "alias", "allow_expired")
GUARDS = ("tag", "tag_pattern", "protected_branch", "require_unpublished", "rehearsal")
REPOSITORY = ("repository_url", "repository_username", "repository_ca")
DEPLOYING = (
    "gateway",
    "gateway_ca",
    "gateway_pin",
    "gateway_manifest",
    "insecure_http",
    "accept_certificate",
    "accept_license",
    "restart",
    "timeout",
    "allow_downgrade",
    "allow_uninstall",
    "track_only",
    "health_url",
    "health_status",
    "health_text",
    "health_command",
    "wave_size",
    "canary",
    "all_or_nothing",
    "wait_for_lock",
)
EVENTS = (
    "webhook_format",
    "notification_email",
    "smtp_url",
    "smtp_username",
    "smtp_sender",
    "notification_ca",
    "skip_deployment_statuses",
    "audit_file",
    "metrics_file",
    "pushgateway_url",
    "metrics_job",
    "otlp_endpoint",
)
DEPLOYMENT = (
    *DEPLOYING,
    "continue_on_error",
    "notes",
    "notes_file",
    "tags",
    *REPOSITORY,
    "cache_dir",
    "trust_anchor",
    "allow_expired",
    *EVENTS,
    "dry_run",
)
"""The settings of the commands that deploy what is published."""
SUPPORT = ("tested_on", "max_ignition")
PUBLISHING = (
    *REPOSITORY,
    "description",
    "documentation_url",
    "notes",
    "notes_file",
    "tags",
    *SUPPORT,
    "environment",
)
_GROUPS = {
    "Build": ("module_id", "output_dir", "gradle_args", "build_timeout", "isolate", "format"),
    "Signing": (
        *SIGNING,
        "old_key",
        "old_cert",
        "resign",
        "trust_anchor",
        "expiry_warning_days",
    ),
    "Repository": (*REPOSITORY, "cache_dir"),
    "Gateways": (*DEPLOYING, "continue_on_error"),
    "Notifications, audit trail and metrics": EVENTS,
    "Release guards": GUARDS,
}


def settings_options(
    *names: str, meanings: Mapping[str, tuple[str, str]] = _NO_MEANINGS
) -> Callable[[Command], Command]:
    """Add the options of the named settings; a secret never becomes an option.

    ``meanings`` has the help and the metavar of those that mean something else in this command.
    """
    known = {name: (field, source) for name, field, source in Settings.names()}
    for name, (text, metavar) in meanings.items():
        field, source = known[name]
        known[name] = (field, replace(source, help=text, metavar=metavar, default=""))

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            field, source = known[name]
            declarations = [option_name(name), name]
            if name in SHORT:
                declarations.insert(0, SHORT[name])
            command = click.option(
                *declarations, help=_help(field, source), **_option_kind(name, field, source)
            )(command)
        return command

    return decorate


def _help(field: FieldInfo, source: Source) -> str:
    own = field.default if isinstance(field.default, str | int | Path) else ""
    default = source.default or own
    return f"{source.help}  [default: {default}]" if default else source.help


def _option_kind(name: str, field: FieldInfo, source: Source) -> dict[str, Any]:
    """Translate a setting's type into click's terms; the default None means "not given"."""
    annotation = field.annotation
    if annotation is bool:
        return {"is_flag": True, "default": None}
    if get_origin(annotation) is Literal:
        return {
            "type": click.Choice([each for each in get_args(annotation) if each]),
            "default": None,
        }
    if annotation is int:
        least = 1 if name.endswith("timeout") else 0
        return {"type": click.IntRange(min=least), "default": None, "metavar": source.metavar}
    if annotation is Path:
        return {"type": click.Path(path_type=Path), "default": None, "metavar": source.metavar}
    if get_origin(annotation) is tuple:
        return {"multiple": True, "metavar": source.metavar}
    return {"default": None, "metavar": source.metavar}


class GroupedCommand(click.Command):
    """A command with many options, which its help lists in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per group, those of the command itself first."""
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        titles = {name: title for title, names in _GROUPS.items() for name in names}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if record is not None:
                groups.setdefault(titles.get(str(option.name), "Options"), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


def common_options(command: Command) -> Command:
    """Add the options of every command, and pass it a session instead."""

    @click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON document on stdout, even on failure.",
    )
    @click.option(
        "--verbose", is_flag=True, help="Show where settings came from, and stack traces."
    )
    @click.option("--no-color", is_flag=True, help="Don't use colours.")
    @click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Config file, trusted with secrets.  [default: ign-deploy.toml or pyproject.toml]",
    )
    @click.option(
        "--env-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with more environment variables.",
    )
    @click.pass_context
    @wraps(command)
    def with_session(ctx: click.Context, /, **options: Any) -> Any:
        session_options = {
            name: options.pop(name)
            for name in ("as_json", "verbose", "no_color", "config_file", "env_file")
        }
        known = {name for name, _, _ in Settings.names()}
        flags = {name: options.pop(name) for name in list(options) if name in known}
        with restored_ownership(ctx.obj):
            return _run(
                ctx, command, flags=flags, session_options=session_options, arguments=options
            )

    return with_session


def _run(
    ctx: click.Context,
    command: Command,
    *,
    flags: dict[str, Any],
    session_options: dict[str, Any],
    arguments: dict[str, Any],
) -> Any:
    """Run a command; our errors, and bugs, become text and an exit code here."""
    try:
        command_line = partial(repeat_command, ctx)
        session = open_session(ctx.obj, flags=flags, command_line=command_line, **session_options)
    except IgnDeployError as problem:
        as_json = bool(session_options["as_json"])
        return ctx.exit(report_early_failure(problem, env=ctx.obj, as_json=as_json))
    with session.context:
        return _run_command(ctx, command, session, arguments)


def _run_command(
    ctx: click.Context, command: Command, session: Session, arguments: dict[str, Any]
) -> Any:
    try:
        try:
            return command(session, **arguments)
        finally:
            session.reporter.end_progress()  # before anything else is written
    except IgnDeployError as problem:
        ctx.exit(report_failure(session, problem))
    except (click.exceptions.Exit, click.ClickException, click.Abort):
        raise
    except BrokenPipeError:
        # The reader of our log has left (`2>&1 | head`): end quietly, as writers of pipes do.
        discard(sys.stdout)
        discard(sys.stderr)
        ctx.exit(_SIGPIPE)
    except OSError as problem:
        if session.verbose:
            session.reporter.untrusted(traceback.format_exception(problem))
        ctx.exit(report_failure(session, system_error(problem)))
    except Exception as problem:  # noqa: BLE001 - the last door: a bug still gets a clear end
        ctx.exit(report_bug(session, problem))

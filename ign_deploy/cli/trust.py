"""The commands trust plan, trust statement and trust change: a change of signer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.ci.summary import Summary, SummaryTable
from ign_deploy.cli.carrying_out import carry_out, open_deployer
from ign_deploy.cli.formatting import is_too_wide, plain, succession_document, table, wrap
from ign_deploy.cli.options import (
    DEPLOYMENT,
    REPOSITORY,
    SIGNING,
    GroupedCommand,
    common_options,
    settings_options,
)
from ign_deploy.cli.page import write_page
from ign_deploy.cli.session import Session

if TYPE_CHECKING:
    from ign_deploy.module.certificates import CertificateInfo
    from ign_deploy.pipeline.trust_plan import CertifiedModule, Effect

_HEADER = ("Environment", "Gateway", "Module", "Version", "Accepts SHA-1", "Until", "From",
           "Effect", "Remark")  # fmt: skip


@click.command(
    "trust plan", cls=GroupedCommand, short_help="Show what a new certificate would stop."
)
@settings_options(
    *SIGNING,
    "environment",
    "gateway",
    "gateway_ca",
    "gateway_pin",
    "gateway_manifest",
    "insecure_http",
    *REPOSITORY,
    meanings={"environment": ("Environment to show.", "NAME")},
)
@common_options
def trust_plan_command(session: Session) -> None:
    """Show which certificate each gateway accepts for each module, and which would stop.

    The new certificate is that of --cert-path, or of the signing key. The gateways of --gateway or
    of the config file are asked; one that doesn't show its certificates is looked up by the version
    that it runs, one that doesn't answer by the history.
    """
    from ign_deploy.pipeline.trust_plan import new_certificate, plan_change

    new = new_certificate(session.context)
    found = plan_change(new, session.context)
    rows = [_row(each) for each in sorted(found, key=_order)]
    verdict, next_step = _verdict(found, new), _next_step(found, new)
    write_page(
        session,
        Summary(
            headline=verdict,
            succeeded=True,
            tables=[SummaryTable("Modules", _HEADER, rows)],
            next_steps=[next_step] if next_step else [],
        ),
    )
    lines = table([tuple(title.upper() for title in _HEADER), *rows])
    if is_too_wide(lines, session.width):
        lines = [line for row in rows for line in _block(row, session.width)]
    text = [verdict, *lines, *([f"next: {next_step}"] if next_step else [])]
    session.answer(_document(found, new), "\n".join(text))


def _order(module: CertifiedModule) -> int:
    from ign_deploy.pipeline.trust_plan import Effect

    return list(Effect).index(module.effect)


def _overall(found: Sequence[CertifiedModule]) -> Effect:
    from ign_deploy.pipeline.trust_plan import Effect

    effects = {each.effect for each in found}
    for effect in (Effect.WOULD_STOP, Effect.UNKNOWN, Effect.ACCEPTED):
        if effect in effects:
            return effect
    return Effect.NOT_OURS


def _document(found: Sequence[CertifiedModule], new: CertificateInfo) -> dict[str, Any]:
    return {
        "result": _overall(found).value,
        "new_certificate": new.as_dict(),
        "modules": [
            {**asdict(each), "source": each.source.value, "effect": each.effect.value}
            for each in found
        ],
    }


def _verdict(found: Sequence[CertifiedModule], new: CertificateInfo) -> str:
    from ign_deploy.pipeline.trust_plan import Effect

    counts = Counter(each.effect for each in found)
    parts = [f"{counts[Effect.WOULD_STOP]} would stop", f"{counts[Effect.ACCEPTED]} accept it"]
    if unknown := counts[Effect.UNKNOWN]:
        parts.append(f"{unknown} unknown")
    return (
        f"with the certificate {new.sha1} ({plain(new.subject)}, until {new.not_after:%Y-%m-%d}): "
        + ", ".join(parts)
    )


def _next_step(found: Sequence[CertifiedModule], new: CertificateInfo) -> str:
    from ign_deploy.pipeline.trust_plan import Effect

    if not any(each.effect is Effect.WOULD_STOP for each in found):
        return ""
    return (
        "publish each version as re-signed (`sign --resign`), then `ign-deploy trust change "
        f"MODULE@VERSION --accept-certificate {new.sha1}`"
    )


def _row(module: CertifiedModule) -> tuple[str, ...]:
    return (
        plain(module.environment) or "-",
        plain(module.gateway),
        plain(module.id) or "-",
        plain(module.version) or "-",
        plain(module.sha1) or "-",
        plain(module.expires)[:10] or "-",
        module.source.value or "-",
        module.effect.value.replace("-", " "),
        plain(module.remark),
    )


def _block(row: tuple[str, ...], width: int) -> list[str]:
    environment, gateway, module, version, sha1, until, source, effect, remark = row
    return [
        *wrap(f"{effect}: {module} {version}", width),
        *wrap(f"on {gateway} ({environment})", width, first="  ", rest="    "),
        *wrap(f"accepts {sha1} until {until} (from {source})", width, first="  ", rest="    "),
        *(wrap(remark, width, first="  ", rest="    ") if remark else ()),
    ]


@click.command(
    "trust statement", cls=GroupedCommand, short_help="Publish which certificate succeeds another."
)
@click.argument("modules", nargs=-1, required=True, metavar="ID…")
@settings_options("old_key", "old_cert", *SIGNING, *REPOSITORY, "dry_run")
@common_options
def trust_statement_command(session: Session, modules: tuple[str, ...]) -> None:
    """State, with both keys, that the signing certificate succeeds an old one for these modules.

    The new key and certificate are those that also sign modules; the old ones are --old-key and
    --old-cert. The statement is published in the repository, for `verify --follow-succession`.
    """
    from ign_deploy.pipeline.succession import publish_statement

    done = publish_statement(modules, session.context)
    statement, is_dry = done.statement, session.settings.dry_run
    document = {
        "result": "dry-run" if is_dry else "published",
        "path": done.path,
        **succession_document(statement),
    }
    text = (
        f"{'would publish' if is_dry else 'published'} {done.path}\n"
        f"{statement.new_sha256} succeeds {statement.old_sha256} for "
        f"{', '.join(sorted(statement.modules))}, until {statement.not_after:%Y-%m-%d}"
    )
    session.answer(document, text)


@click.command(
    "trust change", cls=GroupedCommand, short_help="Install what was signed again, canary first."
)
@click.argument("names", nargs=-1, required=True, metavar="NAME[@VERSION]…")
@click.option(
    "--render",
    is_flag=True,
    help="Install nothing; print what gateways in containers need.",
)
@settings_options(
    "version",
    "ignition",
    "environment",
    *DEPLOYMENT,
    meanings={
        "version": ("Version for names without @.  [default: the newest final release]", "VERSION"),
        "environment": ("Target environment.  [default: default]", "NAME"),
    },
)
@common_options
def trust_change_command(session: Session, names: tuple[str, ...], *, render: bool) -> None:
    """Install versions that were signed again, and accept exactly the new certificate.

    It is an `install` that accepts no certificate but those of --accept-certificate, and whose
    first gateway goes alone (--canary). A run that was interrupted is completed by the same command
    again. With --render, nothing is installed: it prints the entries of modules.json and the
    variables for gateways in containers.
    """
    from ign_deploy.pipeline.trust_change import change_order

    session = replace(session, context=session.context.with_settings(canary=True))
    if render:
        _render(session, names)
        return
    deployer = open_deployer(session)
    carry_out(change_order(names, deployer), deployer, session)


def _render(session: Session, names: tuple[str, ...]) -> None:
    from ign_deploy.pipeline.deploy import Deployer
    from ign_deploy.pipeline.trust_change import container_files

    found = container_files(names, Deployer(session.context))
    for note in found.notes:
        session.reporter.warning(note)
    document = {
        "result": "rendered",
        "variables": dict(found.variables),
        "modules_json": dict(found.entries),
        "notes": list(found.notes),
    }
    lines = [f"{name}={value}" for name, value in found.variables.items()]
    lines += ["", "modules.json:", json.dumps(found.entries, indent=2, ensure_ascii=False)]
    session.answer(document, "\n".join(lines))

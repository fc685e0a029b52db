"""The command validate-env."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.cli.formatting import certificate_lines, plain
from ign_deploy.cli.options import REPOSITORY, SIGNING, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError
from ign_deploy.module.expiry import days_left, expiry_warning
from ign_deploy.pipeline.checks import Check, describe_repository, probe_identity, run_checks
from ign_deploy.pipeline.gateways import chosen_entries
from ign_deploy.pipeline.preflight import (
    IDENTITY,
    REPOSITORY_CHECK,
    gateways_check,
    packaging_checks,
)

if TYPE_CHECKING:
    from datetime import datetime

    from ign_deploy.pipeline.checks import SigningProbe
    from ign_deploy.repositories import Capabilities

_DIFFERS = 10
_MOST_SHOWN = 20


@click.command("validate-env", short_help="Check that a release can start.")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--packaging", is_flag=True, help="Check build files, Java, Gradle or Maven.")
@click.option(
    "--signing", is_flag=True, help="Check key, certificates and passwords; sign a probe."
)
@click.option("--repository", is_flag=True, help="Check that the repository can be written.")
@click.option(
    "--conformance",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="REPORT",
    help="Try --gateway, which must be one to throw away, and write what it answered.",
)
@settings_options(
    *SIGNING,
    "expiry_warning_days",
    "version",
    "environment",
    "output_dir",
    *REPOSITORY,
    "gateway",
    "gateway_ca",
    "gateway_pin",
    "gateway_manifest",
    "insecure_http",
    "timeout",
    "confirm",
    meanings={"confirm": ("With --conformance: the gateway's own name.", "GATEWAY-NAME")},
)
@common_options
def validate_env_command(
    session: Session,
    *,
    path: Path,
    packaging: bool,
    signing: bool,
    repository: bool,
    conformance: Path | None,
) -> None:
    """Check that a release can start, and list everything that would stop it.

    PATH is the project (default: the current folder). Without --packaging, --signing,
    --repository or --gateway, everything is checked, with the gateways that the config file has
    for --environment.

    With --conformance, a tiny module is installed on a throw-away gateway, upgraded and removed
    again; exit code 10 if the gateway answers otherwise than expected.
    """
    confirm = session.settings.confirm
    if conformance is not None or confirm:
        if conformance is None or len(confirm) != 1 or packaging or signing or repository:
            raise ConfigurationError(
                "--conformance requires --gateway and --confirm, and excludes other checks",
                hint="run `ign-deploy validate-env --gateway URL --conformance REPORT.json "
                "--confirm GATEWAY-NAME`.",
            )
        _try_gateway(session, path=conformance, confirm=confirm[0])
        return
    gateways = session.resolved.origin("gateway") == "--gateway"
    everything = not (packaging or signing or repository or gateways)
    context = session.context
    checks: list[Check] = []
    if packaging or everything:
        checks += packaging_checks(path, context)
    if signing or everything:
        checks.append(Check(IDENTITY, partial(probe_identity, context)))
    if repository or everything:
        checks.append(Check(REPOSITORY_CHECK, partial(describe_repository, context)))
    if gateways or (everything and chosen_entries(context.settings)):
        checks.append(gateways_check(context))
    with context.reporter.group("validate-env"):
        found = run_checks(checks, context)
    titles = [check.title for check in checks]
    document: dict[str, Any] = {"result": "ready", "checked": titles}
    lines = ["ready: " + ", ".join(titles)]
    if (probe := found.get(IDENTITY)) is not None:
        from ign_deploy.module.certificates import describe

        document["signing"] = _signing_document(probe)
        days = session.settings.expiry_warning_days
        soon = expiry_warning(describe(probe.identity.leaf), now=session.now, days=days)
        if soon is not None:
            session.reporter.finding(soon)
        lines += _signing_lines(probe, session.now)
    if (capabilities := found.get(REPOSITORY_CHECK)) is not None:
        document["repository"] = asdict(capabilities)
        lines += _describe(capabilities)
    session.answer(document, "\n".join(lines))


def _try_gateway(session: Session, *, path: Path, confirm: str) -> None:
    from ign_deploy.pipeline.conformance import try_gateway

    with session.reporter.group("conformance"):
        report = try_gateway(session.context, path=path, confirm=confirm)
    document = {
        "result": report.result,
        "report": str(path),
        "deviations": [each.model_dump(mode="json") for each in report.deviations],
        "left": list(report.left),
    }
    counted = [each for each in report.deviations if each.counts]
    added = len(report.deviations) - len(counted)
    lines = ["✓ the gateway answers as expected"]
    if counted:
        noun = "difference" if len(counted) == 1 else "differences"
        lines = [f"✗ {len(counted)} {noun} between the gateway and what was expected"]
    lines += [
        f"  {each.step}: {plain(each.what)}: {plain(each.found)}, expected {plain(each.expected)}"
        for each in counted[:_MOST_SHOWN]
    ]
    if len(counted) > _MOST_SHOWN:
        lines.append(f"  and {len(counted) - _MOST_SHOWN} more in the report")
    if added:
        lines.append(f"  new fields in its answers: {added}; see the report")
    lines.append(f"report: {path} (without names, addresses and secrets; check it, then paste it)")
    session.answer(document, "\n".join(lines))
    if counted:
        click.get_current_context().exit(_DIFFERS)


def _signing_document(probe: SigningProbe) -> dict[str, Any]:
    from ign_deploy.module.certificates import describe

    return {
        "key": probe.identity.location,
        "signatures_per_second": round(probe.rate, 1),
        "certificate": describe(probe.identity.leaf).as_dict(),
    }


def _signing_lines(probe: SigningProbe, now: datetime) -> list[str]:
    """Describe the key, its speed, and its certificate with the days it has left."""
    from ign_deploy.module.certificates import describe

    info = describe(probe.identity.leaf)
    days = days_left(info.not_after, now)
    left = f"expires in {days} days" if days >= 0 else "has expired"
    rate = f"{probe.rate:.1f}" if probe.rate < 10 else f"{probe.rate:.0f}"
    return [
        f"{'signing key:':<16}{plain(probe.identity.location)}, {rate} signatures per second",
        *certificate_lines(info),
        f"{'expiry:':<16}{info.not_after:%Y-%m-%d}: {left}",
    ]


def _describe(found: Capabilities) -> list[str]:
    """Describe what the repository's store guarantees."""
    promises = (
        ("a version is published exactly once, whoever else writes", found.create_once),
        ("an index never overwrites another run's", found.compare_and_swap),
        ("the store reports the digest of its files", found.server_digest),
        ("an interrupted download can be resumed", found.resume),
    )
    lines = [f"repository {plain(found.location)}:"]
    lines += [f"  {'yes' if holds else 'no ':<3}  {text}" for text, holds in promises]
    return [*lines, *(f"  {plain(remark)}" for remark in found.remarks)]

"""`validate-env --conformance`: the settings → one run on a throw-away gateway, and its report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ign_deploy import __version__
from ign_deploy.deployment.conformance.comparison import find_deviations
from ign_deploy.deployment.conformance.recorder import ExchangeRecorder
from ign_deploy.deployment.conformance.redaction import Redactor
from ign_deploy.deployment.conformance.report import (
    ConformanceReport,
    TriedGateway,
    expected_report,
    read_report,
    render_report,
)
from ign_deploy.deployment.conformance.run import ConformanceRun, is_production
from ign_deploy.deployment.gateway.model import GatewayFacts
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.errors import ConfigurationError, IgnDeployError, RollbackError
from ign_deploy.files import require_replaceable, write_atomically
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.gateways import chosen_entries, open_gateway
from ign_deploy.pipeline.probe_module import make_probe_modules
from ign_deploy.settings import GatewayEntry

Ending = Literal["unfinished", "refused", "failed", "interrupted", "differs", "conforms"]
_ACCEPTING = "modules/certificate"
_ACCEPTED = "the accepted certificate and licence of the probe, whose key no longer exists"


def try_gateway(context: RunContext, *, path: Path, confirm: str) -> ConformanceReport:
    """Try the gateway, write the report to ``path`` in any case, and return it.

    Raises ConfigurationError for a gateway that must not be tried, RollbackError if something is
    left on it, and whatever else stopped the run.
    """
    entry = _require_one(context)
    _require_report_file(path)
    written = _WrittenReport(path, context)
    recorder = ExchangeRecorder(Redactor(_private(entry, context, confirm)), clock=_no_time)
    gateway = _open_api(entry, context, recorder)
    recorder.clock = gateway.timing.clock
    run = ConformanceRun(
        gateway=gateway,
        anonymous=_open_api(entry, context, recorder, is_anonymous=True),
        recorder=recorder,
        make_modules=lambda line: make_probe_modules(context.folder, line=line, now=context.now),
        confirm=confirm,
    )
    recorder.on_step = partial(written.write, run, ending="unfinished")
    context.reporter.info(
        f"trying {gateway.location}: it restarts five times, and the report goes to {path}"
    )
    try:
        run.run()
    except IgnDeployError as problem:
        ending: Ending = "refused" if run.is_refused else "failed"
        written.write(run, ending=ending, problem=problem.message)
        if run.left:
            raise _left_error(run, problem) from problem
        raise
    except BaseException:
        written.write(run, ending="interrupted")
        if run.left:
            context.reporter.warning(f"left on {gateway.location}: {'; '.join(run.left)}")
        raise
    return written.write(run)


@dataclass
class _WrittenReport:
    path: Path
    context: RunContext

    def write(
        self, run: ConformanceRun, *, ending: Ending | None = None, problem: str = ""
    ) -> ConformanceReport:
        """Write what was found so far; without an ending, what the comparison says."""
        recorder = run.recorder
        report = ConformanceReport(
            product=f"ign-deploy {__version__}",
            recorded=self.context.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            gateway=_described(run.facts, recorder.redactor, location=run.gateway.location),
            problem=recorder.redactor.text(problem),
            left=(*run.left, *([_ACCEPTED] if recorder.may_have_done(_ACCEPTING) else [])),
            steps=tuple(recorder.steps),
        )
        expected = expected_report(run.facts.version if run.facts else "")
        deviations = find_deviations(report, expected=expected)
        found = "differs" if any(each.counts for each in deviations) else "conforms"
        report = report.model_copy(
            update={"result": ending or found, "deviations": deviations[:1000]}
        )
        text = render_report(report, redact=self.context.redact)
        write_atomically(self.path, text.encode())
        return report


def _described(facts: GatewayFacts | None, redactor: Redactor, *, location: str) -> TriedGateway:
    """Return what the gateway is, in values that say nothing of whose it is."""
    is_tls = location.startswith("https://")
    if facts is None:
        return TriedGateway(tls=is_tls)
    said = redactor.document(
        {
            "version": facts.version,
            "edition": facts.edition,
            "redundancyRole": facts.redundancy_role,
            "deploymentMode": facts.deployment_mode,
        }
    )
    return TriedGateway(
        **said,
        build=facts.build,
        allows_unsigned=facts.allows_unsigned,
        tls=is_tls,
    )


def _left_error(run: ConformanceRun, problem: IgnDeployError) -> RollbackError:
    return RollbackError(
        f"{problem.message}; left on {run.gateway.location}: {'; '.join(run.left)}",
        hint="uninstall it on the gateway's page of modules, and restart; or throw the gateway "
        "away.",
    )


def _require_one(context: RunContext) -> GatewayEntry:
    entries = chosen_entries(context.settings)
    if len(entries) != 1:
        raise ConfigurationError(
            f"--conformance tries one gateway, {len(entries)} were given",
            hint="give --gateway URL once.",
        )
    if is_production(entries[0].environment):
        raise ConfigurationError(
            f"{entries[0].name} is a gateway of the environment {entries[0].environment}",
            hint="give a gateway that can be thrown away.",
        )
    return entries[0]


def _require_report_file(path: Path) -> None:
    """Raise ConfigurationError unless the report can be written without losing another file."""
    require_replaceable(path, what="the report")
    if path.exists():
        try:
            read_report(path)
        except ConfigurationError as problem:
            raise ConfigurationError(
                f"{path} exists and is not a conformance report", hint="choose another file."
            ) from problem


def _open_api(
    entry: GatewayEntry,
    context: RunContext,
    recorder: ExchangeRecorder,
    *,
    is_anonymous: bool = False,
) -> ApiGateway:
    opened = open_gateway(entry, context, observe=recorder, is_anonymous=is_anonymous)
    if not isinstance(opened.target, ApiGateway):
        raise ConfigurationError(
            f"{entry.name} is not an 8.3 gateway with an API, and only those can be tried",
            hint="give its https:// address.",
        )
    return opened.target


def _private(entry: GatewayEntry, context: RunContext, confirm: str) -> Iterator[str]:
    """Yield what is known here and must not be published."""
    netloc = urlsplit(entry.url).netloc.rpartition("@")[2]
    yield from (netloc, netloc.rpartition(":")[0], confirm, entry.name)
    tokens = [context.settings.gateway_token.get_secret_value()]
    tokens.append(context.env.get(entry.token_variable, "") if entry.token_variable else "")
    for token in tokens:
        name, _, key = token.strip().partition(":")
        yield from (token.strip(), name, key)


def _no_time() -> float:
    return 0.0

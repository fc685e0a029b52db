"""The end of a run: outputs and summary for the CI host, the result file, and the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ign_deploy.ci.host import workspace_of, write_outputs
from ign_deploy.ci.host_files import write_host_files
from ign_deploy.ci.summary import FindingRow, ModuleRow, StageRow, Summary
from ign_deploy.cli.failure import failure_document
from ign_deploy.cli.formatting import (
    batch_table,
    describe_deployment,
    descriptor_document,
    json_text,
)
from ign_deploy.cli.page import gateway_table, pending_steps, write_page
from ign_deploy.cli.session import Session
from ign_deploy.errors import IgnDeployError, only_cause
from ign_deploy.files import write_atomically
from ign_deploy.module.version import ModuleVersion, VersionSyntaxError
from ign_deploy.pipeline.run_report import ModuleRecord, PathRecord, RunReport, problem_findings

RESULT_FILE = "ign-deploy-result.json"
_HEADLINES = {
    "uploaded": "Released {modules}",
    "unchanged": "{modules} was already published, with the same content",
    "verified": "Built, signed and verified {modules}; not uploaded",
    "packaged": "Built {modules}",
    "rehearsed": "Rehearsed the release of {modules}: it succeeded; nothing was published",
    "dry-run": "Dry run: nothing was changed",
    "deployed": "Released and deployed {modules}",
    "restart-pending": "Released and installed {modules}; it runs once the gateways restart",
    "failed": "Not released{modules}",
}


# In a batch; later steps mustn't use such a file.
_NOT_RELEASED = ("failed", "skipped")
_NAMED = 5
"""How many modules a headline names; the others are counted."""


def report_outcome(session: Session, *, result: str, problem: IgnDeployError | None = None) -> None:
    """Write everything that outlives the run; a failed run writes it as well."""
    report = session.context.report
    said = None if problem is None else session.wording.problem(problem)
    document = run_document(report, result=result, problem=said)
    result_file = None
    if not session.settings.dry_run:
        result_file = _write_result_file(session, document)
    outputs = run_outputs(session, report, result=result, result_file=result_file)
    summary = session.wording.summary(run_summary(report, result=result, problem=problem))
    _write_host_files(session, outputs, summary)
    write_page(session, summary)
    if problem is None or report.paths or report.deployment is not None:
        # What failed may have released or deployed something.
        session.answer(document, _text(report, result, problem=problem), outputs=outputs)
    else:
        write_outputs(outputs, host=session.host, env=session.env, masker=session.masker)


def run_document(
    report: RunReport, *, result: str, problem: IgnDeployError | None = None
) -> dict[str, Any]:
    """Return the run report as JSON values."""
    document: dict[str, Any] = {
        "result": result,
        "modules": [_module_document(module) for module in report.modules.values()],
        **({"paths": [each.as_dict() for each in report.paths]} if report.paths else {}),
        "stages": [stage.as_dict() for stage in report.stages],
        "findings": [{**item.finding.as_dict(), "file": item.file} for item in report.findings],
    }
    if report.deployment is not None:
        document["deployment"] = report.deployment.model_dump(mode="json")
    if problem is not None:
        document |= failure_document(problem)
    return document


def _module_document(module: ModuleRecord) -> dict[str, Any]:
    verified = module.verified
    return {
        **descriptor_document(module.descriptor),
        "prerelease": _prerelease(module.descriptor.version) == "true",
        "result": module.result,
        "reason": module.reason,
        "file": str(module.file),
        "bundle": str(module.bundle) if module.bundle else None,
        "release_url": module.release_url,
        "sha256": verified.sha256 if verified else None,
        "size": verified.size if verified else None,
        "certificate": verified.certificate.as_dict() if verified else None,
        "licence_crc": verified.licence_crc if verified else None,
    }


def run_outputs(
    session: Session, report: RunReport, *, result: str, result_file: Path | None
) -> Mapping[str, str]:
    """Return the action's outputs; several modules give one line each, in the same order."""
    modules = [each for each in report.modules.values() if each.result not in _NOT_RELEASED]

    def lines(value: Callable[[ModuleRecord], str]) -> str:
        return "\n".join(value(module) for module in modules)

    return {
        "result": result,
        "result-file": _workspace_path(session, result_file),
        "module-id": lines(lambda module: module.descriptor.id),
        "module-name": lines(lambda module: module.descriptor.name),
        "module-version": lines(lambda module: module.descriptor.version),
        "prerelease": lines(lambda module: _prerelease(module.descriptor.version)),
        "module-file": lines(lambda module: _workspace_path(session, module.file)),
        "bundle-file": lines(lambda module: _workspace_path(session, module.bundle)),
        "sha256": lines(lambda module: module.verified.sha256 if module.verified else ""),
        "certificate-fingerprint": lines(
            lambda module: module.verified.certificate.sha256 if module.verified else ""
        ),
        "certificate-sha1": lines(
            lambda module: module.verified.certificate.sha1 if module.verified else ""
        ),
        "release-url": lines(lambda module: _location(session, module.release_url)),
        "deployment-id": report.deployment.id if report.deployment else "",
        "audit-head": session.context.audit.head,
    }


def run_summary(
    report: RunReport, *, result: str, problem: IgnDeployError | None = None
) -> Summary:
    """Return the summary for a release manager."""
    findings = [FindingRow(item.finding, item.file) for item in report.findings]
    if problem is not None:
        known = {item.finding for item in report.findings}
        findings += [
            FindingRow(finding, file)
            for finding, file in problem_findings(problem)
            if finding not in known
        ]
    cause = only_cause(problem) if problem else None
    error = cause.message if cause else ""
    return Summary(
        headline=_headline(report, result),
        succeeded=problem is None,
        error=error,
        hint=cause.hint if cause else "",
        modules=[
            *(_module_row(module) for module in report.modules.values()),
            *(_path_row(each) for each in report.paths if not each.modules),
        ],
        findings=findings,
        tables=[gateway_table(report.deployment.gateways, said=error)] if report.deployment else [],
        stages=[
            StageRow(stage.name, stage.seconds, stage.result, stage.reason)
            for stage in report.stages
        ],
        next_steps=_next_steps(report, result),
    )


def _headline(report: RunReport, result: str) -> str:
    if result == "failed" and report.paths:
        count = Counter(each.result for each in report.paths)
        return "Batch: " + ", ".join(f"{count[each]} {each}" for each in sorted(count))
    modules = list(report.modules.values())
    names = ", ".join(
        f"{module.descriptor.name or module.descriptor.id} {module.descriptor.version}"
        for module in modules[:_NAMED]
    )
    if len(modules) > _NAMED:
        names += f" and {len(modules) - _NAMED} more"
    if result == "failed" and names:
        names = f": {names}"
    return _HEADLINES[result].format(modules=names)


def _path_row(record: PathRecord) -> ModuleRow:
    """Return the row of a path that made no module."""
    return ModuleRow(id=str(record.path), version="", result=record.result, reason=record.reason)


def _module_row(module: ModuleRecord) -> ModuleRow:
    verified = module.verified
    return ModuleRow(
        id=module.descriptor.id,
        version=module.descriptor.version,
        name=module.descriptor.name,
        ignition_version=module.descriptor.required_ignition_version,
        file=module.file.name,
        size=verified.size if verified else 0,
        sha256=verified.sha256 if verified else "",
        signer=verified.certificate.subject if verified else "",
        certificate_sha1=verified.certificate.sha1 if verified else "",
        certificate_sha256=verified.certificate.sha256 if verified else "",
        result=module.result,
        reason=module.reason,
        url=module.release_url,
    )


def _next_steps(report: RunReport, result: str) -> list[str]:
    """Return what to do after a success; one step for all modules."""
    if report.deployment is not None and any(each.gateway for each in report.deployment.gateways):
        return [] if result == "failed" else pending_steps(report.deployment.gateways)
    if result not in ("uploaded", "unchanged"):
        return []
    modules = [each for each in report.modules.values() if each.verified is not None]
    if not modules:
        return []
    what = modules[0].file.name if len(modules) == 1 else f"the {len(modules)} modules"
    shown = {f"`{each.verified.certificate.sha1}`": None for each in modules if each.verified}
    which = " or ".join(shown)
    return [f"Install {what} on the gateway; accept the certificate only if its SHA-1 is {which}."]


def _text(report: RunReport, result: str, *, problem: IgnDeployError | None) -> str:
    lines = [f"result: {result}"]
    if report.paths:
        return "\n".join([*lines, *batch_table(report)])
    for module in report.modules.values():
        lines.append(f"  {module.descriptor.id} {module.descriptor.version}: {module.result}")
        lines.append(f"    file:     {module.file}")
        if module.bundle:
            lines.append(f"    bundle:   {module.bundle}")
        if module.verified:
            lines.append(f"    SHA-256:  {module.verified.sha256}")
            lines.append(f"    signer:   {module.verified.certificate.subject}")
            lines.append(f"    the gateway will show SHA-1 {module.verified.certificate.sha1}")
        if module.release_url:
            lines.append(f"    release:  {module.release_url}")
    if report.deployment is not None:
        lines += describe_deployment(report.deployment, result, problem=problem)
    return "\n".join(lines)


def _prerelease(version: str) -> str:
    """Return whether a release may not be "latest": it is a -rc1, -beta1, -SNAPSHOT or dev."""
    try:
        return "true" if ModuleVersion.parse(version).is_prerelease else "false"
    except VersionSyntaxError:
        return "true"


def _write_result_file(session: Session, document: Mapping[str, Any]) -> Path | None:
    path = session.settings.output_dir / RESULT_FILE
    data = json_text(document, masker=session.masker) + "\n"
    try:
        write_atomically(path, data.encode())
    except IgnDeployError as problem:
        session.reporter.warning(f"cannot write the result file: {problem.message}")
        return None
    return path


def _write_host_files(session: Session, outputs: Mapping[str, str], summary: Summary) -> None:
    """Write the reports of GitLab or Jenkins; without them, a release is still a success."""
    try:
        omitted = write_host_files(
            outputs,
            summary,
            host=session.host,
            env=session.env,
            folder=session.settings.output_dir,
            masker=session.masker,
            now=session.now,
        )
    except IgnDeployError as problem:
        session.reporter.warning(f"cannot write the reports: {problem.message}")
        return
    for sentence in omitted:
        session.reporter.warning(sentence)


def _location(session: Session, url: str) -> str:
    """Return where a release is; a folder in the workspace as a path for later steps."""
    return _workspace_path(session, Path(url)) if url.startswith("/") else url


def _workspace_path(session: Session, path: Path | None) -> str:
    """Return a path relative to the workspace: later steps see it under another root."""
    if path is None:
        return ""
    workspace = workspace_of(session.host, session.env)
    absolute = path.absolute()
    if workspace and absolute.is_relative_to(workspace):
        return str(absolute.relative_to(workspace))
    return str(path)

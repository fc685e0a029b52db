"""Results as text for people and as plain values for JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ign_deploy.module.findings import Finding

if TYPE_CHECKING:
    from ign_deploy.ci.mask import Masker
    from ign_deploy.deployment.records import DeploymentRecord, GatewayRecord
    from ign_deploy.errors import IgnDeployError
    from ign_deploy.module.certificates import CertificateInfo
    from ign_deploy.module.descriptor import ModuleDescriptor
    from ign_deploy.pipeline.run_report import RunReport
    from ign_deploy.signing.succession import Statement
    from ign_deploy.signing.verifier import VerificationReport

_LONGEST_REASON = 300


def json_text(document: Mapping[str, Any], *, masker: Masker) -> str:
    """Return the document as JSON without secrets, fit for a CI host's log.

    Only texts are redacted: ``true`` as a password must not break the JSON. A runner executes
    ``##[command]`` anywhere in a line; escaped, it is the same JSON.
    """
    return _harmless(json.dumps(_redacted(document, masker), indent=2))


def json_line(value: Any, *, masker: Masker) -> str:
    """Do as ``json_text`` for any JSON value, on one line."""
    return _harmless(json.dumps(_redacted(value, masker), separators=(",", ":")))


def _harmless(text: str) -> str:
    return text.replace("##", "\\u0023\\u0023")


def _redacted(value: Any, masker: Masker) -> Any:
    if isinstance(value, str):
        return masker.redact(value)
    if isinstance(value, Mapping):
        return {_redacted(name, masker): _redacted(inner, masker) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner, masker) for inner in value]
    return value


def batch_table(report: RunReport) -> list[str]:
    """Return a line for each module of a batch: id, version, result, and its file or the reason."""
    rows = [
        (each.descriptor.id, each.descriptor.version, each.result, each.reason or str(each.file))
        for each in report.modules.values()
    ]
    rows += [
        (str(each.path), "", each.result, each.reason) for each in report.paths if not each.modules
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines: list[str] = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
        lines.append("  ".join(["", *cells, row[3]]))
    return lines


def findings_document(findings: Iterable[Finding]) -> list[dict[str, str | int]]:
    """Return findings as JSON values."""
    return [finding.as_dict() for finding in findings]


def descriptor_document(descriptor: ModuleDescriptor) -> dict[str, Any]:
    """Return the content of module.xml as JSON values."""
    return {
        "id": descriptor.id,
        "name": descriptor.name,
        "version": descriptor.version,
        "description": descriptor.description,
        "required_ignition_version": descriptor.required_ignition_version,
        "required_framework_version": descriptor.required_framework_version,
        "free": descriptor.free_module,
        "license": descriptor.license,
        "hooks": [{"scope": hook.scope, "class": hook.class_name} for hook in descriptor.hooks],
        "jars": [{"scope": jar.scope, "file": jar.path} for jar in descriptor.jars],
        "depends": [
            {"id": item.module_id, "scope": item.scope, "required": item.required}
            for item in descriptor.depends
        ],
    }


def succession_document(statement: Statement) -> dict[str, Any]:
    """Return a statement of a succession as JSON values."""
    return {
        "modules": sorted(statement.modules),
        "old_sha256": statement.old_sha256,
        "new_sha256": statement.new_sha256,
        "issued_at": f"{statement.issued_at:%Y-%m-%dT%H:%M:%SZ}",
        "not_before": f"{statement.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{statement.not_after:%Y-%m-%dT%H:%M:%SZ}",
    }


def verification_document(report: VerificationReport) -> dict[str, Any]:
    """Return what verifying a module found, as JSON values."""
    return {
        "file": str(report.path),
        "status": report.status.value,
        "verdict": report.verdict,
        "trust_anchor": report.anchor or None,
        "module": descriptor_document(report.descriptor),
        "file_count": report.file_count,
        "certificates": [certificate.as_dict() for certificate in report.certificates],
        "licence_crc": report.licence_crc,
        "findings": findings_document(report.findings),
    }


def plain(text: str) -> str:
    """Make untrusted text safe for a terminal: no control characters, one line."""
    from ign_deploy.ci.text import neutralise

    return neutralise(text)


def describe_verification(report: VerificationReport) -> str:
    """Describe in lines what a module is, and what its signature is worth."""
    descriptor = report.descriptor
    rows = [
        ("file", str(report.path)),
        ("module", f"{descriptor.name} ({descriptor.id})"),
        ("version", descriptor.version),
        ("for Ignition", descriptor.required_ignition_version),
        ("files", str(report.file_count)),
    ]
    lines = [plain(report.verdict), *(f"{title + ':':<16}{plain(value)}" for title, value in rows)]
    if report.certificates:
        lines += certificate_lines(report.certificates[0])
    if report.licence_crc is not None:
        lines.append(f"{'licence CRC:':<16}{report.licence_crc}")
    return "\n".join(lines)


def certificate_lines(certificate: CertificateInfo) -> list[str]:
    """Show a signer and both fingerprints; the SHA-1 is what a gateway shows."""
    kind = " (self-signed)" if certificate.self_signed else ""
    return [
        f"{'signer:':<16}{plain(certificate.subject)}{kind}",
        f"{'valid:':<16}{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}",
        f"{'SHA-1:':<16}{certificate.sha1}   (as the gateway shows it)",
        f"{'SHA-256:':<16}{certificate.sha256}",
    ]


def describe_deployment(
    record: DeploymentRecord,
    result: str,
    *,
    problem: IgnDeployError | None = None,
    wording: Callable[[str], str] = str,
) -> list[str]:
    """Return what people read: a line for each module on each gateway, then what to do.

    What the error of a deployment that failed says isn't said twice: its reason, and the steps.
    """
    said = problem.message if problem is not None else ""
    lines = [f"{result}: deployment {record.id} to {plain(record.environment)}{partly(record)}"]
    rows = [
        (
            plain(gateway.title or "(no gateway)"),
            plain(module.id),
            f"{plain(module.previous) or '-'} → {plain(module.version) or '-'}",
            module.outcome.value
            + (f", {plain(module.license_state)}" if module.license_state else ""),
            _row_reason(gateway, said) if number == 0 else "",
        )
        for gateway in record.gateways
        for number, module in enumerate(gateway.modules)
    ]
    lines += table(rows)
    if problem is None:
        lines += map(wording, next_lines(record))
    return lines


def partly(record: DeploymentRecord) -> str:
    """Return how many gateways ended how, if the deployment failed on some of them only."""
    from ign_deploy.deployment.records import DEPLOYED_OUTCOMES

    found = Counter(gateway.outcome for gateway in record.gateways)
    if record.outcome in {None, *DEPLOYED_OUTCOMES} or not found.keys() & DEPLOYED_OUTCOMES:
        return ""
    return f" ({', '.join(f'{number} {outcome.value}' for outcome, number in found.items())})"


def _row_reason(gateway: GatewayRecord, said: str) -> str:
    from ign_deploy.ci.text import shorten

    return "" if gateway.reason in said else shorten(plain(gateway.reason), _LONGEST_REASON)


def next_lines(record: DeploymentRecord) -> list[str]:
    """Return what is left to do on the gateways, each step once."""
    from ign_deploy.ci.text import hint_lines

    return hint_lines("\n".join(map(plain, deployment_steps(record))))


def deployment_steps(record: DeploymentRecord) -> list[str]:
    """Return what is left to do on the gateways, each step once."""
    return list(dict.fromkeys(step for gateway in record.gateways for step in gateway.steps))


def table(rows: Sequence[tuple[str, ...]], *, indent: str = "  ") -> list[str]:
    """Return the rows as lines with aligned columns."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        indent
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def is_too_wide(lines: Sequence[str], width: int) -> bool:
    """Return whether a line is longer than ``width`` columns; 0 is no limit."""
    return bool(width) and max(map(len, lines), default=0) > width


def wrap(text: str, width: int, *, first: str = "", rest: str = "  ") -> list[str]:
    """Return ``text`` in lines of at most ``width`` columns, which begin with ``first``, ``rest``.

    A ``width`` of 0 is no limit. A longer word, such as an address, is kept whole to be copied.
    """
    if not width:
        return [first + text]
    return textwrap.wrap(
        text,
        max(width, 20),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]


def shown_time(text: str, *, is_local: bool) -> str:
    """Return a time of a record (UTC) to the minute with its zone: the reader's own, or UTC."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(None if is_local else UTC)
    except (ValueError, OverflowError, OSError):
        return plain(text[:16])
    return plain(f"{moment:%Y-%m-%d %H:%M %Z}")

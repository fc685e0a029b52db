"""Conflicts within a batch: modules that share an id, or would become the same file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import VerificationError
from ign_deploy.module.dependencies import dependency_order
from ign_deploy.module.findings import Finding, error
from ign_deploy.packaging.project import ProjectKind
from ign_deploy.pipeline.batch_job import Job
from ign_deploy.settings import Settings
from ign_deploy.signing.signer import signed_name


@dataclass(frozen=True, slots=True)
class _Output:
    """A module id and a file in the output folder that belong to one path of the batch."""

    path: Path
    module_id: str
    file: str


def check_known(jobs: Sequence[Job], *, settings: Settings) -> None:
    """Raise VerificationError when modules that are known before the build conflict."""
    outputs: list[_Output] = []
    for job in jobs:
        for module in job.known:
            # A prebuilt file that isn't signed stays where it is.
            stays = settings.skip_signing and job.found.project.kind is ProjectKind.PREBUILT
            name = "" if stays else signed_name(module.file_name)
            outputs.append(_Output(job.path, module.id, name))
    _require_distinct(outputs)
    dependency_order({each.id: each.needs for job in jobs for each in job.known})


def check_made(jobs: Iterable[Job]) -> None:
    """Raise VerificationError when two paths made modules with the same id, or the same file.

    Also of paths that failed: theirs may be the file that the other one signed.
    """
    _require_distinct(
        [
            _Output(job.path, module.descriptor.id, _location(module.file))
            for job in jobs
            for module in job.context.report.modules.values()
        ]
    )


def _location(file: Path) -> str:
    return str(file.absolute().with_name(signed_name(file.name)))


def _require_distinct(outputs: Sequence[_Output]) -> None:
    findings = [*_repeated_ids(outputs), *_repeated_files(outputs)]
    if findings:
        raise VerificationError.from_findings(*findings)


def _repeated_ids(outputs: Sequence[_Output]) -> list[Finding]:
    return [
        error(
            "module-id-repeated",
            f"{first.path} and {second.path} share the id {second.module_id!a}",
            location=str(second.path),
            hint="give each module its own id, or release only one of them.",
        )
        for first, second in _conflicts(outputs, [output.module_id for output in outputs])
    ]


def _repeated_files(outputs: Sequence[_Output]) -> list[Finding]:
    # A case-insensitive file system holds only one of X.modl and x.modl.
    return [
        error(
            "file-name-repeated",
            f"{first.path} and {second.path} would both become {Path(second.file).name}",
            location=str(second.path),
            hint="give each module its own file name, or release them one after another.",
        )
        for first, second in _conflicts(outputs, [output.file.lower() for output in outputs])
    ]


def _conflicts(outputs: Sequence[_Output], keys: Sequence[str]) -> list[tuple[_Output, _Output]]:
    """Return each output whose key another path had before, with that path's output."""
    first: dict[str, _Output] = {}
    found: list[tuple[_Output, _Output]] = []
    for output, key in zip(outputs, keys, strict=True):
        other = first.setdefault(key, output) if key else output
        if other.path != output.path:
            found.append((other, output))
    return found

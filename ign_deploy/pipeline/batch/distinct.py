"""Whether the modules of a batch can be told apart: by their ids and by the files they become."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import VerificationError
from ign_deploy.module.dependencies import dependency_order
from ign_deploy.module.findings import Finding, error
from ign_deploy.packaging.project import Kind
from ign_deploy.pipeline.batch.job import Job
from ign_deploy.settings import Settings
from ign_deploy.signing.signer import signed_name


@dataclass(frozen=True, slots=True)
class _Claim:
    """A module id and a file in the output folder that belong to one path of the batch."""

    path: Path
    module_id: str
    file: str


def check_known(jobs: Sequence[Job], *, settings: Settings) -> None:
    """Raise VerificationError when modules that are known before the build clash; see below."""
    claims: list[_Claim] = []
    for job in jobs:
        for module in job.known:
            # A ready file that isn't signed stays where it is.
            stays = settings.skip_signing and job.ready.project.kind is Kind.PREBUILT
            name = "" if stays else signed_name(module.file_name)
            claims.append(_Claim(job.path, module.id, name))
    _require_distinct(claims)
    dependency_order({each.id: each.needs for job in jobs for each in job.known})


def check_made(jobs: Iterable[Job]) -> None:
    """Raise VerificationError when two paths made modules of one id, or one file.

    Also of paths that failed: theirs may be the file that the other one signed.
    """
    _require_distinct(
        [
            _Claim(job.path, module.descriptor.id, _place(module.file))
            for job in jobs
            for module in job.run.report.modules.values()
        ]
    )


def _place(file: Path) -> str:
    return str(file.absolute().with_name(signed_name(file.name)))


def _require_distinct(claims: Sequence[_Claim]) -> None:
    findings = [*_repeated_ids(claims), *_repeated_files(claims)]
    if findings:
        raise VerificationError.from_findings(*findings)


def _repeated_ids(claims: Sequence[_Claim]) -> list[Finding]:
    return [
        error(
            "module-id-repeated",
            f"{first.path} and {second.path} have one id: {second.module_id!a}",
            location=str(second.path),
            hint="give each module an id of its own, or release only one of them.",
        )
        for first, second in _clashes(claims, [claim.module_id for claim in claims])
    ]


def _repeated_files(claims: Sequence[_Claim]) -> list[Finding]:
    # A case-insensitive file system holds only one of X.modl and x.modl.
    return [
        error(
            "file-name-repeated",
            f"{first.path} and {second.path} would both become {Path(second.file).name}",
            location=str(second.path),
            hint="give each module a file name of its own, or release them one after another.",
        )
        for first, second in _clashes(claims, [claim.file.lower() for claim in claims])
    ]


def _clashes(claims: Sequence[_Claim], keys: Sequence[str]) -> list[tuple[_Claim, _Claim]]:
    """Return each claim whose key another path had before, with that path's claim."""
    first: dict[str, _Claim] = {}
    found: list[tuple[_Claim, _Claim]] = []
    for claim, key in zip(claims, keys, strict=True):
        other = first.setdefault(key, claim) if key else claim
        if other.path != claim.path:
            found.append((other, claim))
    return found

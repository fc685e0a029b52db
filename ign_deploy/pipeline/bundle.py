"""The distribution bundle of a verified module, with what the run knows of its build."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.packer import DosTime
from ign_deploy.pipeline.publishing import build_of, commit_of, read_notes
from ign_deploy.pipeline.run_report import ModuleRecord
from ign_deploy.pipeline.verify import verify_file
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.pipeline.release import RunContext


def make_bundle(module: VerifiedModule, *, settings: Settings, env: Mapping[str, str]) -> Path:
    """Write the bundle of a module into the output folder and return its path."""
    from ign_deploy.packaging.bundle import write_bundle

    return write_bundle(
        module,
        output_dir=settings.output_dir,
        notes=read_notes(settings),
        build=build_of(env, settings),
        commit=commit_of(env),
        timestamp=DosTime.from_environment(env),
    )


def bundle_signed_file(path: Path, run: RunContext) -> None:
    """Verify a signed module file and make its bundle."""
    with run.report.stage("verify"):
        module = verify_file(path, settings=run.settings, now=run.now)
        run.report.add_findings(module.findings, file=path)
    with run.report.stage("bundle"):
        bundle = make_bundle(module, settings=run.settings, env=run.env)
        record = ModuleRecord(path, module.descriptor, "packaged", module, bundle)
        run.report.note(record)
        run.reporter.info(f"made {bundle}")

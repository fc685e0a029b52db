"""Settings → the build of a project's modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.packaging.project import Project


def build_modules(
    project: Project, *, settings: Settings, env: Mapping[str, str], reporter: Reporter
) -> Sequence[UnsignedModule]:
    """Build the project's modules as the settings say; see ``packaging.build.package``."""
    from ign_deploy.packaging.arguments import split_arguments
    from ign_deploy.packaging.build import PackageOptions, package

    options = PackageOptions(
        output_dir=settings.output_dir,
        arguments=split_arguments(settings.gradle_args),
        expected_version=settings.version,
        expected_id=settings.module_id,
        timeout=settings.build_timeout,
    )
    return package(project, options=options, env=env, reporter=reporter)

"""Which published modules go into a container, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ign_deploy.errors import NotInRepository

if TYPE_CHECKING:
    from ign_deploy.render import RenderedModule
    from ign_deploy.repositories import Repository
    from ign_deploy.repositories.record import Release


def modules_to_render(repository: Repository, names: Sequence[str]) -> list[RenderedModule]:
    """Return the modules by ``NAME[@VERSION]``; without names, the newest of every module."""
    from ign_deploy.repositories.download import find_release
    from ign_deploy.repositories.search import list_modules

    if not names:
        entries = list_modules(repository)
        if not entries:
            raise NotInRepository("no modules are published", hint="publish one first.")
        return [_rendered(repository.fetch(entry.id, version=entry.version)) for entry in entries]
    found: list[RenderedModule] = []
    for name in names:
        module, _, version = name.partition("@")
        found.append(_rendered(find_release(repository, module, version=version or None)))
    return found


def _rendered(release: Release) -> RenderedModule:
    from ign_deploy.render import RenderedModule

    file = release.module_file
    return RenderedModule(
        id=release.id,
        version=release.version,
        file_name=file.name,
        sha256=file.sha256,
        size=file.size,
        certificate_sha1=release.certificate.sha1,
        certificate_sha256=release.certificate.sha256,
        licence_crc=release.licence_crc,
    )

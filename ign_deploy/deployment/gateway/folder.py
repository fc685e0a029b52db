"""A folder of modules that a gateway reads when it starts, such as ``user-lib/modules``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ign_deploy.deployment.gateway.consent import require_consent
from ign_deploy.deployment.gateway.folder_files import (
    keep_copy,
    lock_folder,
    put_bytes,
    put_file,
    remove_file,
    same_content,
)
from ign_deploy.deployment.gateway.model import (
    NO_CONSENT,
    Consent,
    GatewayCapabilities,
    GatewayFacts,
    Installation,
    InstalledModule,
    Upload,
)
from ign_deploy.deployment.gateway.module_file import (
    ModuleFile,
    read_module_file,
    require_file_name,
)
from ign_deploy.deployment.gateway.modules_json import ModulesJson, read_modules_json
from ign_deploy.deployment.gateway.reading import no_progress
from ign_deploy.deployment.gateway.versions import parse_shown
from ign_deploy.errors import DeploymentError, VerificationError
from ign_deploy.files import os_error_reason
from ign_deploy.report import Progress

REPLACED = ".replaced"
"""The folder, inside that of the modules, with a copy of every file that was replaced."""


class FolderTarget:
    """The folder, and the ``modules.json`` that 8.3 needs beside it (None: 8.1 and before).

    Every file is written whole or not at all; what stood there before is kept in ``.replaced``,
    named by its digest. The gateway notices nothing until it starts the next time. Methods raise
    DeploymentError when the folder can't be read or written.
    """

    def __init__(self, folder: Path, *, manifest: Path | None) -> None:
        self._folder = folder
        # A link is followed: its place is somebody's choice, and we replace what it leads to.
        self._manifest_path = manifest.resolve() if manifest is not None else None

    @property
    def location(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def facts(self) -> GatewayFacts:
        """Look at the folder; the obstacle says why nothing can be written there."""
        obstacle = ""
        if not self._folder.is_dir():
            obstacle = "there is no such folder"
        elif not os.access(self._folder, os.W_OK | os.X_OK):
            obstacle = "this user can't write to the folder"
        else:
            self._read_manifest()
        return GatewayFacts(
            location=self.location,
            capabilities=GatewayCapabilities(lists_modules=True, install=True, uninstall=True),
            free_bytes=None if obstacle else shutil.disk_usage(self._folder).free,
            obstacle=obstacle,
        )

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return the modules whose files are here; whether they run, no file says."""
        manifest = self._read_manifest()
        found = {
            file.module_id: self._describe(path, file, manifest) for path, file in self._files()
        }
        return tuple(found[module_id] for module_id in sorted(found))

    def upload(self, path: Path, *, file_name: str, progress: Progress = no_progress) -> Upload:
        """Read the module and what the folder accepts of it; nothing is written yet.

        Raises VerificationError when the file is no module.
        """
        del progress
        file, manifest = read_module_file(path), self._read_manifest()
        return Upload(
            path=path,
            file_name=require_file_name(file_name),
            module_id=file.module_id,
            version=file.version,
            # Before 8.3 no file holds acceptance: the gateway asks for it in its own pages.
            certificate_accepted=manifest is None or manifest.accepts_certificate(file),
            license_accepted=manifest is None or manifest.accepts_license(file),
            certificate_sha1=file.certificate_sha1,
            license_crc=file.license_crc,
        )

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Write the file, then the manifest; a kill in between leaves what the same call mends.

        Raises ConsentMissing, before anything is written.
        """
        require_consent(upload, consent, host=self.location)
        file = read_module_file(upload.path)
        target = self._folder / upload.file_name
        with lock_folder(self._folder):
            self._require_own(target, upload.module_id)
            manifest = self._read_manifest()
            replaced = None
            others = self._other_files(upload.module_id, target, manifest)
            if not target.exists():
                put_file(upload.path, target)
            elif not same_content(target, upload.path):
                replaced = keep_copy(target, self._folder / REPLACED)
                put_file(upload.path, target)
            if manifest is not None:
                self._write_manifest(manifest.with_module(file, file_name=upload.file_name))
            for other in others:
                replaced = keep_copy(other, self._folder / REPLACED)
                remove_file(other)
        accepted = (
            ("certificate", upload.certificate_accepted),
            ("license", upload.license_accepted),
        )
        return Installation(
            accepted=tuple(name for name, already in accepted if not already), replaced=replaced
        )

    def uninstall(self, module_id: str) -> None:
        """Take the module out of the manifest and remove its file, of which a copy is kept."""
        with lock_folder(self._folder):
            manifest = self._read_manifest()
            if manifest is not None and module_id in manifest.entries:
                self._write_manifest(manifest.without(module_id))
            for path, file in tuple(self._files()):
                if file.module_id == module_id:
                    keep_copy(path, self._folder / REPLACED)
                    remove_file(path)

    def _files(self) -> Iterator[tuple[Path, ModuleFile]]:
        """Yield the folder's own modules; what isn't one is none of ours."""
        try:
            paths = sorted(self._folder.glob("*.modl"))
        except OSError as cause:
            raise DeploymentError(
                f"cannot read {self._folder}: {os_error_reason(cause)}", hint="check its path."
            ) from cause
        for path in paths:
            try:
                yield path, read_module_file(path)
            except VerificationError:
                continue

    def _describe(
        self, path: Path, file: ModuleFile, manifest: ModulesJson | None
    ) -> InstalledModule:
        reason = _obstacle(path, file, manifest)
        entry = manifest.entry(file.module_id) if manifest is not None else {}
        version = parse_shown(file.version)
        return InstalledModule(
            id=file.module_id,
            name=file.name,
            version=version,
            on_startup=str(entry.get("onStartup", "")),
            quarantine=reason,
            quarantined_version=version if reason else None,
            certificate_accepted=manifest.accepts_certificate(file) if manifest else None,
            license_accepted=manifest.accepts_license(file) if manifest else None,
        )

    def _require_own(self, target: Path, module_id: str) -> None:
        if not self._folder.is_dir():
            raise DeploymentError(
                f"there is no folder {self._folder}", hint="check the path of the modules' folder."
            )
        if not target.exists():
            return
        try:
            owner = read_module_file(target).module_id
        except VerificationError:
            return  # broken: the new file mends it, and a copy is kept
        if owner != module_id:
            raise DeploymentError(
                f"{target} is the module {owner}, expected {module_id}; nothing was changed",
                hint="choose a file name of its own for each module.",
            )

    def _other_files(
        self, module_id: str, target: Path, manifest: ModulesJson | None
    ) -> tuple[Path, ...]:
        """Return the module's files of other names: two of one id would be in each other's way."""
        named = manifest.file_name(module_id) if manifest is not None else ""
        return tuple(
            path
            for path, file in self._files()
            if file.module_id == module_id
            and path.name != target.name
            and (manifest is None or path.name == named)
        )

    def _read_manifest(self) -> ModulesJson | None:
        return read_modules_json(self._manifest_path) if self._manifest_path is not None else None

    def _write_manifest(self, manifest: ModulesJson) -> None:
        path = self._manifest_path
        if path is None:
            return
        if path.exists():
            if path.read_bytes() == manifest.to_bytes():
                return
            keep_copy(path, self._folder / REPLACED)
        put_bytes(manifest.to_bytes(), path)


def _obstacle(path: Path, file: ModuleFile, manifest: ModulesJson | None) -> str:
    """Return why the gateway won't load the file, empty when nothing is known to be wrong."""
    if manifest is None:
        return ""
    if manifest.file_name(file.module_id) != path.name:
        return "Not named in modules.json."
    if not manifest.accepts_certificate(file):
        return "Certificate has not been accepted."
    if not manifest.accepts_license(file):
        return "License has not been accepted."
    return ""

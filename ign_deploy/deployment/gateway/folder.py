"""A folder of modules that a gateway reads at startup, such as ``user-lib/modules``."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ign_deploy.deployment.gateway.folder_files import (
    LOCK,
    has_content,
    keep_copy,
    lock_folder,
    put_aside,
    put_bytes,
    put_module,
)
from ign_deploy.deployment.gateway.model import (
    NO_CONSENT,
    Consent,
    GatewayCapabilities,
    GatewayFacts,
    Installation,
    InstalledModule,
    Timing,
    Upload,
    parse_shown,
    require_consent,
)
from ign_deploy.deployment.gateway.module_file import (
    ModuleFile,
    read_module_file,
    require_file_name,
    verified_source,
)
from ign_deploy.deployment.gateway.modules_json import ModulesJson, read_modules_json
from ign_deploy.errors import DeploymentError, VerificationError
from ign_deploy.files import os_error_reason
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.report import Progress, no_progress

REPLACED = ".replaced"
"""The subfolder that keeps a copy of every file that was replaced."""


class FolderTarget:
    """The folder, and the ``modules.json`` that 8.3 needs in addition (None: 8.1 and earlier).

    Every file is written whole or not at all; a replaced file is kept in ``.replaced``, named by
    its digest. The gateway notices nothing until it starts again. Methods raise DeploymentError if
    the folder can't be read or written.
    """

    def __init__(self, folder: Path, *, manifest: Path | None) -> None:
        self._folder = folder
        self.timing = Timing()
        # A link is followed: someone chose its target, and that is the file we replace.
        self._manifest_path = manifest.resolve() if manifest is not None else None

    @property
    def location(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def facts(self) -> GatewayFacts:
        """Check the folder; the obstacle says why nothing can be written there."""
        obstacle, manifest = "", None
        if not self._folder.is_dir():
            obstacle = "the folder does not exist"
        elif not os.access(self._folder, os.W_OK | os.X_OK):
            obstacle = "this user has no write permission for the folder"
        elif (self._folder / LOCK).is_symlink():
            obstacle = f"its lock file {LOCK} is a symbolic link"
        else:
            manifest = self._read_manifest()
        return GatewayFacts(
            location=self.location,
            capabilities=GatewayCapabilities(
                lists_modules=True,
                install=True,
                uninstall=True,
                asks_consent=manifest is not None,
            ),
            free_bytes=None if obstacle else shutil.disk_usage(self._folder).free,
            obstacle=obstacle,
        )

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return the modules whose files are here; no file says whether they run."""
        manifest = self._read_manifest()
        found = {
            file.module_id: self._describe(path, file, manifest) for path, file in self._files()
        }
        return tuple(found[module_id] for module_id in sorted(found))

    def upload(
        self, module: VerifiedModule, *, file_name: str, progress: Progress = no_progress
    ) -> Upload:
        """Read what is accepted for the module already; nothing is written yet."""
        del progress
        file, manifest = ModuleFile.of(module), self._read_manifest()
        return Upload(
            module=module,
            file_name=require_file_name(file_name),
            # Before 8.3, no file records acceptance: the gateway asks for it on its own pages.
            certificate_accepted=manifest is None or manifest.accepts_certificate(file),
            license_accepted=manifest is None or manifest.accepts_license(file),
        )

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Write the file, then modules.json; after a kill in between, the same call completes it.

        Raises ConsentMissing, before anything is written, and DeploymentError, with the file there
        unchanged, if the module's bytes aren't those that were verified.
        """
        require_consent(upload, consent, host=self.location)
        file, source = ModuleFile.of(upload.module), verified_source(upload.module)
        target = self._folder / upload.file_name
        with lock_folder(self._folder):
            self._require_own(target, upload.module_id)
            manifest = self._read_manifest()
            replaced = None
            others = self._other_files(upload.module_id, target, manifest)
            if not target.exists():
                put_module(source, target)
            elif not has_content(target, source):
                replaced = keep_copy(target, self._folder / REPLACED)
                put_module(source, target)
            if manifest is not None:
                self._write_manifest(manifest.with_module(file, file_name=upload.file_name))
            for other in others:
                replaced = put_aside(other, self._folder / REPLACED)
        accepted = (
            ("certificate", upload.certificate_accepted),
            ("license", upload.license_accepted),
        )
        return Installation(
            accepted=tuple(name for name, already in accepted if not already), replaced=replaced
        )

    def uninstall(self, module_id: str) -> None:
        """Remove the module from modules.json, and its file, of which a copy is kept."""
        with lock_folder(self._folder):
            manifest = self._read_manifest()
            if manifest is not None and module_id in manifest.entries:
                self._write_manifest(manifest.without(module_id))
            for path, file in tuple(self._files()):
                if file.module_id == module_id:
                    put_aside(path, self._folder / REPLACED)

    def _files(self) -> Iterator[tuple[Path, ModuleFile]]:
        """Yield the modules in the folder; other files are ignored."""
        try:
            paths = sorted(self._folder.glob("*.modl"))
        except OSError as cause:
            raise DeploymentError(
                f"cannot read {self._folder}: {os_error_reason(cause)}",
                hint="check the path of the modules folder.",
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
            accepted_certificate=manifest.certificate(file.module_id) if manifest else "",
        )

    def _require_own(self, target: Path, module_id: str) -> None:
        if not self._folder.is_dir():
            raise DeploymentError(
                f"the folder {self._folder} does not exist",
                hint="check the path of the modules folder.",
            )
        if not os.path.lexists(target):
            return
        if not stat.S_ISREG(target.lstat().st_mode):
            raise DeploymentError(
                f"{target} is not a regular file; nothing was changed",
                hint="find out who made it, and remove it.",
            )
        try:
            owner = read_module_file(target).module_id
        except VerificationError:
            return  # damaged: the new file replaces it, and a copy is kept
        if owner != module_id:
            raise DeploymentError(
                f"{target} is module {owner}, expected {module_id}; nothing was changed",
                hint="give each module its own file name.",
            )

    def _other_files(
        self, module_id: str, target: Path, manifest: ModulesJson | None
    ) -> tuple[Path, ...]:
        """Return the module's files of other names: two files of one module would conflict."""
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
    """Return why the gateway won't load the file, empty if nothing is known to be wrong."""
    if manifest is None:
        return ""
    if manifest.file_name(file.module_id) != path.name:
        return "Not named in modules.json."
    if not manifest.accepts_certificate(file):
        return "Certificate has not been accepted."
    if not manifest.accepts_license(file):
        return "License has not been accepted."
    return ""

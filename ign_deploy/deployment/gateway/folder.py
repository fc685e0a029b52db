"""A folder of modules that a gateway reads at startup, such as ``user-lib/modules``."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.deployment.gateway.model import (
    NO_CONSENT,
    Consent,
    GatewayCapabilities,
    GatewayFacts,
    Installation,
    InstalledModule,
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
from ign_deploy.errors import ConfigurationError, DeploymentError, VerificationError
from ign_deploy.files import (
    LOCK_TIMEOUT,
    atomic_output,
    explain_os_error,
    locked,
    os_error_reason,
    sync_folder,
)
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.net.upload import UploadSource, read_source
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
        """Remove the module from modules.json, and its file, of which a copy is kept."""
        with lock_folder(self._folder):
            manifest = self._read_manifest()
            if manifest is not None and module_id in manifest.entries:
                self._write_manifest(manifest.without(module_id))
            for path, file in tuple(self._files()):
                if file.module_id == module_id:
                    keep_copy(path, self._folder / REPLACED)
                    remove_file(path)

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
        )

    def _require_own(self, target: Path, module_id: str) -> None:
        if not self._folder.is_dir():
            raise DeploymentError(
                f"the folder {self._folder} does not exist",
                hint="check the path of the modules folder.",
            )
        if not target.exists():
            return
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


_LOCK = ".ign-deploy.lock"
_BLOCK = 1 << 20


def put_module(source: UploadSource, target: Path) -> None:
    """Write a module's file; it appears under its name only if it is what was verified."""
    with _explained("write", target), _replacing(target) as output:
        for block in read_source(source, error=DeploymentError):
            output.write(block)


def put_file(source: Path, target: Path) -> None:
    """Copy a file; the target holds either the old or the new bytes at any moment."""
    with _explained("write", target), source.open("rb") as stream, _replacing(target) as output:
        shutil.copyfileobj(stream, output, _BLOCK)


def put_bytes(data: bytes, target: Path) -> None:
    """Write a file; it holds either the old or the new bytes at any moment."""
    with _explained("write", target), _replacing(target) as output:
        output.write(data)


def keep_copy(path: Path, folder: Path) -> Path:
    """Copy a file into the folder, named by its digest, and return the copy.

    The copy isn't named .modl, so that no gateway takes it for a module.
    """
    with _explained("keep a copy of", path):
        copy = folder / f"{path.name}.{_sha256(path)[:16]}.bak"
    if not copy.exists():
        put_file(path, copy)
    return copy


def has_content(path: Path, source: UploadSource) -> bool:
    """Return whether a file holds the bytes of a module."""
    with _explained("compare", path):
        return path.stat().st_size == source.size and _sha256(path) == source.sha256


def remove_file(path: Path) -> None:
    """Remove a file; it may already be gone."""
    with _explained("remove", path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


@contextmanager
def lock_folder(folder: Path, *, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Keep other runs out of the folder.

    Raises DeploymentError after ``timeout`` seconds, or when there are no locks.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / _LOCK, timeout=timeout))
        except TimeoutError:
            raise DeploymentError(
                f"{folder} is still locked by another run after {timeout:g} s",
                hint="wait for the other run to finish, then run again.",
            ) from None
        except OSError as cause:
            raise DeploymentError(
                f"cannot lock {folder}: {os_error_reason(cause)}",
                hint="give this user write access to the folder, on a file system with locks.",
            ) from cause
        yield


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Open the replacement of a file, with its mode and owner: the gateway must still write it."""
    reference = target if target.exists() else target.parent
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    with atomic_output(target, mode=mode, durable=True) as output:
        if reference.exists():
            owner = reference.stat()
            # Only root can change the owner; for other users it stays as it is.
            with suppress(PermissionError):
                os.fchown(output.fileno(), owner.st_uid, owner.st_gid)
        yield output


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _explained(action: str, path: Path) -> Iterator[None]:
    hint = "give this user write access to the folder, and free up space on its disk."
    with explain_os_error(action, path, error=DeploymentError, hint=hint):
        try:
            yield
        except ConfigurationError as problem:
            # The hint of atomic_output is about an option that has nothing to do with this folder.
            if isinstance(problem.__cause__, OSError):
                raise problem.__cause__ from None
            raise

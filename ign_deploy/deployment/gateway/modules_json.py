"""data/modules.json of 8.3: which module files a gateway loads, and what was accepted for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ign_deploy.deployment.gateway.module_file import ModuleFile
from ign_deploy.errors import DeploymentError
from ign_deploy.files import os_error_reason

ENABLED = "enabled"
_MAX_SIZE = 16 << 20


@dataclass(frozen=True, slots=True)
class ModulesJson:
    """The document: an object by module id; what we don't know in it stays as it is."""

    entries: Mapping[str, Any]

    def entry(self, module_id: str) -> Mapping[str, Any]:
        """Return a module's entry, empty when there is none."""
        found = self.entries.get(module_id)
        return found if isinstance(found, dict) else {}

    def file_name(self, module_id: str) -> str:
        """Return the file of a module: a plain name, or a path of the gateway's machine."""
        found = self.entry(module_id).get("filename")
        return found if isinstance(found, str) else ""

    def accepts_certificate(self, file: ModuleFile) -> bool:
        """Tell whether the signer of that very file is accepted."""
        known = self.entry(file.module_id).get("certFingerprint")
        return isinstance(known, str) and known.lower() == file.certificate_sha1

    def accepts_license(self, file: ModuleFile) -> bool:
        """Tell whether that very licence text is accepted, or there is none to accept."""
        if file.license_crc is None:
            return True
        known = self.entry(file.module_id).get("licenseAgreementHash")
        return not isinstance(known, bool) and str(known) == str(file.license_crc)

    def with_module(self, file: ModuleFile, *, file_name: str) -> ModulesJson:
        """Return the document with the module's entry for that file, accepted and enabled.

        What somebody else set in the entry is kept, a module that was disabled too.
        """
        entry = dict(self.entry(file.module_id))
        entry["filename"] = file_name
        entry.setdefault("onStartup", ENABLED)
        for key, value in (
            ("certFingerprint", file.certificate_sha1),
            ("licenseAgreementHash", file.license_crc),
        ):
            if value is None:
                entry.pop(key, None)
            else:
                entry[key] = value
        return ModulesJson({**self.entries, file.module_id: entry})

    def without(self, module_id: str) -> ModulesJson:
        """Return the document without that module."""
        return ModulesJson({key: self.entries[key] for key in self.entries if key != module_id})

    def to_bytes(self) -> bytes:
        """Return the document's bytes."""
        return json.dumps(self.entries, indent=2, ensure_ascii=False).encode() + b"\n"


def read_modules_json(path: Path) -> ModulesJson:
    """Read the file; one that isn't there is empty. Raises DeploymentError for a broken one."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_SIZE + 1)
        document = json.loads(data) if data.strip() else {}
    except FileNotFoundError:
        return ModulesJson({})
    except OSError as cause:
        raise DeploymentError(
            f"cannot read {path}: {os_error_reason(cause)}",
            hint="give this user read access to the gateway's data folder.",
        ) from cause
    except (ValueError, RecursionError) as cause:
        raise _broken(path) from cause
    if not isinstance(document, dict) or len(data) > _MAX_SIZE:
        raise _broken(path)
    return ModulesJson(document)


def _broken(path: Path) -> DeploymentError:
    return DeploymentError(
        f"{path} isn't a JSON object of modules; nothing was changed",
        hint="check the path, or mend the file: the gateway can't read it either.",
    )

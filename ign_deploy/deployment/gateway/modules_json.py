"""data/modules.json of 8.3: which module files a gateway loads, and what is accepted for them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ign_deploy.deployment.gateway.module_file import ModuleFile
from ign_deploy.errors import DeploymentError
from ign_deploy.files import open_regular, os_error_reason

ENABLED = "enabled"
_MAX_SIZE = 16 << 20
_FINGERPRINT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ModulesJson:
    """The document: an object by module id; unknown content is kept unchanged."""

    entries: Mapping[str, Any]

    def entry(self, module_id: str) -> Mapping[str, Any]:
        """Return a module's entry, empty if there is none."""
        found = self.entries.get(module_id)
        return found if isinstance(found, dict) else {}

    def file_name(self, module_id: str) -> str:
        """Return a module's file: a plain name, or a path on the gateway's machine."""
        found = self.entry(module_id).get("filename")
        return found if isinstance(found, str) else ""

    def certificate(self, module_id: str) -> str:
        """Return the SHA-1 fingerprint that is accepted for a module, empty for none."""
        known = self.entry(module_id).get("certFingerprint")
        found = known.lower() if isinstance(known, str) else ""
        return found if _FINGERPRINT.fullmatch(found) else ""

    def accepts_certificate(self, file: ModuleFile) -> bool:
        """Return whether the signer of exactly this file is accepted."""
        known = self.certificate(file.module_id)
        return bool(known) and known == file.certificate_sha1

    def accepts_license(self, file: ModuleFile) -> bool:
        """Return whether exactly this licence text is accepted, or there is none to accept."""
        if file.license_crc is None:
            return True
        known = self.entry(file.module_id).get("licenseAgreementHash")
        return not isinstance(known, bool) and str(known) == str(file.license_crc)

    def with_module(self, file: ModuleFile, *, file_name: str) -> ModulesJson:
        """Return the document with an entry for this file, accepted and enabled.

        Other values in the entry are kept, and so is a module's being disabled.
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
        """Return the document without this module."""
        return ModulesJson({key: self.entries[key] for key in self.entries if key != module_id})

    def to_bytes(self) -> bytes:
        """Return the document's bytes."""
        return json.dumps(self.entries, indent=2, ensure_ascii=False).encode() + b"\n"


def read_modules_json(path: Path) -> ModulesJson:
    """Read the file; a missing one is empty. Raises DeploymentError if it is not valid."""
    try:
        with os.fdopen(open_regular(path, follow_links=True), "rb") as stream:
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
        f"{path} is not a valid modules.json, expected a JSON object; nothing was changed",
        hint="check the path, or repair the file: the gateway can't read it either.",
    )

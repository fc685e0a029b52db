"""Releases for tests of repositories: records, verified modules and their files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.certificate_info import CertificateInfo
from ign_deploy.module.descriptor import Dependency, Hook, ModuleDescriptor
from ign_deploy.repositories.record import Release, make_release

PUBLISHED_AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

CERTIFICATE = CertificateInfo(
    subject="CN=Test Vendor",
    issuer="CN=Test Vendor",
    serial="1f",
    sha1="a" * 40,
    sha256="b" * 64,
    not_before=datetime(2020, 1, 1, tzinfo=UTC),
    not_after=datetime(2120, 1, 1, tzinfo=UTC),
    self_signed=True,
    key_type="RSA",
    key_bits=2048,
)


def release_fields(
    content: bytes = b"module", *, module_id: str = "com.acme.thing", version: str = "1.0.0"
) -> dict[str, Any]:
    """Return the fields of a record for a module of that content."""
    return {
        "schema_version": 1,
        "id": module_id,
        "name": "The Thing",
        "version": version,
        "required_ignition_version": "8.1.0",
        "certificate": {"subject": "CN=Test Vendor", "sha1": "a" * 40, "sha256": "b" * 64},
        "files": [
            {
                "name": f"{module_id}-{version}.modl",
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "role": "module",
            }
        ],
        "published_at": "2026-01-31T12:00:00Z",
    }


def release_of(
    folder: Path,
    *,
    content: bytes = b"module",
    module_id: str = "com.acme.thing",
    version: str = "1.0.0",
    **fields: object,
) -> tuple[Release, Mapping[str, Path]]:
    """Write a module file into the folder; return its record and the files to publish."""
    values = release_fields(content, module_id=module_id, version=version) | fields
    name = f"{module_id}-{version}.modl"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(content).hexdigest()[:8]}-{name}"
    if not path.exists():
        path.write_bytes(content)
    return make_release(**values), {name: path}


def verified_module(
    path: Path,
    *,
    module_id: str = "com.acme.thing",
    version: str = "1.0.0",
    name: str = "The Thing",
    certificate: CertificateInfo = CERTIFICATE,
    licence_crc: int | None = 7,
) -> VerifiedModule:
    """Return what ``verify`` would say of the file, whatever it holds."""
    content = path.read_bytes()
    return VerifiedModule(
        path=path,
        descriptor=ModuleDescriptor(
            id=module_id,
            name=name,
            version=version,
            description="Does things",
            required_ignition_version="8.1.0",
            hooks=(Hook("G", "com.acme.GatewayHook"), Hook("DC", "com.acme.DesignerHook")),
            depends=(Dependency("com.acme.base", "G", required=True),),
        ),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        certificate=certificate,
        licence_crc=licence_crc,
    )


def tree(root: Path) -> dict[str, bytes | None]:
    """Return every file's content and every folder (None) below the root, for comparison."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }

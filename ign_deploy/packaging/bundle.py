"""The distribution bundle: a .zip for people and air-gapped sites around the signed module."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ign_deploy import __version__
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import Bundle, VerifiedModule
from ign_deploy.module.packer import DosTime, Member, pack
from ign_deploy.module.stable_file import changed_error
from ign_deploy.packaging.sbom import write_sbom

_NOTICES = re.compile(r"(?:license|licence|notice|copying)(?:[._-][^/]*)?", re.IGNORECASE)
_MAX_TEXT = 16 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")


def write_bundle(
    module: VerifiedModule,
    *,
    output_dir: Path,
    notes: str = "",
    build: Mapping[str, str] | None = None,
    commit: str = "",
    timestamp: DosTime | None = None,
    redact: Callable[[str], str] = str,
) -> Bundle:
    """Write ``<id>-<version>.zip`` into ``output_dir``.

    It holds the signed module, SHA256SUMS, manifest.json, a CycloneDX SBOM, an in-toto provenance
    statement, licence and notices, the release notes and INSTALL.txt. Equal arguments give equal
    bytes. Only a verified module can be bundled, never an unsigned one. ``redact`` replaces secrets
    in every text.
    """
    stem = _UNSAFE.sub("_", f"{module.descriptor.id}-{module.descriptor.version}")
    with Archive.open(module.path) as archive:
        # Before anything is read out of it: another module's texts must not be bundled either.
        _require_verified(archive, module)
        files: dict[str, bytes] = {
            f"{stem}.cdx.json": write_sbom(module, archive),
            "manifest.json": _json(_manifest(module, f"{stem}.modl")),
            "provenance.json": _json(_provenance(module, f"{stem}.modl", build or {}, commit)),
            "INSTALL.txt": _install_text(module, f"{stem}.modl").encode(),
            **dict(_notices(archive, module.descriptor.license)),
        }
        if notes:
            files["RELEASE-NOTES.md"] = notes.encode()
        files = {name: _redacted(data, redact) for name, data in files.items()}
        files["SHA256SUMS"] = _checksums(module, f"{stem}.modl", files)
        members = [Member(f"{stem}/{name}", data) for name, data in files.items()]
        members.append(Member(f"{stem}/{stem}.modl", archive.file_blocks))
        output = output_dir / f"{stem}.zip"
        sha256, size = pack(members, output, timestamp=timestamp)
    return Bundle(output, sha256, size)


def _require_verified(archive: Archive, module: VerifiedModule) -> None:
    if archive.file_size() != module.size or archive.digest() != module.sha256:
        raise changed_error(archive.path)


def _redacted(data: bytes, redact: Callable[[str], str]) -> bytes:
    return redact(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _manifest(module: VerifiedModule, file: str) -> dict[str, Any]:
    descriptor = module.descriptor
    return {
        "id": descriptor.id,
        "name": descriptor.name,
        "version": descriptor.version,
        "description": descriptor.description,
        "required_ignition_version": descriptor.required_ignition_version,
        "required_framework_version": descriptor.required_framework_version,
        "free": descriptor.free_module,
        "depends": [dependency.module_id for dependency in descriptor.depends],
        "file": file,
        "sha256": module.sha256,
        "size": module.size,
        "certificate": module.certificate.as_dict(),
        "licence_crc": module.licence_crc,
    }


def _provenance(
    module: VerifiedModule, file: str, build: Mapping[str, str], commit: str
) -> dict[str, Any]:
    """Return an in-toto statement (v1) with a SLSA provenance predicate of what is known."""
    source = [{"uri": build.get("source", ""), "digest": {"gitCommit": commit}}] if commit else []
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file, "digest": {"sha256": module.sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:ign-deploy:module:v1",
                "externalParameters": {
                    "id": module.descriptor.id,
                    "version": module.descriptor.version,
                    **{name: build[name] for name in sorted(build)},
                },
                "resolvedDependencies": source,
            },
            "runDetails": {
                "builder": {
                    "id": "urn:ign-deploy:builder:v1",
                    "version": {"ign-deploy": __version__},
                },
                "metadata": {"invocationId": build.get("url", build.get("run", ""))},
            },
        },
    }


def _notices(archive: Archive, licence: str) -> Iterator[tuple[str, bytes]]:
    """Yield the licence and notice files at the module's root."""
    for entry in archive.entries:
        if "/" in entry.name or entry.size > _MAX_TEXT:
            continue
        if entry.name == licence or _NOTICES.fullmatch(entry.name):
            yield f"licence/{entry.name}", archive.read(entry, limit=_MAX_TEXT)


def _checksums(module: VerifiedModule, file: str, files: Mapping[str, bytes]) -> bytes:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    digests[file] = module.sha256
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def _install_text(module: VerifiedModule, file: str) -> str:
    descriptor, certificate = module.descriptor, module.certificate
    licence = (
        "It has no licence to accept."
        if module.licence_crc is None
        else f"Its licence has the CRC-32 {module.licence_crc}."
    )
    # A name with line breaks must not add instructions of its own.
    name = " ".join(descriptor.name.split())
    return f"""{name} {descriptor.version}

1. Check that the files are the published ones:   sha256sum -c SHA256SUMS
2. On the gateway's page Config > Modules, install {file}.
   It needs Ignition {descriptor.required_ignition_version} or a later release of that line.
3. The gateway shows the signer's certificate. Accept it only if it is this one:
     {certificate.subject}
     SHA-1   {certificate.sha1}
     SHA-256 {certificate.sha256}
   {licence}
"""

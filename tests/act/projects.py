"""Projects and secrets for workflows that act runs."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.support.builds import gradle_wrapper
from tests.support.github.server import JOB
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.modules import bare_folder, build_module

PASSWORD = 'a password that\'s "hidden"'
GATEWAY_TOKEN = "ci:s3cret"
MODULES = ("pump", "valve", "tank")


@cache
def secrets() -> dict[str, str]:
    """Return what the examples' secrets are; the same key everywhere."""
    key, certificate = self_signed()
    keystore = serialize_key_and_certificates(
        b"signer", key, certificate, None, BestAvailableEncryption(PASSWORD.encode())
    )
    return {
        "GITHUB_TOKEN": JOB,
        "GATEWAY_TOKEN": GATEWAY_TOKEN,
        "MODULE_REPOSITORY_TOKEN": JOB,
        "SIGNING_CERTIFICATE": pem_certificates(certificate).decode(),
        "SIGNING_KEY": pem_key(key, password=PASSWORD).decode(),
        "SIGNING_KEYSTORE": base64.b64encode(keystore).decode(),
        "SIGNING_PASSWORD": PASSWORD,
    }


def readable_secrets(log: str) -> list[str]:
    """Return the names of secrets that can be read in a log, whole or in one of their lines."""
    return [
        name
        for name, value in secrets().items()
        if name != "SIGNING_CERTIFICATE"
        for part in value.splitlines()
        if not part.startswith("-----") and part in log
    ]


def one_module(folder: Path, **texts: str | None) -> Path:
    """Make a project without build files, with those texts in its module.xml."""
    return bare_folder(folder, texts=texts)


def monorepo(folder: Path) -> Path:
    """Make three projects, of which the pump needs the valve."""
    for name in MODULES:
        extra = '<depends scope="G">com.example.valve</depends>' if name == "pump" else ""
        texts = {"id": f"com.example.{name}", "name": name.title()}
        bare_folder(folder / "modules" / name, texts=texts, extra=extra)
    return folder


def gradle_project(folder: Path, *lines: str) -> Path:
    """Make a project whose wrapper is a script: those lines, then it hands out a built module."""
    gradle_wrapper(folder, *lines, "mkdir -p build && cp built/pump.modl build/Pump.unsigned.modl")
    (folder / "gradlew").chmod(0o755)
    build_module(folder / "built" / "pump.modl")
    (folder / "docs").mkdir()
    (folder / "docs" / "release-notes.md").write_text("Fixes **everything**.\n")
    return folder

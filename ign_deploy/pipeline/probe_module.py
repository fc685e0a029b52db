"""The probe: a tiny module, made and signed on the spot, to try a gateway with.

It has one class, which does nothing. Its third version lacks that class, so a gateway can't start
it. The key is made for one run and removed at its end.
"""

from __future__ import annotations

import io
import struct
import zipfile
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape

from ign_deploy.deployment.conformance import PROBE_ID, PROBE_NAME, PROBE_VERSIONS
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.packer import Member, pack
from ign_deploy.report import SilentReporter
from ign_deploy.signing.generate import generate_certificate
from ign_deploy.signing.identity import IdentityMaterial, load_identity
from ign_deploy.signing.signer import read_unsigned, sign_module
from ign_deploy.signing.verifier import verify_module

_HOOK = "org.ign_deploy.probe.GatewayHook"
_SDK = "com/inductiveautomation/ignition"
_SUPER = f"{_SDK}/gateway/model/AbstractGatewayModuleHook"
# What the SDK requires of a gateway hook; all of them return at once.
_METHODS = (
    ("setup", f"(L{_SDK}/gateway/model/GatewayContext;)V"),
    ("startup", f"(L{_SDK}/common/licensing/LicenseState;)V"),
    ("shutdown", "()V"),
)
_LICENSE = b"<html><body>This module does nothing. Use it as you like.</body></html>\n"
_JAVA_11 = 55
_PUBLIC, _PUBLIC_SUPER = 0x0001, 0x0021


def make_probe_modules(
    folder: Path, *, line: tuple[int, int], now: datetime
) -> tuple[VerifiedModule, ...]:
    """Make all versions for an Ignition line such as 8.3, signed with a new key."""
    made = generate_certificate(
        common_name="ign-deploy conformance (throw-away)",
        organization="",
        days=30,
        key_size=3072,
        now=now,
        password=None,
        folder=folder,
    )
    identity = load_identity(
        IdentityMaterial(key=str(made.key), certificates=str(made.certificate))
    )
    modules = []
    for version in PROBE_VERSIONS:
        path = folder / f"probe-{version}.unsigned.modl"
        is_broken = version == PROBE_VERSIONS[-1]
        pack(_members(version, line=line, is_broken=is_broken), path)
        signed = sign_module(
            read_unsigned(path),
            identity=identity,
            output_dir=folder,
            now=now,
            reporter=SilentReporter(),
        )
        modules.append(verify_module(signed, now=now))
    return tuple(modules)


def _members(version: str, *, line: tuple[int, int], is_broken: bool) -> list[Member]:
    return [
        Member("module.xml", _descriptor(version, line)),
        Member("license.html", _LICENSE),
        Member("probe.jar", _jar(version, classes={} if is_broken else {_HOOK: hook_class()})),
    ]


def _descriptor(version: str, line: tuple[int, int]) -> bytes:
    texts = {
        "id": PROBE_ID,
        "name": PROBE_NAME,
        "version": version,
        "description": "Tries how a gateway answers; does nothing.",
        "license": "license.html",
        "requiredIgnitionVersion": f"{line[0]}.{line[1]}.0",
        "requiredFrameworkVersion": "8",
        "freeModule": "true",
        "vendorname": "ign-deploy",
    }
    lines = [f"<{name}>{escape(text)}</{name}>" for name, text in texts.items()]
    lines.append(f'<hook scope="G">{_HOOK}</hook>')
    lines.append('<jar scope="G">probe.jar</jar>')
    body = "\n".join(lines)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<modules><module>\n{body}\n</module></modules>\n'
    ).encode()


def _jar(version: str, *, classes: dict[str, bytes]) -> bytes:
    manifest = f"Manifest-Version: 1.0\r\nImplementation-Version: {version}\r\n\r\n"
    files = {"META-INF/MANIFEST.MF": manifest.encode()}
    files |= {f"{name.replace('.', '/')}.class": data for name, data in classes.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def hook_class() -> bytes:
    """Return the hook, compiled (JVM specification, chapter 4): a constructor and empty methods."""
    pool: list[bytes] = []

    def constant(data: bytes) -> int:
        if data not in pool:
            pool.append(data)
        return pool.index(data) + 1

    def utf8(text: str) -> int:
        return constant(b"\x01" + struct.pack(">H", len(text)) + text.encode())

    def class_of(name: str) -> int:
        return constant(b"\x07" + struct.pack(">H", utf8(name)))

    def method(name: str, descriptor: str, code: bytes, *, arguments: int) -> bytes:
        body = struct.pack(">HHI", 1, 1 + arguments, len(code)) + code + struct.pack(">HH", 0, 0)
        head = struct.pack(">HHHH", _PUBLIC, utf8(name), utf8(descriptor), 1)
        return head + struct.pack(">HI", utf8("Code"), len(body)) + body

    this, parent = class_of(_HOOK.replace(".", "/")), class_of(_SUPER)
    name_and_type = constant(b"\x0c" + struct.pack(">HH", utf8("<init>"), utf8("()V")))
    super_init = constant(b"\x0a" + struct.pack(">HH", parent, name_and_type))
    # aload_0, invokespecial the parent's constructor, return
    construct = b"\x2a\xb7" + struct.pack(">H", super_init) + b"\xb1"
    methods = [method("<init>", "()V", construct, arguments=0)]
    methods += [
        method(name, descriptor, b"\xb1", arguments=int(descriptor != "()V"))
        for name, descriptor in _METHODS
    ]
    head = struct.pack(">IHHH", 0xCAFEBABE, 0, _JAVA_11, len(pool) + 1) + b"".join(pool)
    return (
        head
        + struct.pack(">HHHHHH", _PUBLIC_SUPER, this, parent, 0, 0, len(methods))
        + b"".join(methods)
        + struct.pack(">H", 0)
    )

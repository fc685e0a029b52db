"""Verification detects every changed byte of a signed module's content."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.certificates import read_certificates
from ign_deploy.module.signature import (
    CERTIFICATES_NAME,
    SIGNATURE_FILES,
    SIGNATURES_NAME,
    needs_signature,
    parse_signatures,
)
from ign_deploy.signing.verdict import SignatureStatus
from ign_deploy.signing.verifier import inspect_signature
from tests.support.modules import build_module
from tests.support.signing import NOW, Content, chained_vendor, content, rewritten, signed_module


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    module = build_module(folder / "pump.unsigned.modl")
    return signed_module(module, output_dir=folder, identity=chained_vendor()).path


def is_sound(path: Path) -> bool:
    try:
        return inspect_signature(path, now=NOW).status is SignatureStatus.INTACT
    except VerificationError:
        return False


def signed_content(path: Path) -> Content:
    """Return what the signature covers, read by us: zipfile rejects what Java would read."""
    with Archive.open(path) as archive:
        return {
            entry.name: b"".join(archive.chunks(entry))
            for entry in archive.entries
            if needs_signature(entry)
        }


def meaning(path: Path) -> object:
    """Return the meaning of the two signature files, independent of their encoding."""
    files = content(path)
    lines = parse_signatures(files[SIGNATURES_NAME]).signatures
    return lines, read_certificates(files[CERTIFICATES_NAME])


def with_changed_byte(signed: Path, name: str, position: int) -> Path:
    """Rewrite the module, as a ZIP tool would, with one byte of one file changed."""

    def change(files: Content) -> Content:
        flipped = bytearray(files[name])
        flipped[position] ^= 0x01
        return {**files, name: bytes(flipped)}

    return rewritten(signed, change)


def test_every_single_byte_of_every_file_counts(signed: Path) -> None:
    for name, data in content(signed).items():
        is_signature = name in SIGNATURE_FILES
        for position in range(0, len(data), max(1, len(data) // 60) if is_signature else 1):
            path = with_changed_byte(signed, name, position)
            if is_signature and is_sound(path):
                # A comment, a line end, the unused bits of Base64, a container's empty field; or a
                # root whose own signature is broken, which leaves the chain incomplete: a warning.
                noticed = inspect_signature(path, now=NOW).findings != ()
                assert noticed or meaning(path) == meaning(signed), f"{name}, byte {position}"
            else:
                assert not is_sound(path), f"{name}, byte {position}"


@given(data=st.data())
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_changed_byte_of_the_file_is_detected_or_changes_no_content(
    signed: Path, data: st.DataObject
) -> None:
    """Bytes of the ZIP itself (times, attributes) aren't signed; content and names are."""
    original = signed.read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    bit = data.draw(st.integers(1, 255))
    path = signed.with_name("flipped.modl")
    flipped = bytearray(original)
    flipped[position] ^= bit
    path.write_bytes(flipped)
    if is_sound(path):
        assert signed_content(path) == signed_content(signed)

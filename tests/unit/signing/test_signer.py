"""Signing: what is written, what is kept, and what is refused."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, NetworkError, SigningError, VerificationError
from ign_deploy.module.certificates import read_certificates
from ign_deploy.module.findings import Severity
from ign_deploy.module.signature import CERTIFICATES_NAME, SIGNATURES_NAME, parse_signatures
from ign_deploy.module.stable_file import WrittenFile
from ign_deploy.report import SilentReporter
from ign_deploy.signing.identity import SigningIdentity
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.signer import (
    SignableFile,
    inspect_unsigned,
    read_unsigned,
    sign_file,
    sign_module,
    signed_name,
)
from ign_deploy.signing.verdict import SignatureStatus
from ign_deploy.signing.verifier import inspect_signature
from tests.support.identities import pem_certificates, pem_key, rsa_key, self_signed
from tests.support.modules import RawEntry, build_module, module_files, module_xml, write_zip
from tests.support.signing import NOW, chained_vendor, content, signed_module, vendor
from tests.support.signing_keys import ScriptedKey, Step, VirtualClock


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    return build_module(tmp_path / "in" / "pump.unsigned.modl")


def signed_file(path: Path, folder: Path) -> SignableFile:
    return sign_file(path, identity=vendor(), output_dir=folder, now=NOW, reporter=SilentReporter())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("pump.unsigned.modl", "pump.modl"),
        ("pump-unsigned.modl", "pump.modl"),
        ("pump.modl", "pump.modl"),
        ("pump", "pump.modl"),
        ("PUMP.MODL", "PUMP.modl"),
        ("pump.unsigned.unsigned.modl", "pump.modl"),
        ("pump-unsigned.Unsigned-UNSIGNED.modl", "pump.modl"),
        ("pump.unsigned.1.modl", "pump.unsigned.1.modl"),
        ("-unsigned.modl", "-unsigned.modl"),
        ("Pump.Unsigned.Modl", "Pump.modl"),
    ],
)
def test_the_signed_file_has_the_name_of_the_input_without_unsigned(
    given: str, expected: str
) -> None:
    assert signed_name(given) == expected


def test_a_signed_module_holds_the_same_files_and_two_more(unsigned: Path, tmp_path: Path) -> None:
    before = content(unsigned)
    after = content(signed_module(unsigned, output_dir=tmp_path / "out").path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {SIGNATURES_NAME, CERTIFICATES_NAME}


def test_a_signed_module_is_verified(unsigned: Path, tmp_path: Path) -> None:
    signed = signed_module(unsigned, output_dir=tmp_path / "out", identity=chained_vendor())
    report = inspect_signature(signed.path, now=NOW)
    assert report.status is SignatureStatus.INTACT
    assert [found for found in report.findings if found.severity is Severity.ERROR] == []
    assert len(report.certificates) == 3


def test_certificates_are_written_leaf_first(unsigned: Path, tmp_path: Path) -> None:
    identity = chained_vendor()
    signed = signed_module(unsigned, output_dir=tmp_path / "out", identity=identity)
    assert read_certificates(content(signed.path)[CERTIFICATES_NAME]) == identity.chain


def test_signing_twice_gives_the_same_bytes(
    unsigned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = signed_module(unsigned, output_dir=tmp_path / "one").path.read_bytes()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Pacific/Apia")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    os.utime(unsigned, (0, 0))
    second = signed_module(Path("in/pump.unsigned.modl"), output_dir=Path("two"))
    assert second.path.read_bytes() == first


def test_signing_a_signed_module_drops_the_old_signature(unsigned: Path, tmp_path: Path) -> None:
    once = signed_module(unsigned, output_dir=tmp_path / "one", identity=chained_vendor())
    again = signed_module(once.path, output_dir=tmp_path / "two")
    direct = signed_module(unsigned, output_dir=tmp_path / "three")
    assert again.path.read_bytes() == direct.path.read_bytes()


def test_the_input_is_never_written_over(tmp_path: Path) -> None:
    module = build_module(tmp_path / "pump.modl")
    before = module.read_bytes()
    with pytest.raises(SigningError, match="overwrite its input"):
        signed_module(module, output_dir=tmp_path)
    assert module.read_bytes() == before


def test_the_input_is_not_written_over_through_a_link(tmp_path: Path) -> None:
    module = build_module(tmp_path / "pump.modl")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(SigningError, match="overwrite its input"):
        signed_module(module, output_dir=tmp_path / "link")


def test_a_damaged_entry_leaves_no_output(tmp_path: Path) -> None:
    entries = [
        RawEntry("module.xml", module_xml()),
        RawEntry("pump.jar", b"jar", crc32=1),
    ]
    damaged = write_zip(tmp_path / "pump.unsigned.modl", entries)
    with pytest.raises(VerificationError, match=r"pump\.jar has CRC"):
        signed_module(damaged, output_dir=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failing_signing_leaves_the_earlier_output(tmp_path: Path) -> None:
    module = build_module(tmp_path / "pump.unsigned.modl")
    output = signed_module(module, output_dir=tmp_path / "out").path
    before = output.read_bytes()
    write_zip(module, [RawEntry("module.xml", module_xml()), RawEntry("x", b"x", crc32=1)])
    with pytest.raises(VerificationError):
        signed_module(module, output_dir=tmp_path / "out")
    assert output.read_bytes() == before


def test_an_output_folder_that_is_a_file_is_a_clear_error(unsigned: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot write") as caught:
        signed_module(unsigned, output_dir=tmp_path / "out")
    assert "--output-dir" in caught.value.hint


def test_a_module_without_descriptor_is_rejected(tmp_path: Path) -> None:
    bundle = write_zip(tmp_path / "bundle.zip", [RawEntry("readme.txt")])
    with pytest.raises(VerificationError, match=r"no module\.xml"):
        read_unsigned(bundle)


def test_names_beyond_ascii_are_signed_and_verified(tmp_path: Path) -> None:
    names = ["doc/Übersicht.html", "doc/漢字 =:#!.txt", "doc/\U0001f600.txt"]
    module = build_module(tmp_path / "pump.unsigned.modl", files=dict.fromkeys(names, b"text"))
    signed = signed_module(module, output_dir=tmp_path / "out")
    assert inspect_signature(signed.path, now=NOW).status is SignatureStatus.INTACT
    lines = content(signed.path)[SIGNATURES_NAME]
    assert lines.isascii()
    assert b"/doc/\\uD83D\\uDE00.txt=" in lines


def test_folders_are_kept_and_need_no_line(tmp_path: Path) -> None:
    entries = [
        RawEntry("module.xml", module_xml()),
        RawEntry("doc/", b"", method=0, mode=0o040755),
    ]
    module = write_zip(tmp_path / "pump.unsigned.modl", entries)
    signed = signed_module(module, output_dir=tmp_path / "out")
    assert "doc/" in content(signed.path)
    signatures = parse_signatures(content(signed.path)[SIGNATURES_NAME]).signatures
    assert [name.strip("/") for name in signatures] == ["module.xml"]
    assert inspect_signature(signed.path, now=NOW).status is SignatureStatus.INTACT


def test_data_descriptors_and_zip64_are_copied_right(tmp_path: Path) -> None:
    entries = [
        RawEntry("module.xml", module_xml(), descriptor="signed"),
        RawEntry("a.txt", b"a" * 5000, descriptor="plain"),
        RawEntry("b.txt", b"b" * 5000, descriptor="zip64"),
    ]
    module = write_zip(tmp_path / "pump.unsigned.modl", entries)
    signed = signed_module(module, output_dir=tmp_path / "out")
    with zipfile.ZipFile(signed.path) as archive:
        assert archive.testzip() is None
        assert archive.read("b.txt") == b"b" * 5000


def test_bytes_hidden_between_entries_are_not_copied(tmp_path: Path) -> None:
    entries = [RawEntry("module.xml", module_xml()), RawEntry("a.txt", b"a", gap=b"SECRET-GAP")]
    module = write_zip(tmp_path / "pump.unsigned.modl", entries)
    assert b"SECRET-GAP" in module.read_bytes()
    signed = signed_module(module, output_dir=tmp_path / "out")
    assert b"SECRET-GAP" not in signed.path.read_bytes()


def test_an_expired_certificate_is_a_warning(unsigned: Path, tmp_path: Path) -> None:
    from ign_deploy.signing.identity import IdentityMaterial, load_identity

    key, certificate = self_signed("Expired", not_after=NOW.replace(year=2025))
    identity = load_identity(
        IdentityMaterial(
            key=pem_key(key).decode(), certificates=pem_certificates(certificate).decode()
        )
    )
    signed = signed_module(unsigned, output_dir=tmp_path / "out", identity=identity)
    assert [(found.severity, "expired" in found.code) for found in signed.findings] == [
        (Severity.WARNING, True)
    ]
    assert inspect_signature(signed.path, now=NOW).status is SignatureStatus.INTACT


def test_a_file_is_signed_with_the_same_bytes_as_a_module(unsigned: Path, tmp_path: Path) -> None:
    one = signed_module(unsigned, output_dir=tmp_path / "one").path
    other = signed_file(unsigned, tmp_path / "other")
    assert other.path.read_bytes() == one.read_bytes()
    assert other.descriptor == inspect_unsigned(unsigned, output_dir=tmp_path / "out").descriptor


def test_a_module_that_was_replaced_is_not_signed(unsigned: Path, tmp_path: Path) -> None:
    module = read_unsigned(unsigned)
    build_module(unsigned, files={**module_files(), "other.txt": b"other"})
    with pytest.raises(VerificationError, match="changed while it was being checked"):
        sign_module(
            module,
            identity=vendor(),
            output_dir=tmp_path / "out",
            now=NOW,
            reporter=SilentReporter(),
        )
    assert not [*(tmp_path / "out").iterdir()]


@pytest.mark.parametrize(
    "sign",
    [
        lambda path, folder: signed_module(path, output_dir=folder),
        signed_file,
    ],
    ids=["module", "file"],
)
def test_an_output_that_another_process_writes_to_is_not_published(
    unsigned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sign: Callable[[Path, Path], object],
) -> None:
    written: list[Path] = []

    def overwrite(self: WrittenFile) -> list[tuple[int, int, bytes]]:
        for path in (tmp_path / "out").iterdir():
            written.append(path)
            with path.open("r+b") as stream:
                stream.write(b"other")
        return ordered_pieces(self)

    ordered_pieces = WrittenFile._ordered_pieces
    monkeypatch.setattr(WrittenFile, "_ordered_pieces", overwrite)
    with pytest.raises(VerificationError, match="changed while it was being written"):
        sign(unsigned, tmp_path / "out")
    assert written
    assert not [*(tmp_path / "out").iterdir()]


def test_progress_counts_every_copied_byte(unsigned: Path, tmp_path: Path) -> None:
    from contextlib import contextmanager

    from ign_deploy.report import Progress

    counted: list[int] = []
    totals: list[int] = []

    class Counting(SilentReporter):
        @contextmanager
        def progress(self, title: str, total: int) -> Iterator[Progress]:
            totals.append(total)

            def count(advance: int) -> None:
                counted.append(advance)

            yield count

    signed_module(unsigned, output_dir=tmp_path / "out", reporter=Counting())
    assert [sum(counted)] == totals


def test_signing_needs_no_more_than_the_identity(unsigned: Path, tmp_path: Path) -> None:
    signed = sign_module(
        read_unsigned(unsigned),
        identity=vendor(),
        output_dir=tmp_path,
        now=NOW,
        reporter=SilentReporter(),
    )
    assert signed.descriptor.id == "com.example.pump"


@pytest.mark.parametrize(
    "step",
    [
        lambda digests: FileKey(rsa_key("another")).sign_digests(digests),
        SigningError("not allowed any more"),
        NetworkError("the service is gone"),
    ],
)
def test_one_signature_that_fails_leaves_the_output_as_it_was(
    unsigned: Path, tmp_path: Path, step: Step
) -> None:
    key, certificate = self_signed()
    scripted = ScriptedKey(steps=[None, None, step], private_key=key)
    identity = SigningIdentity((certificate,), scripted.signer(VirtualClock()))
    output = tmp_path / "out" / "pump.modl"
    output.parent.mkdir()
    output.write_bytes(b"before")
    with pytest.raises((SigningError, NetworkError)):
        sign_file(
            unsigned,
            identity=identity,
            output_dir=output.parent,
            now=NOW,
            reporter=SilentReporter(),
        )
    assert [each.name for each in output.parent.iterdir()] == ["pump.modl"]
    assert output.read_bytes() == b"before"
    assert len(scripted.calls) == 3


def test_any_key_gives_the_bytes_of_a_key_from_a_file(unsigned: Path, tmp_path: Path) -> None:
    key, certificate = self_signed()
    elsewhere = ScriptedKey(batch_size=2, parallel=2, private_key=key)
    identity = SigningIdentity((certificate,), elsewhere.signer(VirtualClock()))
    made = [
        signed_module(unsigned, output_dir=tmp_path / name, identity=each).path.read_bytes()
        for name, each in (("a", identity), ("b", vendor()))
    ]
    assert made[0] == made[1]

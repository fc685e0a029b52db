"""The comparison of modules with Java and zipfile, over modules that are made here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from ign_deploy.module.signature import CERTIFICATES_NAME, SIGNATURES_NAME
from ign_deploy.signing import verifier
from tests.interop.compare_modules import compare, main
from tests.support.identities import chain, pem_certificates, self_signed
from tests.support.modules import RawEntry, build_module, module_files, write_zip
from tests.support.signing import VECTORS, Content, chained_vendor, rewritten, signed_module


def make_modules(folder: Path) -> dict[str, str]:
    """Make modules; return for each what the comparison has to say."""
    files = {"doc/Grüße.html": b"x", "doc/a b=c.html": b"y", "pump.jar.txt": b""}
    unsigned = build_module(folder / "unsigned.modl", files=files)
    plain = signed_module(unsigned, output_dir=folder / "plain").path
    chained = signed_module(unsigned, output_dir=folder / "chained", identity=chained_vendor()).path
    expected = {"unsigned.modl": "same", plain.name: "same", chained.name: "same"}
    entries = [
        RawEntry(name, data, descriptor=kind, flags=0x800)
        for kind, (name, data) in zip(
            ("signed", "plain", "zip64", "signed"), module_files().items(), strict=True
        )
    ]
    write_zip(folder / "streamed.modl", [*entries, RawEntry("doc/", b"", method=0)])
    write_zip(folder / "twice.modl", [*entries, entries[0]])
    (folder / "text.modl").write_text("not a module")
    shutil.copy(VECTORS / "peer-chain-der.modl", folder)
    expected |= {
        "streamed.modl": "same",
        "twice.modl": "stricter (entry-duplicate)",
        "text.modl": "same",
        "peer-chain-der.modl": "same",
    }
    return expected | _changed(folder, plain, chained)


def _changed(folder: Path, plain: Path, chained: Path) -> dict[str, str]:
    pem = pem_certificates(self_signed()[1])
    leaf, middle, root = chain()[1]
    cases: Mapping[str, tuple[Path, Content, str]] = {
        "content": (plain, {"pump.jar": b"x"}, "same"),
        "more": (plain, {"more.jar": b"x"}, "same"),
        "pem": (plain, {CERTIFICATES_NAME: pem}, "same"),
        "mark": (
            plain,
            {CERTIFICATES_NAME: b"\xef\xbb\xbf" + pem},
            "stricter (certificates-unreadable)",
        ),
        "order": (
            chained,
            {CERTIFICATES_NAME: pem_certificates(leaf, root, middle)},
            "stricter (chain-order)",
        ),
        "utf8": (plain, {}, "tolerant (signature-line-utf8)"),
    }
    for name, (path, changes, _) in cases.items():

        def change(files: Content, name: str = name, changes: Content = changes) -> Content:
            lines = files[SIGNATURES_NAME]
            if name == "utf8":
                lines = lines.replace(b"\\u00FC\\u00DF", "üß".encode())
            return {**files, SIGNATURES_NAME: lines, **changes}

        rewritten(path, change).rename(folder / f"{name}.modl")
    return {f"{name}.modl": text for name, (_, _, text) in cases.items()}


def test_all_readers_agree_on_modules_of_every_kind(tmp_path: Path) -> None:
    expected = make_modules(tmp_path)
    rows = compare(sorted(tmp_path.rglob("*.modl")))
    assert {row.path.name: row.inspected for row in rows} == expected
    assert {row.signed for row in rows} == {"", "same"}
    unsignable = {row.path.name for row in rows if not row.signed}
    assert unsignable == {"text.modl", "twice.modl"}


def test_a_fault_of_ours_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = signed_module(build_module(tmp_path / "in/pump.modl"), output_dir=tmp_path).path
    rewritten(signed, lambda files: {**files, "pump.jar": b"x"}).rename(tmp_path / "bad.modl")
    assert main([str(tmp_path)]) == 0
    monkeypatch.setattr(verifier, "check_lines", lambda *_, **__: [])
    assert main([str(tmp_path)]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "DIFFERENT" in line]
    assert line.startswith("DIFFERENT (intact ")
    assert line.endswith("bad.modl")


def test_nothing_to_compare_is_not_a_success(tmp_path: Path) -> None:
    assert main([]) == 2
    assert main([str(tmp_path)]) == 1

"""Verifying: every way in which a signature can fall short, named."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import SignedModule
from ign_deploy.module.certificates import write_certificates
from ign_deploy.module.findings import Severity, errors_among
from ign_deploy.module.signature import CERTIFICATES_NAME, SIGNATURES_NAME
from ign_deploy.module.trust_policy import TrustAnchor, TrustPolicy
from ign_deploy.signing import verifier
from ign_deploy.signing.coverage import hash_entries
from ign_deploy.signing.signer import read_unsigned
from ign_deploy.signing.verdict import SignatureStatus
from ign_deploy.signing.verifier import (
    VerificationReport,
    inspect_signature,
    verify_module,
)
from tests.support.identities import chain, pem_certificates, pem_key, rsa_key, self_signed
from tests.support.mapped_writer import mapped_writer
from tests.support.modules import build_module
from tests.support.signing import NOW, Content, chained_vendor, content, rewritten, signed_module


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    module = build_module(tmp_path / "pump.unsigned.modl")
    return signed_module(module, output_dir=tmp_path, identity=chained_vendor()).path


def problems(path: Path, *, now: dt.datetime = NOW) -> list[tuple[str, str]]:
    report = inspect_signature(path, now=now)
    found = errors_among(report.findings)
    assert report.status.is_good == (not found)
    return [(finding.code, finding.location) for finding in found]


def policy(*anchors: x509.Certificate) -> TrustPolicy:
    return TrustPolicy(tuple(TrustAnchor("root.pem", each) for each in anchors))


def without(data: bytes, part: bytes) -> bytes:
    return b"".join(line for line in data.splitlines(keepends=True) if part not in line)


def test_an_unsigned_module_is_recognised(tmp_path: Path) -> None:
    module = build_module(tmp_path / "pump.modl")
    assert inspect_signature(module, now=NOW).status is SignatureStatus.UNSIGNED


def test_a_signed_module_tells_its_fingerprints(signed: Path) -> None:
    report = inspect_signature(signed, now=NOW)
    leaf = chained_vendor().leaf
    from cryptography.hazmat.primitives import hashes

    assert report.certificates[0].sha1 == leaf.fingerprint(hashes.SHA1()).hex()
    assert report.certificates[0].sha256 == leaf.fingerprint(hashes.SHA256()).hex()
    assert report.licence_crc == zlib.crc32(content(signed)["license.html"])


def test_a_changed_file_is_named(signed: Path) -> None:
    changed = rewritten(signed, lambda files: {**files, "pump.jar": files["pump.jar"] + b"x"})
    assert problems(changed) == [("signature-bad", "pump.jar")]


def test_an_added_file_is_named(signed: Path) -> None:
    added = rewritten(signed, lambda files: {**files, "evil.jar": b"x"})
    assert problems(added) == [("signature-line-missing", "evil.jar")]


def test_a_removed_file_is_named(signed: Path) -> None:
    removed = rewritten(
        signed, lambda files: {name: files[name] for name in files if name != "license.html"}
    )
    assert problems(removed) == [("signature-line-orphan", "license.html")]


def test_a_missing_line_is_named(signed: Path) -> None:
    def change(files: Content) -> Content:
        return {**files, SIGNATURES_NAME: without(files[SIGNATURES_NAME], b"/pump.jar=")}

    assert problems(rewritten(signed, change)) == [("signature-line-missing", "pump.jar")]


def test_stale_lines_of_an_earlier_signing_are_named(signed: Path) -> None:
    def change(files: Content) -> Content:
        stale = b"/signatures.properties=AAAA\n/certificates.p7b=AAAA\n"
        return {**files, SIGNATURES_NAME: files[SIGNATURES_NAME] + stale}

    assert problems(rewritten(signed, change)) == [
        ("signature-self-line", SIGNATURES_NAME),
        ("signature-self-line", CERTIFICATES_NAME),
    ]


def test_swapped_names_are_noticed(signed: Path) -> None:
    def change(files: Content) -> Content:
        return {
            **files,
            "license.html": files["doc/index.html"],
            "doc/index.html": files["license.html"],
        }

    assert problems(rewritten(signed, change)) == [
        ("signature-bad", "doc/index.html"),
        ("signature-bad", "license.html"),
    ]


@pytest.mark.parametrize("missing", [SIGNATURES_NAME, CERTIFICATES_NAME])
def test_half_a_signature_is_named(signed: Path, missing: str) -> None:
    half = rewritten(signed, lambda files: {n: files[n] for n in files if n != missing})
    assert problems(half) == [("signature-incomplete", missing)]


def test_a_line_that_is_not_base64_is_named(signed: Path) -> None:
    def change(files: Content) -> Content:
        lines = files[SIGNATURES_NAME].replace(b"/pump.jar=", b"/pump.jar=!")
        return {**files, SIGNATURES_NAME: lines}

    assert problems(rewritten(signed, change)) == [("signature-base64", "pump.jar")]


def test_a_repeated_line_is_named(signed: Path) -> None:
    def change(files: Content) -> Content:
        return {**files, SIGNATURES_NAME: files[SIGNATURES_NAME] + b"/pump.jar=AAAA\n"}

    assert problems(rewritten(signed, change)) == [("signature-line-repeated", "pump.jar")]


@pytest.fixture
def umlaut(tmp_path: Path) -> Path:
    """Return a signed module with a name that vendors' signers may write as it is."""
    unsigned = build_module(tmp_path / "in/pump.modl", files={"doc/Grüße.html": b"x"})
    return signed_module(unsigned, output_dir=tmp_path).path


def as_utf8(files: Content) -> Content:
    lines = files[SIGNATURES_NAME].replace(b"\\u00FC\\u00DF", "üß".encode())
    assert "Grüße".encode() in lines
    return {**files, SIGNATURES_NAME: lines}


def test_a_name_that_was_signed_as_utf8_is_a_warning(umlaut: Path) -> None:
    path = rewritten(umlaut, as_utf8)
    report = inspect_signature(path, now=NOW)
    assert report.status is SignatureStatus.INTACT
    (finding,) = report.findings
    assert (finding.code, finding.location) == ("signature-line-utf8", "doc/Grüße.html")


@pytest.mark.parametrize("marks", ["??", "????"], ids=["per letter", "per byte"])
def test_a_name_that_was_signed_without_its_letters_is_explained(umlaut: Path, marks: str) -> None:
    """What Java makes of a name under LANG=C."""

    def change(files: Content) -> Content:
        lines = files[SIGNATURES_NAME].replace(b"\\u00FC\\u00DF", marks.encode())
        assert f"/doc/Gr{marks}e.html".encode() in lines
        return {**files, SIGNATURES_NAME: lines}

    (finding,) = inspect_signature(rewritten(umlaut, change), now=NOW).findings
    assert (finding.code, finding.location) == ("signature-line-missing", "doc/Grüße.html")
    assert finding.severity is Severity.ERROR
    assert f"doc/Gr{marks}e.html" in finding.message
    assert "LANG=C" in finding.message
    assert "LC_ALL=C.UTF-8" in finding.hint


def test_a_line_with_a_question_mark_in_a_plain_name_is_for_a_file_that_is_missing(
    umlaut: Path,
) -> None:
    def change(files: Content) -> Content:
        return {**files, SIGNATURES_NAME: files[SIGNATURES_NAME].replace(b"pump.jar", b"p?mp.jar")}

    codes = {code for code, _ in problems(rewritten(umlaut, change))}
    assert codes == {"signature-line-missing", "signature-line-orphan"}


def test_a_changed_file_whose_name_was_signed_as_utf8_is_named(umlaut: Path) -> None:
    path = rewritten(umlaut, lambda files: as_utf8({**files, "doc/Grüße.html": b"y"}))
    assert problems(path) == [("signature-bad", "doc/Grüße.html")]


def test_a_line_is_read_as_java_does_where_that_fits(umlaut: Path) -> None:
    """Of two files, the one with the name that Java reads has the line."""
    misread = "doc/Grüße.html".encode().decode("latin-1")
    path = rewritten(umlaut, lambda files: as_utf8({**files, misread: files["doc/Grüße.html"]}))
    assert problems(path) == [("signature-line-missing", "doc/Grüße.html")]


def test_a_removed_file_whose_name_was_signed_as_utf8_is_named(umlaut: Path) -> None:
    def change(files: Content) -> Content:
        return {name: data for name, data in as_utf8(files).items() if name != "doc/Grüße.html"}

    ((code, _),) = problems(rewritten(umlaut, change))
    assert code == "signature-line-orphan"


def test_a_signature_of_before_ignition_7_8_is_said(tmp_path: Path) -> None:
    path = build_module(tmp_path / "pump.modl", files={"module-signatures": b"x"})
    report = inspect_signature(path, now=NOW)
    assert report.status is SignatureStatus.UNSIGNED
    assert [finding.code for finding in report.findings] == ["signature-old"]
    # It is content like any other: signing covers it, and whoever changes it is noticed.
    signed = signed_module(path, output_dir=tmp_path / "signed").path
    assert inspect_signature(signed, now=NOW).status is SignatureStatus.INTACT
    changed = rewritten(signed, lambda files: {**files, "module-signatures": b"y"})
    assert ("signature-bad", "module-signatures") in problems(changed)


def test_a_malformed_escape_is_an_error_not_a_crash(signed: Path) -> None:
    def change(files: Content) -> Content:
        return {**files, SIGNATURES_NAME: b"\\u12 = x\n" + files[SIGNATURES_NAME]}

    assert ("signature-syntax", SIGNATURES_NAME) in problems(rewritten(signed, change))


def test_a_chain_with_the_root_first_is_named(signed: Path) -> None:
    def change(files: Content) -> Content:
        reverse = write_certificates(tuple(reversed(chained_vendor().chain)))
        return {**files, CERTIFICATES_NAME: reverse}

    codes = [code for code, _ in problems(rewritten(signed, change))]
    assert codes[0] == "leaf-not-signer"
    assert "chain-order" in codes


def test_a_untrusted_certificate_is_named(signed: Path) -> None:
    def change(files: Content) -> Content:
        return {**files, CERTIFICATES_NAME: write_certificates((self_signed("Other")[1],))}

    assert problems(rewritten(signed, change)) == [("leaf-not-signer", CERTIFICATES_NAME)]


def test_an_incomplete_chain_is_reported(signed: Path) -> None:
    def change(files: Content) -> Content:
        return {**files, CERTIFICATES_NAME: write_certificates(chain()[1][:1])}

    report = inspect_signature(rewritten(signed, change), now=NOW)
    assert "chain-incomplete" in [finding.code for finding in report.findings]


def test_a_shipped_private_key_is_named(signed: Path) -> None:
    def change(files: Content) -> Content:
        key, (leaf, *_) = chain()
        from cryptography.hazmat.primitives.serialization import Encoding

        return {**files, CERTIFICATES_NAME: leaf.public_bytes(Encoding.PEM) + pem_key(key)}

    assert ("private-key-shipped", CERTIFICATES_NAME) in problems(rewritten(signed, change))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pem: b"\xef\xbb\xbf" + pem,
        lambda pem: b"  " + pem,
        lambda pem: pem.replace(b"\n", b""),
    ],
    ids=["byte order mark", "indented", "one line"],
)
def test_certificates_that_only_tolerant_readers_understand_are_invalid(
    signed: Path, spoil: Callable[[bytes], bytes]
) -> None:
    data = spoil(pem_certificates(self_signed()[1]))
    path = rewritten(signed, lambda files: {**files, CERTIFICATES_NAME: data})
    report = inspect_signature(path, now=NOW)
    assert report.status is SignatureStatus.INVALID
    assert "INVALID SIGNATURE: Java can't read certificates.p7b" in report.verdict


@pytest.mark.parametrize("more", [b"\0" * 5, b"\n", b"junk"])
def test_what_follows_the_certificates_does_not_matter(signed: Path, more: bytes) -> None:
    path = rewritten(
        signed, lambda files: {**files, CERTIFICATES_NAME: files[CERTIFICATES_NAME] + more}
    )
    assert inspect_signature(path, now=NOW).status is SignatureStatus.INTACT


def test_unreadable_certificates_are_named(signed: Path) -> None:
    changed = rewritten(signed, lambda files: {**files, CERTIFICATES_NAME: b"nothing"})
    assert [location for _, location in problems(changed)] == [CERTIFICATES_NAME]


@pytest.mark.parametrize(("year", "code"), [(1999, "not-yet-valid"), (2299, "expired")])
def test_a_certificate_outside_its_time_is_a_finding(signed: Path, year: int, code: str) -> None:
    """No error: no gateway is known to reject it, and certificates of old modules expire."""
    report = inspect_signature(signed, now=NOW.replace(year=year))
    assert {finding.code for finding in report.findings} == {code}
    assert report.status is SignatureStatus.INTACT


class TestTrustAnchor:
    def inspect_signature(self, signed: Path, *anchors: int) -> VerificationReport:
        certificates = chain()[1]
        return inspect_signature(signed, now=NOW, trust=policy(*(certificates[i] for i in anchors)))

    @pytest.mark.parametrize("anchor", [0, 1, 2])
    def test_every_certificate_of_the_chain_may_be_the_anchor(
        self, signed: Path, anchor: int
    ) -> None:
        report = self.inspect_signature(signed, anchor)
        assert report.status is SignatureStatus.TRUSTED
        assert report.anchor == "root.pem"

    def test_another_root_of_the_same_name_is_not_reached(self, signed: Path) -> None:
        _, impostor = self_signed("Test Root", key=rsa_key("impostor"))
        report = inspect_signature(signed, now=NOW, trust=policy(impostor))
        assert [finding.code for finding in errors_among(report.findings)] == ["trust-anchor"]

    def test_an_anchor_that_the_module_does_not_ship_is_reached(self, signed: Path) -> None:
        certificates = chain()[1]
        shortened = rewritten(
            signed,
            lambda files: {**files, CERTIFICATES_NAME: write_certificates(certificates[:2])},
        )
        report = inspect_signature(shortened, now=NOW, trust=policy(certificates[2]))
        assert report.status is SignatureStatus.TRUSTED


def as_written(path: Path) -> SignedModule:
    """Return a module as its signer left it."""
    module = read_unsigned(path)
    return SignedModule(path, module.descriptor, module.sha256)


def test_only_a_sound_signature_makes_a_verified_module(signed: Path, tmp_path: Path) -> None:

    verified = verify_module(as_written(signed), now=NOW)
    assert verified.sha256 == hashlib.sha256(signed.read_bytes()).hexdigest()
    assert verified.size == signed.stat().st_size
    changed = rewritten(signed, lambda files: {**files, "evil.jar": b"x"})
    with pytest.raises(VerificationError, match=r"evil\.jar isn't covered"):
        verify_module(as_written(changed), now=NOW)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def after_its_content_was_read(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    def hash_then_act(archive: Archive) -> Any:
        result = hash_entries(archive)
        act()
        return result

    monkeypatch.setattr(verifier, "hash_entries", hash_then_act)


def twins(folder: Path) -> tuple[Path, Path]:
    """Make two files of the same size: a signed module, and one with another jar in it."""
    files = {"large.jar": Random(1).randbytes(300_000)}
    unsigned = build_module(folder / "twin.unsigned.modl", files=files)
    signed = signed_module(unsigned, output_dir=folder).path
    evil = folder / "evil.modl"
    data = bytearray(signed.read_bytes())
    data[data.index(files["large.jar"][1000:2000])] ^= 1
    evil.write_bytes(data)
    return signed, evil


def test_a_file_that_changes_while_it_is_verified_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evil file, which goes on to a gateway, has the signed content while that is checked."""
    good, evil = twins(tmp_path)
    target = tmp_path / "target.modl"
    target.write_bytes(evil.read_bytes())
    with mapped_writer(target, good, evil) as attacker:
        module = replace(as_written(good), path=target, sha256=sha256_of(evil))
        attacker.write(0)
        after_its_content_was_read(monkeypatch, lambda: attacker.write(1))
        with pytest.raises(VerificationError, match="changed while it was being checked"):
            verify_module(module, now=NOW)


def test_a_file_that_flips_all_the_time_is_never_verified_as_another_one(tmp_path: Path) -> None:
    good, evil = twins(tmp_path)
    target = tmp_path / "target.modl"
    target.write_bytes(good.read_bytes())
    checked = [
        replace(as_written(good), path=target, sha256=sha256_of(each)) for each in (good, evil)
    ]
    with mapped_writer(target, good, evil) as attacker:
        attacker.flip()
        for module in checked * 20:
            with suppress(VerificationError):
                assert verify_module(module, now=NOW).sha256 == sha256_of(good)


def test_a_file_that_is_replaced_while_it_is_verified_is_still_the_opened_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends it compares what the path names with the digest."""
    good, evil = twins(tmp_path)
    module = as_written(good)
    after_its_content_was_read(monkeypatch, lambda: shutil.move(evil, good))
    assert verify_module(module, now=NOW).sha256 == module.sha256


def test_another_module_than_the_one_that_was_checked_is_refused(
    signed: Path, tmp_path: Path
) -> None:
    checked = replace(as_written(signed), sha256="0" * 64)
    with pytest.raises(VerificationError, match="changed while it was being checked"):
        verify_module(checked, now=NOW)


def test_an_unsigned_module_is_never_verified(tmp_path: Path) -> None:

    module = build_module(tmp_path / "pump.modl")
    with pytest.raises(VerificationError, match="is not signed"):
        verify_module(as_written(module), now=NOW)

"""What a gateway read is compared with what was verified, in every form that it may take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ign_deploy.deployment.gateway import Consent, InstalledModule, ModuleCertificate, parse_shown
from ign_deploy.deployment.gateway.comparison import (
    InstalledAs,
    installation_differences,
    listing_differences,
    signer_differences,
)
from ign_deploy.deployment.gateway.errors import ModuleMismatch
from ign_deploy.module.artifacts import VerifiedModule
from tests.support.gateway import Gateway
from tests.support.gateway.client import MODULE_ID, attacker, client_of, modl, verified
from tests.support.gateway.modl import read_modl

ALL = Consent(certificate=True, license=True)
SUBJECT = r"CN=Pump Works\, Inc.,O=Pump  Works,C=DE"
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def module(tmp_path: Path) -> VerifiedModule:
    """A module of 1.0.0 whose certificate says what the tests below say differently."""
    module = verified(modl(tmp_path))
    certificate = replace(
        module.certificate, subject=SUBJECT, issuer=SUBJECT, serial="1f", not_before=BEGIN
    )
    return replace(module, certificate=certificate)


def shown(
    subject: str = "", issuer: str = "", serial: str = "", not_before: str = ""
) -> ModuleCertificate:
    return ModuleCertificate(subject, issuer, serial, None, not_before, "")


@pytest.mark.parametrize(
    "same",
    [
        shown(),
        shown(SUBJECT, SUBJECT, "1f", "2026-01-02T03:04:05Z"),
        shown('C=DE, O=Pump Works, CN="Pump Works, Inc."'),
        shown("c=de,o=pump works,cn=pump works\\, inc."),
        shown("CN=Pump Works\\2C Inc.+C=DE,O=#0c0a50756d7020576f726b73"),
        shown("Pump Works, Inc."),
        shown(serial="31"),
        shown(serial="0x1F"),
        shown(serial="00:1f"),
        shown(serial="no idea"),
        shown(not_before="1767323045000"),
        shown(not_before="1767323045"),
        shown(not_before="2026-01-02T04:04:05.000+01:00"),
        shown(not_before="Fri Jan 02 03:04:05 UTC 2026"),
        shown(not_before="2026-01-02"),
        shown(not_before="9" * 30),
    ],
)
def test_every_form_of_the_same_certificate_is_recognised(
    module: VerifiedModule, same: ModuleCertificate
) -> None:
    assert signer_differences(module, same) == ()


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (None, "the signer"),
        (shown("CN=Attacker,O=Pump Works,C=DE"), "the signer"),
        (shown(SUBJECT + ",OU=More"), "the signer"),
        (shown("Attacker"), "the signer"),
        (shown(issuer="CN=Attacker"), "the signer's issuer"),
        (shown(serial="32"), "the serial number"),
        (shown(serial="1e"), "the serial number"),
        (shown(not_before="2026-01-02T03:04:06Z"), "the beginning of the certificate's validity"),
        (shown(not_before="1767323046000"), "the beginning of the certificate's validity"),
    ],
)
def test_another_certificate_is_a_difference(
    module: VerifiedModule, other: ModuleCertificate | None, what: str
) -> None:
    assert [each.what for each in signer_differences(module, other)] == [what]


def test_fingerprint_and_licence_are_compared_where_the_response_has_them(
    module: VerifiedModule,
) -> None:
    sha1, sha256, crc = module.certificate.sha1, module.certificate.sha256, module.licence_crc
    assert crc is not None
    colons = ":".join(sha1[at : at + 2] for at in range(0, 40, 2)).upper()
    for fingerprint in ("", sha1, colons, sha256, "unknown form"):
        for number in (None, crc, crc - (1 << 32)):
            found = InstalledAs(fingerprint, number, "1.0.0 (b0)")
            assert installation_differences(module, found, before=None) == ()
    for found, what in (
        (InstalledAs("0" * 40), "the certificate's fingerprint"),
        (InstalledAs("0" * 64), "the certificate's fingerprint"),
        (InstalledAs(license_hash=crc + 1), "the licence's CRC"),
        (InstalledAs(license_hash=0), "the licence's CRC"),
        (InstalledAs(version="6.6.6"), "the version"),
    ):
        assert [each.what for each in installation_differences(module, found, before=None)] == [
            what
        ]
    free = replace(module, licence_crc=None)
    assert installation_differences(free, InstalledAs(license_hash=0), before=None) == ()
    assert installation_differences(free, InstalledAs(license_hash=1), before=None) != ()


def listed(version: str, name: str = "Pump", quarantined: str = "") -> InstalledModule:
    return InstalledModule(
        MODULE_ID,
        name,
        parse_shown(version),
        quarantined_version=parse_shown(quarantined) if quarantined else None,
    )


def test_a_listing_may_show_the_old_or_the_new_version_and_no_other(module: VerifiedModule) -> None:
    old = listed("0.9.0 (b0)", "Old Pump")
    for now in (None, old, listed("1.0.0 (b0)"), listed("0.9.0", "Old Pump", "1.0.0 (b0)")):
        assert listing_differences(module, now, before=old) == ()
    for now, before, what in (
        (listed("6.6.6"), None, "the version"),
        (old, None, "the version"),
        (listed("6.6.6"), old, "the version"),
        (listed("0.9.0", "Old Pump", "6.6.6"), old, "the version"),
        (listed("1.0.0", "Attacker's"), None, "the name"),
        (listed("1.0.0", "Attacker's"), old, "the name"),
    ):
        assert [each.what for each in listing_differences(module, now, before=before)] == [what]


@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_a_gateway_that_reads_another_signer_accepts_nothing(
    gateway: Gateway, tmp_path: Path, upgrade: bool, signed: bool
) -> None:
    if upgrade:
        gateway.have(modl(tmp_path, "0.9.0"))
    accepted = set(gateway.state.accepted_certificates)
    evil = modl(tmp_path / "evil", identity=attacker(), signed=signed)
    gateway.options.reads_as[MODULE_ID] = read_modl(evil, file_name="")
    module = verified(modl(tmp_path))
    client = client_of(gateway)
    with pytest.raises(ModuleMismatch) as raised:
        client.install(client.upload(module, file_name="pump.modl"), consent=ALL)
    message = f"{raised.value.message} {raised.value.hint}"
    assert "the signer is 'CN=Attacker'" in message or not signed
    assert "the signer is missing" in message or signed
    assert "expected 'CN=Test Vendor'" in message
    assert "don't accept" in message
    assert "--accept" not in message
    assert gateway.state.accepted_certificates == accepted
    assert gateway.asked("modules/install") == 0
    assert gateway.state.quarantined.get(MODULE_ID) is None


def test_an_unsigned_reading_is_noticed_also_where_all_unsigned_modules_are_accepted(
    gateway: Gateway, tmp_path: Path
) -> None:
    """The gateway reports that nothing needs to be accepted, and shows another certificate."""
    evil = modl(tmp_path / "evil", identity=attacker())
    gateway.have(evil)
    gateway.options.reads_as[MODULE_ID] = read_modl(evil, file_name="")
    with pytest.raises(ModuleMismatch, match="CN=Attacker"):
        client_of(gateway).upload(verified(modl(tmp_path)), file_name="pump.modl")


@pytest.mark.parametrize("version", ["8.3.4", "8.3.8"])
def test_a_gateway_that_installs_another_version_is_noticed_before_the_restart(
    gateway: Gateway, tmp_path: Path, version: str
) -> None:
    """The old form of the response has no fingerprint: the listing shows it."""
    gateway.options.version = version
    evil = modl(tmp_path / "evil", "6.6.6")
    gateway.options.installs_as[MODULE_ID] = read_modl(evil, file_name="pump.modl")
    client = client_of(gateway)
    upload = client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    with pytest.raises(ModuleMismatch, match=r"the version is '6\.6\.6"):
        client.install(upload, consent=ALL)
    assert gateway.state.restarts == 0


def test_a_gateway_that_installs_another_signers_module_is_noticed_before_the_restart(
    gateway: Gateway, tmp_path: Path
) -> None:
    evil = modl(tmp_path / "evil", identity=attacker(), license_text=b"Pay.")
    gateway.options.installs_as[MODULE_ID] = read_modl(evil, file_name="pump.modl")
    client = client_of(gateway)
    upload = client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    with pytest.raises(ModuleMismatch, match=r"fingerprint is .*, the licence's CRC is "):
        client.install(upload, consent=ALL)
    assert gateway.state.restarts == 0

"""Trust: from a signer to a certificate that a person named, by the rules of RFC 5280."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from ign_deploy.module.certificates import chain_problems, describe
from ign_deploy.module.findings import errors_among
from ign_deploy.module.trust import Trust, check_trust
from ign_deploy.module.trust_policy import TrustAnchor, TrustPolicy
from tests.support.identities import NOT_BEFORE, rsa_key, self_signed
from tests.support.paths import CODE, Link, make_path

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
EARLY = NOW - dt.timedelta(days=1)
SIGNER = Link("Signer", authority=False, signs_data=True, purposes=CODE)
MIDDLE = Link("Middle", signs_certificates=True)
ROOT = Link("Root", signs_certificates=True)
Certificates = tuple[x509.Certificate, ...]


def check(
    certificates: Certificates, anchor: x509.Certificate, *, allow_expired: bool = False
) -> Trust:
    policy = TrustPolicy((TrustAnchor("root.pem", anchor),), allow_expired)
    return check_trust(certificates, policy, now=NOW)


def codes(trust: Trust) -> list[str]:
    return [finding.code for finding in errors_among(trust.findings)]


@pytest.mark.parametrize("shipped", [1, 2, 3])
def test_a_valid_path_leads_to_its_anchor(shipped: int) -> None:
    """However much of the chain the module ships, as long as the anchor issued its end."""
    path = make_path((SIGNER, MIDDLE, ROOT))
    anchor = path[min(shipped, 2)]
    assert check(path[:shipped], anchor) == Trust("root.pem", ())


def test_usages_and_purposes_may_be_absent() -> None:
    links = [replace(each, signs_data=None, signs_certificates=None, purposes=()) for each in
             (SIGNER, MIDDLE, ROOT)]  # fmt: skip
    path = make_path(links)
    assert check(path, path[-1]).anchor == "root.pem"


SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
ONLY_EXAMPLE = x509.NameConstraints([x509.DNSName("example.com")], None)
SHA1, MD5 = hashes.SHA1(), hashes.MD5()
DEFECTS = {
    "a signer for TLS servers": (replace(SIGNER, purposes=SERVER), MIDDLE, ROOT),
    "a signer that may not sign data": (replace(SIGNER, signs_data=False), MIDDLE, ROOT),
    "an issuer for TLS servers": (SIGNER, replace(MIDDLE, purposes=SERVER), ROOT),
    "an issuer that is not a CA": (SIGNER, replace(MIDDLE, authority=False), ROOT),
    "an issuer without keyCertSign": (SIGNER, replace(MIDDLE, signs_certificates=False), ROOT),
    "an anchor without keyCertSign": (SIGNER, MIDDLE, replace(ROOT, signs_certificates=False)),
    "an exceeded path length": (SIGNER, MIDDLE, replace(ROOT, path_length=0)),
    "a forbidden name": (
        replace(SIGNER, names=[x509.DNSName("evil.test")]),
        replace(MIDDLE, constraints=ONLY_EXAMPLE),
        ROOT,
    ),
    "a signer's certificate with a SHA-1 signature": (
        replace(SIGNER, hash_algorithm=SHA1),
        MIDDLE,
        ROOT,
    ),
    "a signer's certificate with an MD5 signature": (
        replace(SIGNER, hash_algorithm=MD5),
        MIDDLE,
        ROOT,
    ),
    "an issuer's certificate with a SHA-1 signature": (
        SIGNER,
        replace(MIDDLE, hash_algorithm=SHA1),
        ROOT,
    ),
    "a signer's short key": (replace(SIGNER, bits=1024), MIDDLE, ROOT),
    "an issuer's short key": (SIGNER, replace(MIDDLE, bits=1024), ROOT),
    "an unknown critical extension of the signer": (
        replace(SIGNER, unknown_critical=True),
        MIDDLE,
        ROOT,
    ),
    "an unknown critical extension of an issuer": (
        SIGNER,
        replace(MIDDLE, unknown_critical=True),
        ROOT,
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_path_that_breaks_a_rule_is_rejected(defect: str) -> None:
    path = make_path(DEFECTS[defect])
    trust = check(path, path[-1])
    assert trust.anchor == ""
    expected = "trust-anchor" if "not a CA" in defect else "path-invalid"
    assert codes(trust) == [expected]
    hint = trust.findings[0].hint
    assert hint.startswith("don't install")


@pytest.mark.parametrize("algorithm", [SHA1, MD5])
def test_the_signature_of_what_is_trusted_itself_does_not_matter(
    algorithm: hashes.HashAlgorithm,
) -> None:
    """Of an old root, and of the self-signed certificate that a vendor's tools made."""
    path = make_path((SIGNER, MIDDLE, replace(ROOT, hash_algorithm=algorithm, bits=1024)))
    assert check(path, path[-1]) == Trust("root.pem", ())
    own = make_path((replace(SIGNER, hash_algorithm=algorithm),))
    assert check(own, own[0]) == Trust("root.pem", ())
    assert describe(own[0]).self_signed
    assert chain_problems(own) == []


def test_a_broken_signature_is_named() -> None:
    path = make_path(DEFECTS["an issuer's certificate with a SHA-1 signature"])
    (finding,) = check(path, path[-1]).findings
    assert finding.message == ("CN=Middle,O=Vendor was issued with SHA-1, which can be forged")
    # Without an anchor no signer is checked: the chain is complete and in order.
    assert chain_problems(path) == []


def test_a_forged_broken_signature_is_no_link() -> None:
    path = make_path(DEFECTS["an issuer's certificate with a SHA-1 signature"])
    other = make_path((SIGNER, MIDDLE, replace(ROOT, bits=1024)))[-1]
    assert codes(check(path[:2], other)) == ["trust-anchor"]
    assert codes(check(path[:2], path[0])) == []


def test_self_issued_authorities_do_not_count_towards_the_path_length() -> None:
    path = make_path((SIGNER, replace(MIDDLE, self_issued=True), replace(ROOT, path_length=0)))
    assert check(path, path[-1]).anchor == "root.pem"


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_expired_path_is_an_error_unless_it_is_allowed(position: int) -> None:
    links = [SIGNER, MIDDLE, ROOT]
    links[position] = replace(links[position], not_after=EARLY)
    path = make_path(links)
    assert codes(check(path, path[-1])) == ["expired"]
    allowed = check(path, path[-1], allow_expired=True)
    assert allowed.anchor == "root.pem"
    assert [finding.code for finding in allowed.findings] == ["expired"]


def test_a_path_that_is_not_yet_valid_is_an_error_whatever_is_allowed() -> None:
    path = make_path((replace(SIGNER, not_before=NOW + dt.timedelta(days=1)), ROOT))
    assert codes(check(path, path[-1], allow_expired=True)) == ["not-yet-valid"]


def test_a_vendor_s_own_certificate_is_trusted_when_it_is_named() -> None:
    """The commonest case: self-signed, not an authority, whatever else it says."""
    for link in (
        SIGNER,
        replace(SIGNER, purposes=(), signs_data=None),
        replace(SIGNER, authority=True, signs_certificates=True, signs_data=False),
        replace(SIGNER, unknown_critical=True, purposes=SERVER),
    ):
        (own,) = make_path((link,))
        assert check((own,), own).anchor == "root.pem"
    (expired,) = make_path((replace(SIGNER, not_after=EARLY),))
    assert codes(check((expired,), expired)) == ["expired"]
    assert check((expired,), expired, allow_expired=True).anchor == "root.pem"


def test_a_vendor_s_own_certificate_vouches_for_itself_only() -> None:
    path = make_path((SIGNER, replace(ROOT, authority=False)))
    assert codes(check(path, path[-1])) == ["trust-anchor"]


def test_any_anchor_may_be_the_one_and_the_valid_path_wins() -> None:
    """A cross-signed authority: one way up has expired, the other has not."""
    path = make_path((SIGNER, MIDDLE, ROOT))
    expired = make_path((SIGNER, MIDDLE, replace(ROOT, not_after=EARLY)))[-1]
    _, other = self_signed("Other")
    anchors = [
        TrustAnchor(name, certificate)
        for name, certificate in (("other.pem", other), ("old.pem", expired), ("new.pem", path[-1]))
    ]
    trust = check_trust(path[:2], TrustPolicy(tuple(anchors)), now=NOW)
    assert trust == Trust("new.pem", ())
    unknown = check_trust(path, TrustPolicy(tuple(anchors[:1])), now=NOW)
    assert codes(unknown) == ["trust-anchor"]
    assert "CN=Signer,O=Vendor doesn't lead to the trust anchor (other.pem)" in (
        unknown.findings[0].message
    )


def test_without_an_anchor_only_dates_are_looked_at() -> None:
    path = make_path((replace(SIGNER, not_after=EARLY, purposes=SERVER), ROOT))
    trust = check_trust(path, TrustPolicy(), now=NOW)
    assert [(each.code, each.severity.label) for each in trust.findings] == [("expired", "warning")]
    assert trust.anchor == ""
    assert NOT_BEFORE < NOW


def test_a_signer_and_an_anchor_of_one_name_are_told_apart() -> None:
    (_, old), (_, new) = (
        self_signed("Vendor", key=rsa_key(name), not_after=dt.datetime(year, 1, 1, tzinfo=dt.UTC))
        for name, year in (("old", 2030), ("new", 2040))
    )
    (finding,) = check((new,), old).findings
    serial = f"{new.serial_number:x}"
    assert finding.message == (
        f"CN=Vendor (serial {serial}, 2020-01-01 to 2040-01-01) doesn't lead to the trust anchor "
        f"(root.pem: CN=Vendor (serial {serial}, 2020-01-01 to 2030-01-01))"
    )

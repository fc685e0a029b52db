"""Statements of a succession: made, read, followed, and everything that doesn't count."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ign_deploy.errors import ConfigurationError, SigningError, VerificationError
from ign_deploy.module.trust_policy import TrustAnchor, TrustPolicy
from ign_deploy.report import SilentReporter
from ign_deploy.signing.identity import IdentityMaterial, SigningIdentity, load_identity
from ign_deploy.signing.succession import (
    MAX_STATEMENT_SIZE,
    PAYLOAD_TYPE,
    Statement,
    Succession,
    follow_statements,
    make_statement,
    parse_statement,
)
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.signing import NOW, chained_vendor, vendor

ID = "com.example.pump"
DAY = dt.timedelta(days=1)


def limited(name: str, *, begin: dt.datetime, end: dt.datetime) -> SigningIdentity:
    """Return an identity whose certificate is valid for some time only."""
    key, certificate = self_signed(name, not_before=begin, not_after=end)
    return load_identity(
        IdentityMaterial(
            key=pem_key(key).decode(), certificates=pem_certificates(certificate).decode()
        )
    )


def statement(
    old: SigningIdentity,
    new: SigningIdentity,
    *,
    now: dt.datetime = NOW,
    modules: tuple[str, ...] = (ID,),
) -> bytes:
    return make_statement(modules, old=old, new=new, now=now, reporter=SilentReporter())


def follow(
    signer: SigningIdentity,
    *statements: bytes,
    anchor: SigningIdentity,
    module_id: str = ID,
    now: dt.datetime = NOW,
    allow_expired: bool = False,
) -> Succession | None:
    """Follow the statements as a repository would hand them out."""
    known = [parse_statement(each) for each in statements]

    def statements_for(sha256: str) -> Iterable[Statement]:
        return [each for each in known if each.new_sha256 == sha256]

    return follow_statements(
        sha256(signer.leaf),
        module_id,
        statements_for=statements_for,
        policy=TrustPolicy((TrustAnchor("old.pem", anchor.chain[-1]),), allow_expired),
        now=now,
    )


def sha256(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


A, B, C = "Vendor A", "Vendor B", "Vendor C"


def test_a_statement_names_both_certificates_the_modules_and_the_dates() -> None:
    old, new = vendor(A), vendor(B)
    found = parse_statement(statement(old, new, modules=(ID, "com.example.valve", ID)))
    assert found.modules == {ID, "com.example.valve"}
    assert (found.old_sha256, found.new_sha256) == (sha256(old.leaf), sha256(new.leaf))
    assert (found.issued_at, found.not_before) == (NOW, NOW)
    assert found.not_after == new.leaf.not_valid_after_utc


def test_the_envelope_is_dsse_and_the_payload_an_in_toto_statement() -> None:
    envelope = json.loads(statement(vendor(A), vendor(B)))
    assert envelope["payloadType"] == PAYLOAD_TYPE
    assert [each["keyid"] for each in envelope["signatures"]] == [
        sha256(vendor(A).leaf),
        sha256(vendor(B).leaf),
    ]
    payload = json.loads(base64.b64decode(envelope["payload"]))
    assert payload["_type"] == "https://in-toto.io/Statement/v1"
    subject = [{"name": ID, "digest": {"sha256": sha256(vendor(B).leaf)}}]
    assert payload["subject"] == subject


def test_it_leads_from_the_anchor_to_the_new_signer() -> None:
    data = statement(vendor(A), vendor(B))
    found = follow(vendor(B), data, anchor=vendor(A))
    assert found is not None
    assert found.anchor == "old.pem"
    extended = found.policy(TrustPolicy())
    (added,) = extended.anchors
    assert added.certificate == vendor(B).leaf
    assert added.name == "old.pem, succeeded by a statement of 2026-06-01"


def test_an_old_signer_below_an_authority_is_trusted_by_that() -> None:
    data = statement(chained_vendor(), vendor(B))
    assert follow(vendor(B), data, anchor=chained_vendor()) is not None


def test_a_chain_of_successions_is_followed_and_a_cycle_ends() -> None:
    chain = (statement(vendor(A), vendor(B)), statement(vendor(B), vendor(C)))
    found = follow(vendor(C), *chain, anchor=vendor(A))
    assert found is not None
    assert [each.new_sha256 for each in found.statements] == [
        sha256(vendor(B).leaf),
        sha256(vendor(C).leaf),
    ]
    cycle = (statement(vendor(C), vendor(B)), statement(vendor(B), vendor(C)))
    assert follow(vendor(C), *cycle, anchor=vendor(A)) is None


def test_each_certificate_is_looked_for_once_and_not_too_many_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = [
        parse_statement(statement(vendor(old), vendor(new)))
        for old, new in ((C, B), (B, C), (B, "Vendor D"), (C, "Vendor D"))
    ]
    asked: list[str] = []

    def statements_for(wanted: str) -> list[Statement]:
        asked.append(wanted)
        return [each for each in known if each.new_sha256 == wanted]

    def look() -> None:
        asked.clear()
        found = follow_statements(
            sha256(vendor("Vendor D").leaf),
            ID,
            statements_for=statements_for,
            policy=TrustPolicy((TrustAnchor("old.pem", vendor(A).leaf),)),
            now=NOW,
        )
        assert found is None

    look()
    assert sorted(asked) == sorted(sha256(vendor(each).leaf) for each in (B, C, "Vendor D"))
    monkeypatch.setattr("ign_deploy.signing.succession.MAX_SIGNERS", 2)
    look()
    assert len(asked) == 2


def test_a_chain_that_is_too_long_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = (statement(vendor(A), vendor(B)), statement(vendor(B), vendor(C)))
    monkeypatch.setattr("ign_deploy.signing.succession.MAX_STEPS", 1)
    assert follow(vendor(C), *chain, anchor=vendor(A)) is None


def test_a_statement_by_another_key_does_not_count() -> None:
    assert follow(vendor(B), statement(vendor("Attacker"), vendor(B)), anchor=vendor(A)) is None


def test_it_counts_for_its_own_modules_only() -> None:
    data = statement(vendor(A), vendor(B))
    assert follow(vendor(B), data, anchor=vendor(A), module_id="com.example.valve") is None


def test_one_module_not_in_every_step_is_not_reached() -> None:
    chain = (
        statement(vendor(A), vendor(B), modules=("com.example.valve",)),
        statement(vendor(B), vendor(C)),
    )
    assert follow(vendor(C), *chain, anchor=vendor(A)) is None


def test_its_dates_are_kept() -> None:
    new = limited(B, begin=NOW + DAY, end=NOW + 10 * DAY)
    data = statement(vendor(A), new)
    assert follow(new, data, anchor=vendor(A)) is None, "not yet valid"
    assert follow(new, data, anchor=vendor(A), now=NOW + 2 * DAY) is not None
    assert follow(new, data, anchor=vendor(A), now=NOW + 11 * DAY) is None, "expired"


def test_an_old_certificate_that_has_expired_leads_nowhere_unless_that_is_allowed() -> None:
    old = limited(A, begin=NOW - DAY, end=NOW + DAY)
    data, later = statement(old, vendor(B)), NOW + 2 * DAY
    assert follow(vendor(B), data, anchor=old) is not None
    assert follow(vendor(B), data, anchor=old, now=later) is None
    assert follow(vendor(B), data, anchor=old, now=later, allow_expired=True) is not None


def test_what_cannot_succeed_is_refused() -> None:
    expired = limited(A, begin=NOW - 2 * DAY, end=NOW - DAY)
    with pytest.raises(SigningError, match="the old certificate isn't valid now"):
        statement(expired, vendor(B))
    with pytest.raises(SigningError, match="the new certificate expired"):
        statement(vendor(B), expired)
    with pytest.raises(SigningError, match="are the same"):
        statement(vendor(A), vendor(A))
    with pytest.raises(ConfigurationError, match="no statement can be made"):
        statement(vendor(A), vendor(B), modules=("../x",))


Change = Callable[[dict[str, Any]], object]


def signed_again(data: bytes, change: Change, *signers: SigningIdentity) -> bytes:
    """Return the statement with a changed payload, signed by these keys."""
    envelope = json.loads(data)
    document = json.loads(base64.b64decode(envelope["payload"]))
    change(document)
    payload = json.dumps(document).encode()
    signed = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    digest = hashlib.sha256(signed).digest()
    envelope["payload"] = base64.b64encode(payload).decode()
    for each, entry in zip(signers, envelope["signatures"], strict=False):
        made = each.sign_digests([digest], reporter=SilentReporter())[digest]
        entry["sig"] = base64.b64encode(made).decode()
    return json.dumps(envelope).encode()


def nothing(_: dict[str, Any]) -> None:
    """Change nothing."""


def more_modules(document: dict[str, Any]) -> None:
    document["subject"].append({**document["subject"][0], "name": "com.example.other"})


CHANGES: dict[str, tuple[Change, tuple[str, ...], str]] = {
    "tampered": (more_modules, (), "isn't signed by both"),
    "signed by the new key alone": (nothing, (B, B), "isn't signed by both"),
    "signed by the old key alone": (nothing, (A, A), "isn't signed by both"),
    "another certificate's fingerprint": (
        lambda each: each["predicate"]["new"].update(sha256="0" * 64),
        (A, B),
        "isn't the one with its fingerprints",
    ),
    "another subject": (
        lambda each: each["subject"][0]["digest"].update(sha256="0" * 64),
        (A, B),
        "its subject is another certificate",
    ),
    "issued outside the old certificate's validity": (
        lambda each: each["predicate"].update(issued_at="2199-01-01T00:00:00Z"),
        (A, B),
        "when the old certificate wasn't valid",
    ),
    "a date that doesn't exist": (
        lambda each: each["predicate"].update(not_after="2026-02-30T00:00:00Z"),
        (A, B),
        "not valid JSON, Base64 or a date",
    ),
    "an unknown field": (lambda each: each["predicate"].update(also=1), (A, B), "also"),
    "a hostile id": (
        lambda each: each["subject"][0].update(name="a\u202e\x1b[31m/../b"),
        (A, B),
        "name",
    ),
    "no certificate": (
        lambda each: each["predicate"]["old"].update(certificates=["AAAA"]),
        (A, B),
        "the old certificate can't be read",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_statement_is_rejected_without_its_values(name: str) -> None:
    change, signers, reason = CHANGES[name]
    data = signed_again(statement(vendor(A), vendor(B)), change, *map(vendor, signers))
    with pytest.raises(VerificationError, match=reason) as caught:
        parse_statement(data)
    assert "\x1b" not in caught.value.message
    assert "\u202e" not in caught.value.message


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[" * 100_000, b"null", b"\xff" * 10, b'{"payload": NaN}']
)
def test_nonsense_is_rejected(data: bytes) -> None:
    with pytest.raises(VerificationError, match="the statement of a succession is not valid"):
        parse_statement(data)


def test_the_first_moment_that_there_is_counts_as_any_other() -> None:
    data = signed_again(
        statement(vendor(A), vendor(B)),
        lambda each: each["predicate"].update(not_before="0001-01-01T00:00:00Z"),
        vendor(A),
        vendor(B),
    )
    assert follow(vendor(B), data, anchor=vendor(A)) is not None


def test_an_old_certificate_since_the_first_moment_that_there_is() -> None:
    der = vendor(A).leaf.public_bytes(Encoding.DER)
    since = der.index(b"\x17\x0d", der.index(b"\x17\x0d") - 2)
    assert der[since - 2] == 0x30
    hostile = bytearray(der)
    hostile[since : since + 15] = b"\x18\x0f00010101000000Z"
    hostile[since - 1] += 2
    for length in (2, 6):  # the certificate's, and that of what is signed in it
        longer = int.from_bytes(hostile[length : length + 2], "big") + 2
        hostile[length : length + 2] = longer.to_bytes(2, "big")
    certificate = bytes(hostile)

    def change(document: dict[str, Any]) -> None:
        document["predicate"]["old"] = {
            "sha1": hashlib.sha1(certificate).hexdigest(),
            "sha256": hashlib.sha256(certificate).hexdigest(),
            "certificates": [base64.b64encode(certificate).decode()],
        }

    data = signed_again(statement(vendor(A), vendor(B)), change, vendor(A), vendor(B))
    envelope = json.loads(data)
    envelope["signatures"][0]["keyid"] = hashlib.sha256(certificate).hexdigest()
    assert parse_statement(json.dumps(envelope).encode()).new_sha256 == sha256(vendor(B).leaf)


def test_ten_megabytes_are_rejected_by_their_size() -> None:
    with pytest.raises(VerificationError, match=f"more than {MAX_STATEMENT_SIZE} bytes"):
        parse_statement(b" " * (10 << 20))

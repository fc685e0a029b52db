"""Statements that one signing certificate succeeds another: in-toto in a DSSE envelope.

Both keys sign it: the old one says who comes next, the new one that it is held by the same vendor.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from ign_deploy.errors import (
    ConfigurationError,
    SigningError,
    VerificationError,
    explain_validation,
)
from ign_deploy.module.certificates import describe, load_certificate
from ign_deploy.module.trust import check_trust
from ign_deploy.module.trust_policy import TrustAnchor, TrustPolicy
from ign_deploy.report import Reporter
from ign_deploy.signing.identity import SigningIdentity

MAX_STATEMENT_SIZE = 256 << 10
MAX_STEPS = 8
"""So many statements are followed from an anchor to a signer."""
MAX_SIGNERS = 50
"""Statements for so many certificates are looked for: anyone may have added more."""
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE: Literal["urn:ign-deploy:signer-succession:v1"] = (
    "urn:ign-deploy:signer-succession:v1"
)
_CLOCKS = timedelta(minutes=5)
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]
_Sha1 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}\z")]
_Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\z")]
_Base64 = Annotated[str, Field(max_length=MAX_STATEMENT_SIZE * 2)]
_ModuleId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\z")]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True
    )


class _Signature(_Part):
    keyid: _Sha256
    sig: _Base64


class _Envelope(_Part):
    payloadType: Literal["application/vnd.in-toto+json"]  # noqa: N815 - the format's name
    payload: _Base64
    signatures: Annotated[list[_Signature], Field(min_length=2, max_length=2)]


class _Digest(_Part):
    sha256: _Sha256


class _Subject(_Part):
    name: _ModuleId
    digest: _Digest


class _Signer(_Part):
    sha1: _Sha1
    sha256: _Sha256
    certificates: Annotated[list[_Base64], Field(min_length=1, max_length=10)]


class _Predicate(_Part):
    old: _Signer
    new: _Signer
    issued_at: _Time
    not_before: _Time
    not_after: _Time


class _Document(_Part):
    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    predicate_type: Annotated[
        Literal["urn:ign-deploy:signer-succession:v1"], Field(alias="predicateType")
    ]
    subject: Annotated[list[_Subject], Field(min_length=1, max_length=500)]
    predicate: _Predicate


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with valid signatures; whether its old signer is trusted is another question.

    ``old`` and ``new`` are chains, leaf first; the fingerprints are SHA-256, in lower-case hex.
    """

    modules: frozenset[str]
    old: tuple[x509.Certificate, ...]
    new: tuple[x509.Certificate, ...]
    issued_at: datetime
    not_before: datetime
    not_after: datetime

    @property
    def old_sha256(self) -> str:
        """The fingerprint of the certificate that is succeeded."""
        return _sha256(self.old[0])

    @property
    def new_sha256(self) -> str:
        """The fingerprint of the certificate that succeeds it."""
        return _sha256(self.new[0])

    def obstacle(self, module_id: str, *, now: datetime) -> str:
        """Return why it doesn't count for a module now; empty if it does."""
        if module_id not in self.modules:
            return f"it isn't for {module_id}"
        if self.not_before - now > _CLOCKS:
            return f"it isn't valid before {self.not_before:%Y-%m-%d %H:%M}Z"
        if now > self.not_after:
            return f"it was valid until {self.not_after:%Y-%m-%d}"
        return ""


def make_statement(
    modules: Sequence[str],
    *,
    old: SigningIdentity,
    new: SigningIdentity,
    now: datetime,
    reporter: Reporter,
) -> bytes:
    """Return the envelope of a statement, signed by both keys.

    It is valid from now, or from when the new certificate is, until that expires. Raises
    SigningError for certificates that can't succeed each other now, or if a key can't sign.
    """
    if old.leaf == new.leaf:
        raise SigningError(
            "the old and the new certificate are the same",
            hint="give the new one as for signing, and the old one with --old-key and --old-cert.",
        )
    _require_valid(old.leaf, now)
    begin, end = max(now, new.leaf.not_valid_before_utc), new.leaf.not_valid_after_utc
    if end < now:
        raise SigningError(
            f"the new certificate expired on {end:%Y-%m-%d}", hint="give a valid certificate."
        )
    payload = _payload(modules, old=old, new=new, dates=(now, begin, end))
    digest = hashlib.sha256(_signed_bytes(payload)).digest()
    signatures = [
        {
            "keyid": _sha256(each.leaf),
            "sig": _text(each.sign_digests([digest], reporter=reporter)[digest]),
        }
        for each in (old, new)
    ]
    document = {
        "payloadType": PAYLOAD_TYPE,
        "payload": _text(payload),
        "signatures": signatures,
    }
    data = json.dumps(document, indent=2).encode() + b"\n"
    if len(data) > MAX_STATEMENT_SIZE:
        raise SigningError("the statement would be too large", hint="name fewer modules at once.")
    parse_statement(data)
    return data


def _require_valid(old: x509.Certificate, now: datetime) -> None:
    if not old.not_valid_before_utc <= now <= old.not_valid_after_utc:
        raise SigningError(
            f"the old certificate isn't valid now, only from {old.not_valid_before_utc:%Y-%m-%d} "
            f"to {old.not_valid_after_utc:%Y-%m-%d}: a statement must be signed while it is",
            hint="tell whoever trusts the old certificate to trust the new one instead.",
        )


def _payload(
    modules: Sequence[str],
    *,
    old: SigningIdentity,
    new: SigningIdentity,
    dates: tuple[datetime, datetime, datetime],
) -> bytes:
    issued_at, not_before, not_after = (
        each.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for each in dates
    )
    document = {
        "_type": _STATEMENT_TYPE,
        "subject": [
            {"name": each, "digest": {"sha256": _sha256(new.leaf)}} for each in sorted({*modules})
        ],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {
            "old": _signer(old),
            "new": _signer(new),
            "issued_at": issued_at,
            "not_before": not_before,
            "not_after": not_after,
        },
    }
    try:
        _Document.model_validate(document)
    except ValidationError as cause:
        raise ConfigurationError(
            f"no statement can be made: {explain_validation(cause)}", hint="correct the module ids."
        ) from None
    return json.dumps(document, indent=2, sort_keys=True).encode()


def _signer(identity: SigningIdentity) -> dict[str, object]:
    info = describe(identity.leaf)
    chain = [_text(each.public_bytes(Encoding.DER)) for each in identity.chain]
    return {"sha1": info.sha1, "sha256": info.sha256, "certificates": chain}


def parse_statement(data: bytes) -> Statement:
    """Read a statement and check both signatures; raises VerificationError with the reason.

    Its values are never repeated: anyone may have written it.
    """
    if len(data) > MAX_STATEMENT_SIZE:
        raise _rejected(f"it has more than {MAX_STATEMENT_SIZE} bytes")
    try:
        envelope = _Envelope.model_validate(from_json(data, allow_inf_nan=False))
        payload = _bytes(envelope.payload)
        document = _Document.model_validate(from_json(payload, allow_inf_nan=False))
        predicate = document.predicate
        issued_at, not_before, not_after = (
            datetime.fromisoformat(each)
            for each in (predicate.issued_at, predicate.not_before, predicate.not_after)
        )
    except ValidationError as cause:
        raise _rejected(explain_validation(cause)) from None
    except (ValueError, RecursionError):
        raise _rejected("it is not valid JSON, Base64 or a date") from None
    old, new = _chain(predicate.old, "old"), _chain(predicate.new, "new")
    _check_signatures(envelope, payload, [old[0], new[0]])
    if any(each.digest.sha256 != predicate.new.sha256 for each in document.subject):
        raise _rejected("its subject is another certificate than its new one")
    begin, end = old[0].not_valid_before_utc, old[0].not_valid_after_utc
    # Moments are only subtracted: the first and the last that there are have no room around them.
    if begin - issued_at > _CLOCKS or issued_at > end:
        raise _rejected("it was signed when the old certificate wasn't valid")
    modules = frozenset(each.name for each in document.subject)
    return Statement(modules, old, new, issued_at, not_before, not_after)


def _chain(signer: _Signer, which: str) -> tuple[x509.Certificate, ...]:
    try:
        chain = tuple(
            load_certificate(_bytes(text), number)
            for number, text in enumerate(signer.certificates, start=1)
        )
        info = describe(chain[0])
    except (ValueError, VerificationError):
        raise _rejected(f"the {which} certificate can't be read") from None
    if (info.sha1, info.sha256) != (signer.sha1, signer.sha256):
        raise _rejected(f"the {which} certificate isn't the one with its fingerprints")
    return chain


def _check_signatures(
    envelope: _Envelope, payload: bytes, signers: Sequence[x509.Certificate]
) -> None:
    given = {each.keyid: each.sig for each in envelope.signatures}
    signed = _signed_bytes(payload)
    if len({*map(_sha256, signers)}) < len(signers):
        raise _rejected("its old and its new certificate are the same")
    for certificate in signers:
        key, text = certificate.public_key(), given.get(_sha256(certificate), "")
        if not isinstance(key, rsa.RSAPublicKey):
            raise _rejected("one of its keys isn't an RSA key")
        try:
            key.verify(_bytes(text), signed, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            raise _rejected("it isn't signed by both the old and the new key") from None


@dataclass(frozen=True, slots=True)
class Succession:
    """How a trust anchor leads to a signer: the statements, from the anchor on."""

    anchor: str
    statements: tuple[Statement, ...]

    def policy(self, policy: TrustPolicy) -> TrustPolicy:
        """Return the policy that trusts the last signer as well."""
        last = self.statements[-1]
        name = f"{self.anchor}, succeeded by a statement of {last.issued_at:%Y-%m-%d}"
        if len(self.statements) > 1:
            name = f"{self.anchor}, succeeded by {len(self.statements)} statements"
        anchors = (*policy.anchors, TrustAnchor(name, last.new[0]))
        return TrustPolicy(anchors, policy.allow_expired)


def follow_statements(
    signer_sha256: str,
    module_id: str,
    *,
    statements_for: Callable[[str], Iterable[Statement]],
    policy: TrustPolicy,
    now: datetime,
) -> Succession | None:
    """Return how an anchor leads to the signer of a module; None if it doesn't.

    ``statements_for`` returns those whose new certificate has a fingerprint. Every one of them must
    be valid now, and the first one's old certificate must be trusted by the policy.
    """
    pending: list[tuple[str, tuple[Statement, ...]]] = [(signer_sha256, ())]
    seen = {signer_sha256}
    while pending:
        wanted, path = pending.pop(0)
        for each in statements_for(wanted):
            if each.new_sha256 != wanted or each.obstacle(module_id, now=now):
                continue
            if anchor := check_trust(each.old, policy, now=now).anchor:
                return Succession(anchor, (each, *path))
            is_new = each.old_sha256 not in seen and len(seen) < MAX_SIGNERS
            if is_new and len(path) + 1 < MAX_STEPS:
                seen.add(each.old_sha256)
                pending.append((each.old_sha256, (each, *path)))
    return None


def _signed_bytes(payload: bytes) -> bytes:
    """Return what DSSE signs: the pre-authentication encoding of type and payload."""
    return b"DSSEv1 %d %s %d %s" % (
        len(PAYLOAD_TYPE),
        PAYLOAD_TYPE.encode(),
        len(payload),
        payload,
    )


def _sha256(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as cause:
        raise ValueError("not Base64") from cause


def _rejected(reason: str) -> VerificationError:
    return VerificationError(
        f"the statement of a succession is not valid: {reason}",
        hint="ask the vendor for the statement, or trust the new certificate by its fingerprint.",
    )

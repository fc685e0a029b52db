"""What a signature covers: every entry has a line, every line an entry, and each one matches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.findings import Finding, bounded, error, legible, warning
from ign_deploy.module.parallel import map_parallel, usable_processors
from ign_deploy.module.signature import (
    CERTIFICATES_NAME,
    GET_AGAIN,
    needs_signature,
    read_as_utf8,
    written_without_letters,
)
from ign_deploy.module.stable_file import BLOCK
from ign_deploy.module.zip_entry import ZipEntry

if TYPE_CHECKING:
    from cryptography import x509


def hash_entries(archive: Archive) -> tuple[dict[str, bytes], list[Finding]]:
    """Read every entry, its CRC too; return SHA-256 by name, and a finding per damaged entry."""

    def hash_entry(entry: ZipEntry) -> bytes | Finding:
        digest = hashlib.sha256()
        try:
            for piece in archive.chunks(entry):
                digest.update(piece)
        except VerificationError as problem:
            return problem.findings[0]
        return digest.digest()

    # The largest first, so that no thread is left with a large one at the end.
    # Small ones stay in their order: neighbours are read together.
    entries = sorted(archive.entries, key=lambda entry: entry.size // BLOCK, reverse=True)
    results = map_parallel(hash_entry, entries, workers=usable_processors())
    digests: dict[str, bytes] = {}
    findings: list[Finding] = []
    for entry, result in zip(entries, results, strict=True):
        if isinstance(result, Finding):
            findings.append(result)
        else:
            digests[entry.name] = result
    return digests, bounded(sorted(findings, key=lambda finding: finding.location))


def check_lines(
    archive: Archive,
    *,
    digests: Mapping[str, bytes],
    lines: Mapping[str, bytes],
    certificates: Sequence[x509.Certificate],
) -> list[Finding]:
    """Compare entries and signature lines both ways: nothing else binds the set of files.

    ``digests`` and ``lines`` (signatures) are by entry name. An entry without a digest is damaged
    and has been reported; so has a line whose signature is empty.
    """
    signed = [entry.name for entry in archive.entries if needs_signature(entry)]
    misread = read_as_utf8(lines, dict.fromkeys(signed))
    if misread:
        others = {line: lines[line] for line in lines.keys() - set(misread.values())}
        lines = {**others, **{name: lines[line] for name, line in misread.items()}}
    lossy = written_without_letters(lines, signed)
    findings = bounded(
        _missing_line(name, lossy.get(name, "")) for name in signed if name not in lines
    )
    comparable = [name for name in signed if name in digests and lines.get(name)]
    if certificates:
        findings += _check_signatures(comparable, digests, lines, certificates)
    findings += bounded(map(_misread_line, sorted(misread)))
    explained = {*signed, *lossy.values()}
    return [*findings, *bounded(_orphan_lines(explained, lines))]


def _missing_line(name: str, lossy: str) -> Finding:
    if lossy:
        return error(
            "signature-line-missing",
            f"{name} isn't covered by the signature, which has the name {legible(lossy)} instead: "
            "the module was signed where its letters can't be written, such as with LANG=C",
            location=name,
            hint="sign the module again, with `ign-deploy sign`, or with LC_ALL=C.UTF-8 set.",
        )
    return error(
        "signature-line-missing",
        f"{name} isn't covered by the signature",
        location=name,
        hint=GET_AGAIN,
    )


def _misread_line(name: str) -> Finding:
    return warning(
        "signature-line-utf8",
        f"the signature has the name {legible(name)} as UTF-8 instead of escaped: a gateway may "
        "not find the file's line",
        location=legible(name),
        hint="sign the module again, for example with `ign-deploy sign`.",
    )


def _orphan_lines(known: set[str], lines: Iterable[str]) -> Iterator[Finding]:
    return (
        error(
            "signature-line-orphan",
            f"the signature has a line for {legible(name)}, which isn't in the module",
            location=legible(name),
            hint=GET_AGAIN,
        )
        for name in sorted(lines)
        if name not in known
    )


def _check_signatures(
    names: Sequence[str],
    digests: Mapping[str, bytes],
    lines: Mapping[str, bytes],
    certificates: Sequence[x509.Certificate],
) -> list[Finding]:
    bad = [name for name in names if not _matches(certificates[0], lines[name], digests[name])]
    if bad and len(bad) == len(names):
        return [_wrong_signer(bad, digests, lines, certificates)]
    return bounded(
        error(
            "signature-bad",
            f"{name} was changed after it was signed",
            location=name,
            hint=GET_AGAIN,
        )
        for name in sorted(bad)
    )


def _wrong_signer(
    names: Sequence[str],
    digests: Mapping[str, bytes],
    lines: Mapping[str, bytes],
    certificates: Sequence[x509.Certificate],
) -> Finding:
    """Explain that no signature matches: usually the chain belongs to another key."""
    for number, certificate in enumerate(certificates[1:], start=2):
        if any(_matches(certificate, lines[name], digests[name]) for name in names):
            return error(
                "leaf-not-signer",
                f"the module was signed by certificate {number} of {CERTIFICATES_NAME}, "
                "but the signer must come first",
                location=CERTIFICATES_NAME,
                hint=GET_AGAIN,
            )
    return error(
        "leaf-not-signer",
        "no signature matches the first certificate: "
        "the module was signed with another key, or every file was changed",
        location=CERTIFICATES_NAME,
        hint=GET_AGAIN,
    )


def _matches(certificate: x509.Certificate, signature: bytes, digest: bytes) -> bool:
    """Return whether the certificate's RSA key made this PKCS#1 v1.5 signature of the digest."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256

    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
    except InvalidSignature:
        return False
    return True

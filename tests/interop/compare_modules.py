"""Compare inspect, sign and verify with two independent readers, over any folder of modules.

    python -m tests.interop.compare_modules FOLDER...

Every ``.modl`` below the folders is read by ign-deploy, by Java (``ReadModules.java``), and by
Python's ``zipfile`` with ``cryptography``. Then it is signed with a new key, and what was written
is read by all three again. Nothing in the folders is changed.

For each file, one line says whether all agree:

- ``same``: on the files, the signature and the certificates.
- ``stricter``: ign-deploy refuses, or finds an error, where another sees none; the codes say why.
- ``tolerant``: it accepts, with a warning, names that were signed as UTF-8, which Java misreads.
- ``DIFFERENT``: ign-deploy accepts what another reader doesn't, or sees other files or
  certificates. The exit code is 1: it is a fault in ign-deploy, or in the other reader.

Needs ``java`` (11 or newer) and the development requirements.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import re
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from ign_deploy.errors import IgnDeployError, VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.findings import Severity
from ign_deploy.report import SilentReporter
from ign_deploy.signing.identity import IdentityMaterial, SigningIdentity, load_identity
from ign_deploy.signing.signer import read_unsigned, sign_module
from ign_deploy.signing.verdict import SignatureStatus
from ign_deploy.signing.verifier import inspect_signature

READER = Path(__file__).with_name("ReadModules.java")
SIGNATURES, CERTIFICATES = "signatures.properties", "certificates.p7b"
UNSIGNED, INTACT, BAD, REFUSED = "unsigned", "intact", "bad", "refused"
# cryptography reads fewer forms of certificate files than Java.
UNKNOWN = "unknown"
MISREAD = "signature-line-utf8"


@dataclass(frozen=True)
class Reading:
    """What a reader sees: a SHA-256 over the files, the signature's worth, the certificates."""

    files: str
    signature: str
    certificates: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """The comparison of one file: as it is, and signed again ("" where it can't be signed)."""

    path: Path
    inspected: str
    signed: str

    @property
    def is_different(self) -> bool:
        """Whether there is a fault."""
        return "DIFFERENT" in f"{self.inspected} {self.signed}"


def main(arguments: Sequence[str]) -> int:
    """Compare, print a line per file, and return the exit code."""
    if not arguments:
        sys.stderr.write("usage: python -m tests.interop.compare_modules FOLDER...\n")
        return 2
    paths = [path for folder in arguments for path in sorted(Path(folder).rglob("*.modl"))]
    rows = compare([path for path in paths if path.is_file()])
    for row in rows:
        sys.stdout.write(f"{row.inspected:<10}  signed: {row.signed or '-':<10}  {row.path}\n")
    different = sum(row.is_different for row in rows)
    sys.stdout.write(f"{len(rows)} modules, {different} different\n")
    return 1 if different or not rows else 0


def compare(paths: Sequence[Path]) -> list[Row]:
    """Read every module with all three, as it is and signed again."""
    with tempfile.TemporaryDirectory() as folder:
        signed = sign_all(paths, Path(folder))
        before = compare_readers(paths)
        after = dict(zip(signed, compare_readers(list(signed.values())), strict=True))
        return [
            Row(path, found, "" if path not in signed else _must_be_intact(after[path]))
            for path, found in zip(paths, (text for text, _ in before), strict=True)
        ]


def sign_all(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Sign what can be signed, with a new key."""
    identity = new_identity()
    signed = {}
    for number, path in enumerate(paths):
        try:
            module = sign_module(
                read_unsigned(path),
                identity=identity,
                output_dir=folder / str(number),
                now=dt.datetime.now(dt.UTC),
                reporter=SilentReporter(),
            )
        except VerificationError:
            continue
        signed[path] = module.path
    return signed


def new_identity() -> SigningIdentity:
    """Return a key and a self-signed certificate, made now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Comparison")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    return load_identity(IdentityMaterial(key=pem.decode()))


def compare_readers(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Return (comparison, our verdict on the signature) of each file."""
    ours = [read_by_us(path) for path in paths]
    theirs = [[read_by_zipfile(path) for path in paths], read_by_java(paths)]
    return [
        (judge(one, others), one.signature)
        for one, others in zip(ours, zip(*theirs, strict=True), strict=True)
    ]


def judge(ours: Reading, others: Sequence[Reading]) -> str:
    """Compare our reading with the others'."""
    if all(_agree(ours, other) for other in others):
        return "same"
    wanted = any(other.signature in (UNSIGNED, INTACT) for other in others)
    if ours.signature in (BAD, REFUSED) and ours.files in (REFUSED, *(o.files for o in others)):
        return f"stricter ({', '.join(ours.codes)})" if wanted else "same"
    if MISREAD in ours.codes and all(each.files == ours.files for each in others):
        return f"tolerant ({MISREAD})"
    readings = (f"{each.signature} {each.files[:8]}" for each in (ours, *others))
    return f"DIFFERENT ({', '.join(readings)})"


def _agree(ours: Reading, other: Reading) -> bool:
    if other.signature == UNKNOWN:
        return ours.files == other.files
    return replace(ours, codes=()) == other


def _must_be_intact(result: tuple[str, str]) -> str:
    text, signature = result
    return text if signature == INTACT else f"DIFFERENT: {signature}"


def read_by_us(path: Path) -> Reading:
    """Read a module with ign-deploy."""
    worth = {SignatureStatus.UNSIGNED: UNSIGNED, SignatureStatus.INTACT: INTACT}
    try:
        with Archive.open(path) as archive:
            files = {
                entry.name: hashlib.sha256(b"".join(archive.chunks(entry))).hexdigest()
                for entry in archive.entries
                if not entry.is_directory
            }
        report = inspect_signature(path, now=dt.datetime.now(dt.UTC))
    except IgnDeployError as problem:
        found = problem.findings if isinstance(problem, VerificationError) else ()
        return Reading(REFUSED, REFUSED, codes=tuple(each.code for each in found))
    return Reading(
        digest_of(files),
        worth.get(report.status, BAD),
        tuple(each.sha256 for each in report.certificates),
        tuple(
            dict.fromkeys(
                each.code
                for each in report.findings
                if each.severity is Severity.ERROR or each.code == MISREAD
            )
        ),
    )


def read_by_java(paths: Sequence[Path]) -> list[Reading]:
    """Read modules with Java, all in one process."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("".join(f"{path.absolute()}\n" for path in paths))
        listing.flush()
        printed = subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", str(READER), listing.name],
            capture_output=True,
            text=True,
            check=True,
            timeout=3600,
        ).stdout
    return [
        Reading(files, signature, tuple(prints.split(",")) if prints != "-" else ())
        for files, signature, prints in (line.split(" ") for line in printed.splitlines())
    ]


def read_by_zipfile(path: Path) -> Reading:
    """Read a module with zipfile and cryptography."""
    try:
        with zipfile.ZipFile(path, metadata_encoding="utf-8") as archive:
            names = [each for each in archive.namelist() if not each.endswith("/")]
            hashed = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}
            return Reading(digest_of(hashed), *_signature_by_zipfile(archive, names))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return Reading(REFUSED, REFUSED)


def _signature_by_zipfile(
    archive: zipfile.ZipFile, names: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    present = {SIGNATURES, CERTIFICATES} & set(names)
    if len(present) < 2:
        return (BAD if present else UNSIGNED), ()
    try:
        certificates = _certificates(archive.read(CERTIFICATES))
    except ValueError:
        return UNKNOWN, ()
    prints = tuple(each.fingerprint(hashes.SHA256()).hex() for each in certificates)
    lines = dict(_lines(archive.read(SIGNATURES).decode("latin-1")))
    signed = set(names) - present
    key = certificates[0].public_key() if certificates else None
    if not isinstance(key, rsa.RSAPublicKey) or {f"/{name}" for name in signed} != set(lines):
        return BAD, prints
    try:
        for name in signed:
            signature = base64.b64decode(lines[f"/{name}"], validate=True)
            key.verify(signature, archive.read(name), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error):
        return BAD, prints
    return INTACT, prints


def _certificates(data: bytes) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if b"-----BEGIN PKCS7" in data:
            return pkcs7.load_pem_pkcs7_certificates(data)
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return pkcs7.load_der_pkcs7_certificates(data)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of Java Properties, without what no signer writes (continuations)."""
    for line in re.split(r"[\r\n]+", text):
        if line.strip() and line[0] not in "#!":
            key, value = re.fullmatch(r"((?:\\.|[^=\\])*)=(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]  # else it is no line of a signer
            yield _unescaped(key), _unescaped(value)


def _unescaped(text: str) -> str:
    plain = re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|(.))", lambda m: chr(int(m[1], 16)) if m[1] else m[2], text
    )
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def digest_of(files: dict[str, str]) -> str:
    """Return a SHA-256 over names and contents, as ``ReadModules.java`` makes it."""
    lines = [f"{name.encode().hex()}:{files[name]}\n" for name in sorted(files, key=str.encode)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

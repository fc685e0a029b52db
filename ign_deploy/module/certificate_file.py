"""certificates.p7b as a gateway reads it: by the rules of Java's CertificateFactory.

A signer may give its certificates in many forms (``read_certificates``). Those in a module have to
be read by Java, and as the same ones: see X509Factory.parseX509orPKCS7Cert in the JDK.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ign_deploy.errors import VerificationError
from ign_deploy.module import findings
from ign_deploy.module.certificate_info import subject_of
from ign_deploy.module.certificates import (
    FILE_NAME,
    HEAD_FIELDS,
    KEYSTORE_MAGICS,
    MAX_CERTIFICATES,
    MAX_SIZE,
    is_signed_data,
    load_certificate,
    signed_certificates,
)
from ign_deploy.module.der import (
    SEQUENCE,
    SET,
    DerError,
    Element,
    children,
    context,
    encode_element,
    read_element,
)

_SEQUENCE_BYTE = b"0"
_PEM_HEADER = re.compile(rb"(?:\A|[\r\n])(?=-----)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What String.stripTrailing removes of ISO 8859-1, and what \s is in Java's regular expressions.
_BLANKS = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "
_WHITE_SPACE = re.compile(rb"[ \t\n\v\f\r]+")
_CRITICAL_FIELDS = 3  # id, critical, value; what isn't critical has two
_ASK_VENDOR = (
    "ask the vendor to sign the module with certificates as DER, or as PEM that Java reads."
)


def read_shipped_certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a module's certificates.p7b, in the order in which Java has them.

    Raises VerificationError: ``certificates-unreadable`` or ``certificates-empty``.
    """
    if len(data) > MAX_SIZE:
        raise _unreadable(f"{len(data)} bytes, more than {MAX_SIZE}")
    try:
        encoded = _encoded_certificates(data)
    except DerError as cause:
        raise _unreadable(_reason(data, cause)) from cause
    if not encoded:
        message = f"{FILE_NAME} contains no certificate"
        finding = findings.error(
            "certificates-empty", message, location=FILE_NAME, hint=_ASK_VENDOR
        )
        raise VerificationError.from_findings(finding)
    certificates = tuple(load_certificate(each, at) for at, each in enumerate(encoded, start=1))
    for certificate in certificates:
        problem = java_problem(certificate)
        if problem:
            raise _unreadable(f"{subject_of(certificate)} {problem}")
    return certificates


def java_problem(certificate: x509.Certificate) -> str:
    """Return why Java refuses a certificate that can be decoded, as a predicate; "" if it doesn't.

    X509CertInfo.parse and verifyCert of the JDK.
    """
    if not certificate.issuer.rdns:
        return "has an empty issuer"
    body, algorithm, _ = children(read_element(certificate.public_bytes(Encoding.DER)))
    if next(each.raw for each in children(body) if each.tag == SEQUENCE) != algorithm.raw:
        return "names two signature algorithms"
    try:
        return _name_problem(certificate, [*certificate.extensions])
    except x509.DuplicateExtension:
        return "has an extension twice"
    except ValueError:
        if not certificate.subject.rdns:
            return "has an empty subject"
        return "has a malformed critical extension" if _is_malformed(certificate) else ""


def _name_problem(
    certificate: x509.Certificate, extensions: list[x509.Extension[x509.ExtensionType]]
) -> str:
    # Where there are no extensions, Java doesn't look at the subject.
    if certificate.subject.rdns or not extensions or any(map(_is_critical_name, extensions)):
        return ""
    return "has an empty subject, and no critical alternative name"


def _is_malformed(certificate: x509.Certificate) -> bool:
    """Return whether a critical extension can't be decoded; Java ignores the other ones."""
    body, *rest = children(read_element(certificate.public_bytes(Encoding.DER)))
    fields = children(body)
    (extensions,) = children(fields[-1], tag=context(3))
    for extension in children(extensions):
        if len(children(extension)) < _CRITICAL_FIELDS:
            continue
        # The library decodes all or none, so it gets a certificate with this one only.
        alone = encode_element(context(3), encode_element(SEQUENCE, extension.raw))
        changed = encode_element(SEQUENCE, *(each.raw for each in fields[:-1]), alone)
        der = encode_element(SEQUENCE, changed, *(each.raw for each in rest))
        try:
            _ = x509.load_der_x509_certificate(der).extensions
        except ValueError:
            return True
    return False


def _is_critical_name(extension: x509.Extension[x509.ExtensionType]) -> bool:
    return extension.critical and isinstance(extension.value, x509.SubjectAlternativeName)


def _encoded_certificates(data: bytes) -> list[bytes]:
    blocks = _blocks(data)
    first = next(blocks, None)
    if first is None:
        raise DerError("it is neither DER nor PEM" if data.strip() else "it is empty")
    element = read_element(first)
    if is_signed_data(element):
        encoded = signed_certificates(element)  # whatever follows it
        _require_few(encoded)
        _require_signer_infos(element)
        return encoded
    encoded = [first]
    for block in blocks:
        encoded.append(block)
        _require_few(encoded)
    return encoded


def _require_signer_infos(content_info: Element) -> None:
    """Require the last part of a SignedData, which may be an empty set, as Java does."""
    (signed_data,) = children(children(content_info)[1])
    optional = (context(0), context(1))  # certificates and revocation lists
    parts = [each.tag for each in children(signed_data)[HEAD_FIELDS:] if each.tag not in optional]
    if parts[:1] != [SET]:
        raise DerError("the PKCS#7 structure has no signer infos")


def _require_few(encoded: list[bytes]) -> None:
    if len(encoded) > MAX_CERTIFICATES:
        raise DerError(f"more than {MAX_CERTIFICATES} certificates")


def _blocks(data: bytes) -> Iterator[bytes]:
    """Yield each block as the JDK's readOneBlock finds it: DER, or PEM at the start of a line."""
    position = 0
    while position < len(data):
        if data.startswith(_SEQUENCE_BYTE, position):
            element = read_element(data, position)
            yield element.raw
            position = element.end
            continue
        rest = data[position:]
        header = _PEM_HEADER.search(rest)
        if header is None:
            return
        block, length = _pem_block(rest[header.end() :])
        yield block
        position += header.end() + length


def _pem_block(text: bytes) -> tuple[bytes, int]:
    """Return the bytes of the block that begins the text, and how long the block is."""
    line = re.match(rb"([^\r\n]*)(\r\n|\r|\n)", text)
    dash = -1 if line is None else text.find(b"-", line.end())
    if line is None or dash < 0:
        raise DerError("a PEM block isn't divided into lines, or not complete")
    last = re.compile(rb"[\r\n]" if line[2] == b"\r" else rb"\n").search(text, dash)
    end = last.start() if last else len(text)
    footer = text[dash:end].replace(b"\r", b"").rstrip(_BLANKS)
    head = line[1].rstrip(_BLANKS)
    if not re.fullmatch(rb"-----BEGIN .*-----", head, re.DOTALL):
        raise DerError("a PEM block begins with an unusual line")
    if footer != b"-----END " + head.removeprefix(b"-----BEGIN "):
        raise DerError("a PEM block ends with an unusual line, or lines are missing between two")
    encoded = _WHITE_SPACE.sub(b"", text[line.end() : dash])
    try:
        block = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as cause:
        raise DerError("a PEM block is not valid Base64") from cause
    return block, end + 1


def _reason(data: bytes, problem: DerError) -> str:
    if data.startswith(KEYSTORE_MAGICS):
        return "it is a Java keystore"
    if data.startswith(_BYTE_ORDER_MARK):
        return "the text begins with a byte order mark"
    if re.search(rb"^[ \t]+-----BEGIN ", data, re.MULTILINE):
        return "the text is indented"
    return str(problem)


def _unreadable(reason: str) -> VerificationError:
    finding = findings.error(
        "certificates-unreadable",
        f"Java can't read {FILE_NAME}: {reason}",
        location=FILE_NAME,
        hint=_ASK_VENDOR,
    )
    return VerificationError.from_findings(finding)

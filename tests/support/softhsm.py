"""SoftHSM: tokens in a temporary folder, one set for the whole process, as its library reads them.

The keys of the token ``Release``, by label: ``signer`` (with its certificate), ``bare`` (without),
``asking`` (wants the PIN each time), ``silent`` (may not sign), ``curve`` (EC), ``short`` (1024
bits), and two ``twin``. Two tokens share the label ``Double``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import Attribute, KeyType, ObjectClass

from tests.support.identities import rsa_key, self_signed

LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
TOKENS = ("Release", "Empty", "Double", "Double", "Guarded")
PIN = "735 928 1"


@dataclass(frozen=True)
class SoftHsm:
    """The tokens; the environment is what a process needs to find them."""

    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def uri(
        self, key: str = "object=signer", *, token: str = "Release", library: str = LIBRARY
    ) -> str:
        return f"pkcs11:token={token};{key}?module-path={library}"


class Spy:
    """OpenSC's library between a process and SoftHSM, which writes down every call."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace
        (self.library,) = map(str, Path("/usr/lib").glob("*-linux-gnu/pkcs11-spy.so"))
        self.environment = {"PKCS11SPY": LIBRARY, "PKCS11SPY_OUTPUT": str(trace)}

    def count(self, function: str) -> int:
        """Return how often a function such as ``C_Login`` was called."""
        lines = self._trace.read_text("utf-8", "replace").splitlines()
        return sum(line.partition(": ")[2] == function for line in lines)


@cache
def softhsm() -> SoftHsm:
    """Return the tokens of this process, made at the first call; removed when it ends."""
    import atexit

    folder = Path(mkdtemp(prefix="softhsm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
    )
    made = SoftHsm(folder)
    os.environ.update(made.environment)  # the library of this process reads it once
    for label in TOKENS:
        command = ["softhsm2-util", "--init-token", "--free", "--label", label]
        pins = ["--so-pin", "99999999", "--pin", PIN]
        subprocess.run([*command, *pins], check=True, capture_output=True, timeout=60)
    _fill(pkcs11.lib(LIBRARY).get_token(token_label="Release"))
    return made


def _fill(token: Any) -> None:
    session = token.open(rw=True, user_pin=PIN)
    _store(session, "signer", b"\x01")
    certificate = self_signed("signer")[1]
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.CERTIFICATE,
            Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
            Attribute.TOKEN: True,
            Attribute.LABEL: "signer",
            Attribute.ID: b"\x01",
            Attribute.SUBJECT: certificate.subject.public_bytes(),
            Attribute.VALUE: certificate.public_bytes(Encoding.DER),
        }
    )
    _store(session, "bare", b"\x02")
    _store(session, "asking", b"\x03", key=rsa_key("signer"), asks=True)
    _store(session, "silent", b"\x04", signs=False)
    _store(session, "short", b"\x05", key=rsa_key("short", 1024))
    _store(session, "twin", b"\x06")
    _store(session, "twin", b"\x07")
    curve = session.create_domain_parameters(
        KeyType.EC,
        {Attribute.EC_PARAMS: pkcs11.util.ec.encode_named_curve_parameters("secp256r1")},
        local=True,
    )
    curve.generate_keypair(store=True, label="curve", id=b"\x08")
    session.close()


def _store(
    session: Any,
    label: str,
    number: bytes,
    *,
    key: rsa.RSAPrivateKey | None = None,
    signs: bool = True,
    asks: bool = False,
) -> None:
    numbers = (key or rsa_key(label)).private_numbers()

    def big(value: int) -> bytes:
        return value.to_bytes((value.bit_length() + 7) // 8, "big")

    session.create_object(
        {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.LABEL: label,
            Attribute.ID: number,
            Attribute.SIGN: signs,
            Attribute.ALWAYS_AUTHENTICATE: asks,
            Attribute.MODULUS: big(numbers.public_numbers.n),
            Attribute.PUBLIC_EXPONENT: big(numbers.public_numbers.e),
            Attribute.PRIVATE_EXPONENT: big(numbers.d),
            Attribute.PRIME_1: big(numbers.p),
            Attribute.PRIME_2: big(numbers.q),
            Attribute.EXPONENT_1: big(numbers.dmp1),
            Attribute.EXPONENT_2: big(numbers.dmq1),
            Attribute.COEFFICIENT: big(numbers.iqmp),
        }
    )

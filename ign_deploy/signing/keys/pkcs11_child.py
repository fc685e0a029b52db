"""The process that calls a token's PKCS#11 library: it opens one key and signs until it is left."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ign_deploy.errors import IdentityError, IgnDeployError, SigningError
from ign_deploy.net.errors import TransientFailure
from ign_deploy.process import protect_memory
from ign_deploy.signing.keys import pkcs11
from ign_deploy.signing.keys.pkcs11_token import PinRefused
from ign_deploy.signing.keys.pkcs11_uri import parse_pkcs11_uri
from ign_deploy.signing.keys.protocol import KeyAccess

# The most special ones first.
ERRORS: Mapping[str, type[IgnDeployError]] = {
    "pin": PinRefused,
    "identity": IdentityError,
    "transient": TransientFailure,
    "signing": SigningError,
}


def serve(descriptor: int, limit: int) -> None:
    """Answer requests until the pipe is closed; a call that takes ``limit`` seconds ends us."""
    protect_memory()  # before the PIN arrives
    pipe = Connection(descriptor)
    key: pkcs11.Pkcs11Key | None = None
    while True:
        signal.alarm(0)
        try:
            request = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            break
        signal.alarm(limit)  # by the kernel: also while the library is waiting
        try:
            if key is None:
                key = _open(request)
                answer = _describe(key)
            else:
                digests = [bytes.fromhex(each) for each in request["digests"]]
                answer = {"signatures": [each.hex() for each in key.sign_digests(digests)]}
        except Exception as problem:  # noqa: BLE001 - whatever it is, the parent says it
            answer = _explain(problem)
        try:
            pipe.send_bytes(json.dumps(answer).encode())
        except OSError:  # the parent was killed
            break
    if key is not None:
        signal.alarm(limit)
        key.close()


def _open(request: Mapping[str, Any]) -> pkcs11.Pkcs11Key:
    access = KeyAccess(pin=request["pin"])
    library = parse_pkcs11_uri(request["uri"]).module_path
    pkcs11.add_refused(library, request["refused"], access)
    return pkcs11.open_pkcs11_key(request["uri"], access=access)


def _describe(key: pkcs11.Pkcs11Key) -> dict[str, Any]:
    spki = PublicFormat.SubjectPublicKeyInfo
    return {
        "location": key.location,
        "public_key": key.public_key.public_bytes(Encoding.DER, spki).hex(),
        "certificates": [each.public_bytes(Encoding.DER).hex() for each in key.certificates],
    }


def _explain(problem: Exception) -> dict[str, Any]:
    if not isinstance(problem, IgnDeployError):
        problem = SigningError(
            f"the PKCS#11 library can't be used: {type(problem).__name__}",
            hint="check module-path in --key, and the token's version of it.",
        )
    kinds = (name for name, kind in ERRORS.items() if isinstance(problem, kind))
    return {
        "error": next(kinds, "signing"),
        "message": problem.message,
        "hint": problem.hint,
        "refused": pkcs11.refused_serials(),
    }

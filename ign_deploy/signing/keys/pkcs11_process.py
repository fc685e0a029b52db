"""Tokens from a process of their own: whatever a vendor's library does, this one goes on.

A library that crashes, waits for ever, calls exit() or prints would otherwise do so to the whole
release: without a message, or with exit code 0. Here it's an error like any other.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ign_deploy.errors import IdentityError, SigningError
from ign_deploy.signing.keys.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri
from ign_deploy.signing.keys.protocol import KeyAccess

ANSWER_TIMEOUT = 120.0
"""Seconds: long enough for a PIN on a reader's keypad, or a touch."""
_MAX_ANSWER = 4 << 20
_END_TIMEOUT = 5.0
_OURS = ("MODULE_SIGNING_", "IGN_DEPLOY_", "INPUT_", "REPOSITORY_")
_START = (
    "import sys; sys.path[:] = {path!r}; "
    "from ign_deploy.signing.keys.pkcs11_child import serve; serve({fd}, {limit})"
)
# The serial numbers of tokens that refused a PIN, by library and PIN: it isn't tried again.
_refused: dict[tuple[str, str], set[str]] = {}


def open_token_process(
    uri: str, *, access: KeyAccess, timeout: float = ANSWER_TIMEOUT
) -> TokenProcess:
    """Start the process, log in to the token and find the key; raises IdentityError."""
    key = TokenProcess(parse_pkcs11_uri(uri), access, timeout)
    try:
        key.open(uri, access.pin)
    except BaseException as problem:
        key.close()
        if isinstance(problem, SigningError) and not isinstance(problem, IdentityError):
            raise IdentityError(problem.message, hint=problem.hint) from problem
        raise
    return key


class TokenProcess:
    """A private key in a token, reached by a child process."""

    batch_size = 1
    parallel = 1

    def __init__(self, uri: Pkcs11Uri, access: KeyAccess, timeout: float) -> None:
        self._library = uri.module_path
        self._timeout = timeout
        self._is_busy = False
        self._failed: SigningError | None = None
        self._refused_serials: set[str] = set()
        self.location = "the token"
        self.public_key: PublicKeyTypes
        self.certificates: tuple[x509.Certificate, ...] = ()
        self._pipe, child = Pipe()
        try:
            self._process = _start(child, _environment(access), timeout)
        finally:
            child.close()

    def open(self, uri: str, pin: str) -> None:
        """Log in and find the key."""
        self._refused_serials = _refused.setdefault((self._library, pin.rstrip("\r\n")), set())
        answer = self._ask({"uri": uri, "pin": pin, "refused": sorted(self._refused_serials)})
        self.location = answer["location"]
        self.public_key = load_der_public_key(bytes.fromhex(answer["public_key"]))
        self.certificates = tuple(
            x509.load_der_x509_certificate(bytes.fromhex(each)) for each in answer["certificates"]
        )

    def sign_digests(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Return the signature of each digest."""
        answer = self._ask({"digests": [each.hex() for each in digests]})
        return [bytes.fromhex(each) for each in answer["signatures"]]

    def close(self) -> None:
        """Log out and end the process; one that is still busy, or doesn't end, is killed."""
        self._pipe.close()  # which the child waits for
        if not self._is_busy:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_TIMEOUT)
        with suppress(ProcessLookupError):  # also what the library has started
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._failed:  # for the next module: it won't get better
            raise self._failed
        self._is_busy = True
        try:
            self._pipe.send_bytes(json.dumps(request).encode())
            self._wait()
            answer: dict[str, Any] = json.loads(self._pipe.recv_bytes(_MAX_ANSWER))
        except (OSError, EOFError, ValueError) as cause:
            self._failed = self._ended()
            raise self._failed from cause
        self._is_busy = False
        if "error" in answer:
            from ign_deploy.signing.keys.pkcs11_child import ERRORS

            self._refused_serials.update(answer["refused"])
            raise ERRORS[answer["error"]](answer["message"], hint=answer["hint"])
        return answer

    def _wait(self) -> None:
        """Wait for an answer; raises EOFError if the process ended, though others have its pipe."""
        deadline = time.monotonic() + self._timeout
        while not self._pipe.poll(min(1.0, max(deadline - time.monotonic(), 0.0))):
            if self._process.poll() is not None and not self._pipe.poll():
                raise EOFError
            if time.monotonic() >= deadline:
                self._failed = SigningError(
                    f"the PKCS#11 library {self._library} didn't answer within {self._timeout:g} s",
                    hint="check that the token in --key, or its server, can be reached, and "
                    "doesn't wait for a touch.",
                )
                raise self._failed

    def _ended(self) -> SigningError:
        """Return the error for a process that the library has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_TIMEOUT)
        code = self._process.returncode
        how = "closed its connection" if code is None else f"ended its process with code {code}"
        if code is not None and code < 0:
            how = f"crashed ({signal.Signals(-code).name})"
        return SigningError(
            f"the PKCS#11 library {self._library} {how}",
            hint="check that module-path in --key names the token's library, in the version for "
            "this machine, and try it with `pkcs11-tool --module`.",
        )


def _start(pipe: Connection, env: Mapping[str, str], timeout: float) -> subprocess.Popen[bytes]:
    # Isolated: Python's variables and the working folder choose no code. What it prints isn't ours.
    path = [each for each in sys.path if Path(each).is_absolute()]
    code = _START.format(path=path, fd=pipe.fileno(), limit=int(timeout) + 5)
    return subprocess.Popen(
        [sys.executable, "-I", "-c", code],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[pipe.fileno()],
        start_new_session=True,
    )


def _environment(access: KeyAccess) -> Mapping[str, str]:
    """Return the run's environment, whose variables libraries need, without our own and the PIN."""
    pin = access.pin.strip()
    return {
        name: value
        for name, value in access.env.items()
        if not name.startswith(_OURS) and not (pin and value.strip() == pin)
    }

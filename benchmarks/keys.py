"""Keys in a token and in OpenBao against the same key from a file."""

from __future__ import annotations

import gc
import hashlib
import os
import statistics
import time
from pathlib import Path

from benchmarks.measure import Row, in_turn, ratio
from benchmarks.workspace import Workspace
from ign_deploy.report import SilentReporter
from ign_deploy.signing.identity import IdentityMaterial, SigningIdentity, load_identity
from ign_deploy.signing.keys.protocol import KeyAccess
from tests.support.identities import pem_files, rsa_key, self_signed
from tests.support.modules import build_module
from tests.support.servers.openbao import ROOT_TOKEN, recording, running_openbao
from tests.support.softhsm import PIN, softhsm

_FILES = 300
_ROUNDS = 9


def measure_keys(workspace: Workspace) -> list[Row]:
    """Sign 300 files with SoftHSM and with a file, as a whole command and the signatures alone."""
    hsm, folder = softhsm(), workspace.folder / "keys"
    folder.mkdir()
    key, certificate = pem_files(folder, rsa_key("signer"), (self_signed("signer")[1],))
    files: dict[str, bytes | None] = {f"doc/{each}.html": b"%d" % each for each in range(_FILES)}
    module = str(build_module(folder / "many.unsigned.modl", files=files))
    given = ("--key", str(key), "--cert-path", str(certificate))
    token = Workspace(
        workspace.folder, {**workspace.env, **hsm.environment, "MODULE_SIGNING_PIN": PIN}
    )
    runs = in_turn(
        {
            "file": lambda: workspace.ign_deploy("sign", module, "-o", "a", *given),
            "token": lambda: token.ign_deploy("sign", module, "-o", "b", "--key", hsm.uri()),
        },
        rounds=_ROUNDS,
    )
    whole = ratio(runs, "token", "file")
    return [
        Row("sign 300 files by SoftHSM / by a file", f"{whole:.2f} x", "1.5 x", whole <= 1.5),
        _signatures(key, certificate),
        *_openbao(key, certificate, folder=folder),
    ]


def _signatures(key: Path, certificate: Path) -> Row:
    file = load_identity(IdentityMaterial(key=str(key), certificates=str(certificate)))
    token = load_identity(
        IdentityMaterial(key=softhsm().uri()), access=KeyAccess(pin=PIN, env=os.environ)
    )
    pairs = [(_seconds(file), _seconds(token)) for _ in range(_ROUNDS)]
    by_file, by_token = (statistics.median(each) for each in zip(*pairs, strict=True))
    token.close()
    shown = f"{by_token:.2f} s, {by_token / by_file:.2f} x the file's"
    return Row("300 signatures by SoftHSM alone (for scale)", shown, "", holds=True)


def _openbao(key: Path, certificate: Path, *, folder: Path) -> list[Row]:
    """Sign with the real server, and count what it is asked."""
    material = IdentityMaterial(key="vault:transit/keys/release", certificates=str(certificate))
    file = load_identity(IdentityMaterial(key=str(key), certificates=str(certificate)))
    with running_openbao(folder) as server, recording(server) as between:
        server.import_key("release", rsa_key("signer"))
        env = {"VAULT_ADDR": between.url, "VAULT_TOKEN": ROOT_TOKEN}
        service = load_identity(material, access=KeyAccess(env=env))
        _seconds(service)
        requests = len(between.requests)
        service.close()
        env["VAULT_ADDR"] = server.url
        service = load_identity(material, access=KeyAccess(env=env))
        pairs = [(_seconds(file), _seconds(service)) for _ in range(_ROUNDS)]
        service.close()
    by_file, by_service = (statistics.median(each) for each in zip(*pairs, strict=True))
    shown = f"{by_service:.2f} s, {by_service / by_file:.2f} x the file's"
    return [
        Row("requests to OpenBao for 300 files", str(requests), "10", requests <= 10),
        Row("300 signatures by OpenBao alone (for scale)", shown, "", holds=True),
    ]


def _seconds(identity: SigningIdentity) -> float:
    digests = [hashlib.sha256(b"%d" % each).digest() for each in range(_FILES)]
    gc.collect()
    begin = time.perf_counter()
    identity.sign_digests(digests, reporter=SilentReporter())
    return time.perf_counter() - begin

"""Signing, verification and startup."""

from __future__ import annotations

import hashlib
import time

from benchmarks.material import large_module, small_module
from benchmarks.measure import Row, in_turn, median, ratio
from benchmarks.workspace import Workspace
from tests.support.identities import rsa_key

_ROUNDS = 7
_JARS = 300
_MEBIBYTE = 1 << 20


def measure_start(workspace: Workspace) -> list[Row]:
    """Measure the fixed cost of a command."""
    small = small_module(workspace.folder / "small.unsigned.modl")
    runs = in_turn(
        {
            "version": lambda: workspace.ign_deploy("--version"),
            "python": lambda: workspace.python("-c", "pass"),
            "sign": lambda: workspace.sign(small),
        },
        rounds=11,
    )
    start = ratio(runs, "version", "python")
    cpu = median(runs["sign"], lambda run: run.cpu)
    return [
        Row("ign-deploy --version / python3 -c pass", f"{start:.2f} x", "5 x", start <= 5),
        Row("sign a 1 MB module, CPU time", f"{cpu:.2f} s", "0.50 s", cpu < 0.5),
    ]


def measure_signing(workspace: Workspace) -> list[Row]:
    """Compare signing and verifying 300 MB with one `unzip -t` of the same file."""
    module = large_module(workspace.folder / "large.unsigned.modl", jars=_JARS)
    signed = workspace.folder / "large.modl"
    workspace.sign(module)
    (workspace.folder / "dist" / signed.name).rename(signed)
    runs = in_turn(
        {
            "unzip": lambda: workspace.unzip(module),
            "sign": lambda: workspace.sign(module),
            "verify": lambda: workspace.ign_deploy("verify", str(signed)),
            "sign4096": lambda: workspace.sign(module, bits=4096),
        },
        rounds=_ROUNDS,
    )
    sign, verify = ratio(runs, "sign", "unzip"), ratio(runs, "verify", "unzip")
    extra = median(runs["sign4096"], lambda run: run.wall) - median(
        runs["sign"], lambda run: run.wall
    )
    keys = _key_seconds(4096) - _key_seconds(2048)
    unzip = median(runs["unzip"], lambda run: run.wall)
    return [
        Row("unzip -t of 300 MB (for scale)", f"{unzip:.2f} s", "", holds=True),
        Row("sign 300 MB, RSA-2048 / unzip -t", f"{sign:.2f} x", "0.45 x", sign <= 0.45),
        Row("verify 300 MB / unzip -t", f"{verify:.2f} x", "0.33 x", verify <= 0.33),
        Row(
            "RSA-4096 on top of RSA-2048",
            f"{extra:.2f} s",
            f"{keys:.2f} s (300 keys' worth)",
            extra <= keys,
        ),
    ]


def measure_memory(workspace: Workspace) -> list[Row]:
    """Measure the peak memory of signing and verifying at two sizes."""
    rows: list[Row] = []
    for jars in (50, _JARS):
        module = large_module(workspace.folder / f"memory{jars}.unsigned.modl", jars=jars)
        peaks = {
            "sign": workspace.sign(module).peak,
            "verify": workspace.ign_deploy(
                "verify", str(workspace.folder / "dist" / f"memory{jars}.modl")
            ).peak,
        }
        rows += [
            Row(
                f"peak memory, {name} {jars} MB",
                f"{peak / _MEBIBYTE:.1f} MiB",
                "64 MiB",
                peak < 64 * _MEBIBYTE,
            )
            for name, peak in peaks.items()
        ]
    return rows


def _key_seconds(bits: int) -> float:
    """Measure the private-key operations of 300 entries on one thread, and loading the key."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from ign_deploy.signing.keys.file import FileKey
    from tests.support.identities import pem_key

    pem = pem_key(rsa_key(f"bench{bits}", bits))
    digest = hashlib.sha256(b"entry").digest()
    begin = time.perf_counter()
    load_pem_private_key(pem, None)
    key = FileKey(rsa_key(f"bench{bits}", bits))
    for _ in range(_JARS):
        key.sign_digests([digest])
    return time.perf_counter() - begin

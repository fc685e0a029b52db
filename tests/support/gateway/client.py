"""Our client for simulated gateways, and modules to deploy: everything takes milliseconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ign_deploy.deployment.gateway import GatewayAccess, Timing, open_target
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.module.artifacts import SignedModule, VerifiedModule
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.report import SilentReporter
from ign_deploy.signing.identity import IdentityMaterial, SigningIdentity, load_identity
from ign_deploy.signing.signer import read_unsigned
from ign_deploy.signing.verifier import verify_module
from tests.support.gateway import Gateway
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.modules import build_module
from tests.support.signing import signed_module

MODULE_ID = "com.example.pump"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
# For gateways in real time, of which each second lasts a millisecond.
QUICK = Timing(poll=0.002, floor=0.02, confirm=0.05, deadline=5.0)
RETRY = RetryPolicy(attempts=4, first_wait=0.001, longest_wait=0.002)


def timing_of(gateway: Gateway) -> Timing:
    """Return the usual waits on the gateway's virtual clock, very short ones in real time."""
    if gateway.clock is None:
        return QUICK
    return Timing(clock=gateway.clock, sleep=gateway.clock.sleep)


def retry_of(gateway: Gateway) -> RetryPolicy:
    """Return a policy of a few attempts on the gateway's clock; one that hangs is given up soon."""
    if gateway.options.hangs:
        return RetryPolicy(deadline=0.5)
    if gateway.clock is None:
        return RETRY
    return RetryPolicy(attempts=4, clock=gateway.clock, sleep=gateway.clock.sleep)


def client_of(
    gateway: Gateway,
    *,
    access: GatewayAccess | None = None,
    reporter: SilentReporter | None = None,
    floor: float | None = None,
    deadline: float | None = None,
) -> ApiGateway:
    """Return a client on the gateway's clock, with the gateway's token by default."""
    usual = timing_of(gateway)
    timing = replace(
        usual,
        floor=usual.floor if floor is None else floor,
        deadline=usual.deadline if deadline is None else deadline,
    )
    target = open_target(
        gateway.url,
        access=access or GatewayAccess(token=gateway.options.token),
        timing=timing,
        retry=retry_of(gateway),
        reporter=reporter,
    )
    assert isinstance(target, ApiGateway)
    return target


def modl(
    folder: Path,
    version: str = "1.0.0",
    *,
    module_id: str = MODULE_ID,
    requires: str = "8.3.0",
    depends: str = "",
    license_text: bytes | None = b"<html>Do what you like.</html>",
    large: bytes | None = None,
    identity: SigningIdentity | None = None,
    signed: bool = True,
) -> Path:
    """Write a module, signed by the test vendor by default."""
    name = f"{module_id}-{version}"
    unsigned = build_module(
        folder / f"{name}.unsigned.modl",
        texts={
            "id": module_id,
            "name": module_id.rpartition(".")[2].capitalize(),
            "version": version,
            "requiredIgnitionVersion": requires,
            "license": None if license_text is None else "license.html",
        },
        files={"license.html": license_text, "large.bin": large},
        extra=f'<depends scope="G">{depends}</depends>' if depends else "",
    )
    if not signed:
        return unsigned
    return signed_module(unsigned, output_dir=folder, identity=identity).path


def attacker() -> SigningIdentity:
    """Return the identity of a signer that nobody trusts."""
    key, certificate = self_signed("Attacker")
    return load_identity(
        IdentityMaterial(
            key=pem_key(key).decode(), certificates=pem_certificates(certificate).decode()
        )
    )


def verified(path: Path) -> VerifiedModule:
    """Verify a module file, as every deployment does before."""
    module = read_unsigned(path)
    return verify_module(SignedModule(path, module.descriptor, module.sha256), now=NOW)

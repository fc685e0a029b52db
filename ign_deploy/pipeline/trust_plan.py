"""Which gateways accept which certificate, and what a new one would stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from ign_deploy.errors import IdentityError, IgnDeployError, VerificationError
from ign_deploy.module.certificates import describe, read_certificates
from ign_deploy.module.version import same_version
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.live import LiveGateway, ask_gateways

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

    from ign_deploy.module.certificates import CertificateInfo
    from ign_deploy.pipeline.live_comparison import LiveModule
    from ign_deploy.repositories.record import Release


class Effect(StrEnum):
    """What happens to a module on a gateway when it comes with the new certificate."""

    WOULD_STOP = "would-stop"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    NOT_OURS = "not-published-here"


class CertificateSource(StrEnum):
    """Where a certificate is known from: the gateway, or the record of the version.

    ``RECORD``: the version is what the gateway reports, ``HISTORY``: it is what was deployed.
    """

    GATEWAY = "gateway"
    RECORD = "record"
    HISTORY = "history"
    NOWHERE = ""


@dataclass(frozen=True, slots=True)
class CertifiedModule:
    """A module on a gateway, and the certificate that is accepted for it there.

    Texts are empty where they aren't known; ``sha1`` is what gateways show and pin, ``expires`` is
    ISO 8601. ``remark`` says why something isn't known.
    """

    environment: str
    gateway: str
    location: str
    id: str
    version: str
    sha1: str = ""
    signer: str = ""
    expires: str = ""
    source: CertificateSource = CertificateSource.NOWHERE
    effect: Effect = Effect.UNKNOWN
    remark: str = ""


def new_certificate(context: RunContext) -> CertificateInfo:
    """Return the signing certificate of the settings; a file with it is enough, without its key."""
    from ign_deploy.signing.identity import read_material

    path = context.settings.cert_path
    if not context.settings.is_signing_configured:
        raise IdentityError(
            "no new certificate given",
            hint="give it as --cert-path; its key isn't needed.",
        )
    if not path:
        return describe(context.identity.leaf)
    try:
        certificates = read_certificates(read_material(path, what="certificate chain"))
    except VerificationError as cause:
        raise IdentityError(cause.message, hint=cause.hint) from cause
    leaves = _leaves(certificates)
    if len(leaves) != 1:
        raise IdentityError(
            f"--cert-path has {len(leaves)} certificates that issued none of the others, so it "
            "isn't clear which one is the new signer's",
            hint="give a file with the new certificate and its issuers only.",
        )
    return describe(leaves[0])


def _leaves(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    from ign_deploy.module.certificate_info import is_issued_by

    distinct = list(dict.fromkeys(certificates))
    return [
        each
        for each in distinct
        if not any(other != each and is_issued_by(other, each) for other in distinct)
    ]


def plan_change(new: CertificateInfo, context: RunContext) -> tuple[CertifiedModule, ...]:
    """Return every module on the requested gateways, with what the new certificate would do.

    A gateway that can't be asked has the modules of the history. Raises ConfigurationError if there
    is no gateway to ask.
    """
    record = cache(_record_reader(context))
    found: list[CertifiedModule] = []
    for gateway in ask_gateways(context):
        modules = _unreachable(gateway, context) if gateway.problem else _listed(gateway)
        found += [_judged(_with_record(each, record), new) for each in modules]
    return tuple(found)


def _record_reader(context: RunContext) -> Callable[[str, str], Release | str]:
    def read(module_id: str, version: str) -> Release | str:
        """Return the record of a version, or why there is none; "" if it isn't published."""
        from ign_deploy.errors import NotInRepository

        try:
            return context.repository.fetch(module_id, version=version)
        except NotInRepository:
            return ""
        except IgnDeployError as problem:
            return problem.message

    return read


def _listed(gateway: LiveGateway) -> Iterator[CertifiedModule]:
    for each in gateway.modules:
        if not each.version and gateway.lists_modules:
            continue  # it isn't installed
        is_listed = gateway.lists_modules
        yield CertifiedModule(
            gateway.environment,
            gateway.title,
            gateway.location,
            each.id,
            _version(each),
            sha1=each.accepted_certificate,
            signer=each.signer,
            expires=each.certificate_expires,
            source=CertificateSource.GATEWAY
            if each.accepted_certificate
            else CertificateSource.RECORD
            if is_listed
            else CertificateSource.HISTORY,
        )


def _version(module: LiveModule) -> str:
    """Return the version as it was published: gateways may write it otherwise."""
    if not module.version or same_version(module.version, module.recorded):
        return module.recorded
    return module.version


def _unreachable(gateway: LiveGateway, context: RunContext) -> Iterator[CertifiedModule]:
    state = context.history.state(gateway.environment)
    # Without an address, its settings are wrong; what is only recorded has none either.
    known = [each for each in state.deployed if each.gateway and each.gateway == gateway.location]
    for each in known:
        remark = f"not asked: {gateway.problem}"
        if each.uncertain:
            remark = f"uncertain in the history; {remark}"
        yield CertifiedModule(
            gateway.environment,
            gateway.title,
            gateway.location,
            each.id,
            each.version,
            source=CertificateSource.HISTORY,
            remark=remark,
        )
    if not known:
        remark = f"not asked: {gateway.problem}; the history has no module there"
        yield CertifiedModule(
            gateway.environment, gateway.title, gateway.location, "", "", remark=remark
        )


def _with_record(
    module: CertifiedModule, read: Callable[[str, str], Release | str]
) -> CertifiedModule:
    """Return the module with what its record says of the certificate."""
    if not module.version:
        return replace(module, source=CertificateSource.NOWHERE) if not module.sha1 else module
    record = read(module.id, module.version)
    if isinstance(record, str):
        if module.sha1:
            return module
        effect = Effect.UNKNOWN if record else Effect.NOT_OURS
        reason = record and f"its record can't be read: {record}"
        return replace(
            module,
            source=CertificateSource.NOWHERE,
            effect=effect,
            remark=_joined(module.remark, reason),
        )
    known = record.certificate
    if module.sha1 and module.sha1 != known.sha1:
        reason = f"{module.version} is signed with another one (SHA-1 {known.sha1})"
        return replace(module, remark=_joined(module.remark, reason))
    if module.expires and known.not_after and not _same_moment(module.expires, known.not_after):
        reason = f"it shows another certificate than the record of {module.version} has"
        return replace(
            module, source=CertificateSource.NOWHERE, remark=_joined(module.remark, reason)
        )
    return replace(
        module,
        sha1=known.sha1,
        signer=module.signer or known.subject,
        expires=module.expires or known.not_after or "",
    )


def _same_moment(first: str, second: str) -> bool:
    try:
        moments = [datetime.fromisoformat(each) for each in (first, second)]
        return abs((moments[0] - moments[1]).total_seconds()) < 1
    except (ValueError, TypeError):
        return False


def _judged(module: CertifiedModule, new: CertificateInfo) -> CertifiedModule:
    if not module.sha1:
        return module
    effect = Effect.ACCEPTED if module.sha1 == new.sha1 else Effect.WOULD_STOP
    return replace(module, effect=effect)


def _joined(first: str, second: str) -> str:
    return "; ".join(each for each in (first, second) if each)

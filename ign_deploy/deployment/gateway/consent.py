"""Consent: nothing is accepted on a gateway that nobody agreed to."""

from __future__ import annotations

from ign_deploy.deployment.gateway.errors import ConsentMissing
from ign_deploy.deployment.gateway.model import Consent, Upload


def require_consent(upload: Upload, consent: Consent, *, host: str) -> None:
    """Raise ConsentMissing unless all that has to be accepted may be."""
    certificate = not upload.certificate_accepted and not consent.certificate
    license_text = not upload.license_accepted and not consent.license
    needed: list[str] = []
    options: list[str] = []
    if certificate:
        sha1 = upload.certificate_sha1
        needed.append(f"the certificate {sha1}" if sha1 else "that it is unsigned")
        options.append(f"--accept-certificate {sha1 or 'yes'}")
    if license_text:
        crc = upload.license_crc
        needed.append("its licence" if crc is None else f"its licence (CRC {crc})")
        options.append(f"--accept-license {'yes' if crc is None else crc}")
    if not needed:
        return
    raise ConsentMissing(
        f"{host} wants accepted for {upload.module_id}: {' and '.join(needed)}; "
        "nothing was installed",
        hint=f"if you agree, add {' '.join(options)}.",
        certificate_sha1=(upload.certificate_sha1 or "") if certificate else None,
        license_crc=upload.license_crc if license_text else None,
    )

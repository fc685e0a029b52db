"""What a gateway refuses, told so that its operator knows what to change."""

from __future__ import annotations

from ign_deploy.errors import DeploymentError


class GatewayRequestError(DeploymentError):
    """The gateway said no; ``status`` is the HTTP status (200 for a refusal inside a success)."""

    def __init__(self, message: str, *, hint: str = "", status: int) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class CommissioningError(DeploymentError):
    """The gateway waits for its commissioning: a person has to answer it in a browser."""

    code = "commissioning"


class RestartTimeout(DeploymentError):
    """The gateway wasn't running again when the deadline had passed."""

    code = "restart-timeout"


class ConsentMissing(DeploymentError):
    """Something has to be accepted and nobody agreed to it; nothing was installed.

    ``certificate_sha1`` and ``license_crc`` are what has to be accepted, None where nothing has;
    the certificate of an unsigned module is the empty string.
    """

    code = "consent"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        certificate_sha1: str | None = None,
        license_crc: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.certificate_sha1 = certificate_sha1
        self.license_crc = license_crc

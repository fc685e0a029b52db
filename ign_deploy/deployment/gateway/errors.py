"""Errors of gateways, worded so that their operator knows what to change."""

from __future__ import annotations

from ign_deploy.errors import DeploymentError, IgnDeployError


class GatewayRequestError(DeploymentError):
    """The gateway rejected a request; ``status`` is 200 if only the body says so."""

    def __init__(self, message: str, *, hint: str = "", status: int) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class CommissioningError(DeploymentError):
    """The gateway is in commissioning: someone has to finish it in a browser."""

    code = "commissioning"


class RestartTimeout(DeploymentError):
    """The gateway was not running again at the deadline."""

    code = "restart-timeout"


class ConsentMissing(DeploymentError):
    """The user hasn't agreed to something that has to be accepted; nothing was installed.

    ``certificate_sha1`` and ``license_crc`` are what has to be accepted, else None.
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


class ModuleMismatch(DeploymentError):
    """The gateway read another module in the file than the one that was verified."""

    code = "module-mismatch"


def explain_unexpected(problem: Exception) -> IgnDeployError:
    """Return the error, or one that says that it is a bug: one gateway must not stop the others."""
    if isinstance(problem, IgnDeployError):
        return problem
    return DeploymentError(
        f"unexpected {type(problem).__name__} while working with the gateway",
        hint="report it as a bug in ign-deploy, with the gateway's version.",
    )

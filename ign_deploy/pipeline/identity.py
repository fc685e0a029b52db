"""Settings → signing identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError, IdentityError

if TYPE_CHECKING:
    from ign_deploy.pipeline.context import RunContext
    from ign_deploy.signing.identity import SigningIdentity


_PASSWORDS = (
    "Passwords come from MODULE_SIGNING_PASSWORD (keystore or PEM key) and IGN_DEPLOY_KEY_PASSWORD "
    "(the key inside a keystore, where it differs)."
)


def load_signing_identity(context: RunContext) -> SigningIdentity:
    """Load the key and its certificates; raises IdentityError with the reason and what to do."""
    from ign_deploy.signing.identity import IdentityMaterial, load_identity

    settings = context.settings
    if not settings.is_signing_configured:
        raise IdentityError(
            "no signing key given",
            hint="give --keystore, or --key-path and --cert-path (or MODULE_SIGNING_KEY_PATH and "
            "MODULE_SIGNING_CERT_PATH). A pull request from a fork gets no secrets: use "
            "--skip-signing --skip-upload there.",
        )
    if settings.keystore and settings.key_path:
        raise ConfigurationError(
            "both a keystore and a key are given", hint="give --keystore or --key-path, not both."
        )
    password = settings.signing_password.get_secret_value() or None
    material = IdentityMaterial(
        key=settings.key_path or None,
        certificates=settings.cert_path or None,
        keystore=settings.keystore or None,
        store_password=password,
        key_password=settings.key_password.get_secret_value() or password,
        alias=settings.alias or None,
    )
    try:
        identity = load_identity(material)
    except IdentityError as problem:
        if "password" not in problem.message:
            raise
        raise IdentityError(problem.message, hint=f"{problem.hint} {_PASSWORDS}") from problem
    for note in identity.notes:
        context.reporter.warning(note)
    return identity

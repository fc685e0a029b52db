"""Settings → signing identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError, IdentityError
from ign_deploy.settings import Settings, missing_secret, option_name

if TYPE_CHECKING:
    from datetime import datetime

    from ign_deploy.report import Reporter
    from ign_deploy.signing.identity import SigningIdentity
    from ign_deploy.signing.keys.protocol import KeyAccess
    from ign_deploy.signing.keys.signer import DigestSigner
    from ign_deploy.signing.material import IdentityMaterial


_PASSWORDS = (
    "set the password of the keystore or PEM key as MODULE_SIGNING_PASSWORD, that of the key "
    "inside a keystore, where it differs, as IGN_DEPLOY_KEY_PASSWORD."
)


def _missing_password(env: Mapping[str, str]) -> str:
    return missing_secret(
        env,
        name="signing-password",
        variable="MODULE_SIGNING_PASSWORD",
        secret="SIGNING_PASSWORD",  # noqa: S106 - its name
    )


def load_signing_identity(
    settings: Settings, *, env: Mapping[str, str], reporter: Reporter, now: datetime
) -> SigningIdentity:
    """Load the key and its certificates; raises IdentityError with the reason and what to do.

    A certificate that has expired by ``now`` is refused, unless the settings accept it.
    """
    from ign_deploy.signing.identity import load_identity

    material = _material(settings, env)
    with _explained_passwords(settings, env):
        identity = load_identity(material, access=_access(settings, env, reporter))
    if identity.leaf.not_valid_after_utc < now and not settings.allow_expired:
        identity.close()
        raise _expired(settings, identity)
    for note in identity.notes:
        reporter.warning(note)
    return identity


def _expired(settings: Settings, identity: SigningIdentity) -> IdentityError:
    from ign_deploy.module.certificate_info import subject_of

    given = next(
        name for name in ("cert_path", "keystore", "key_path", "key") if getattr(settings, name)
    )
    end = identity.leaf.not_valid_after_utc
    return IdentityError(
        f"the certificate to sign with ({option_name(given)}), {subject_of(identity.leaf)}, "
        f"expired on {end:%Y-%m-%d %H:%M} UTC",
        hint="renew it, and give the new one.\nto sign with it nevertheless, give --allow-expired.",
    )


def load_old_identity(
    settings: Settings, *, env: Mapping[str, str], reporter: Reporter
) -> SigningIdentity:
    """Load the key and the certificate that are succeeded; raises IdentityError."""
    from ign_deploy.signing.identity import load_identity
    from ign_deploy.signing.keys import key_scheme
    from ign_deploy.signing.keys.protocol import KeyAccess
    from ign_deploy.signing.material import IdentityMaterial

    if not settings.old_key:
        raise IdentityError("no old signing key given", hint="give --old-key and --old-cert.")
    if key_scheme(settings.old_key):
        settings.require_named("old_key", decides="which library or service gets the PIN")
    given = settings.old_key_password.get_secret_value()
    password = given or settings.signing_password.get_secret_value() or None
    material = IdentityMaterial(
        key=settings.old_key,
        certificates=settings.old_cert or None,
        store_password=password,
        key_password=password,
    )
    pin = given or settings.signing_pin.get_secret_value()
    return load_identity(material, access=KeyAccess(pin=pin, env=env, reporter=reporter))


def open_given_key(
    settings: Settings, *, env: Mapping[str, str], reporter: Reporter
) -> DigestSigner:
    """Open the key that ``--key`` names, which may not have a certificate yet."""
    from ign_deploy.signing.identity import open_signer

    with _explained_passwords(settings, env):
        return open_signer(_material(settings, env), access=_access(settings, env, reporter))


def _access(settings: Settings, env: Mapping[str, str], reporter: Reporter) -> KeyAccess:
    from ign_deploy.signing.keys.protocol import KeyAccess

    pin = settings.signing_pin.get_secret_value()
    return KeyAccess(pin=pin, env=env, reporter=reporter)


@contextmanager
def _explained_passwords(settings: Settings, env: Mapping[str, str]) -> Iterator[None]:
    """Say which variables passwords come from."""
    try:
        yield
    except IdentityError as problem:
        if "password" not in problem.message:
            raise
        missing = "" if settings.signing_password.get_secret_value() else _missing_password(env)
        hint = "\n".join(filter(None, (missing, problem.hint, _PASSWORDS)))
        raise IdentityError(problem.message, hint=hint) from problem


def _material(settings: Settings, env: Mapping[str, str]) -> IdentityMaterial:
    """Return the key material of the settings, of which at most one key is given."""
    from ign_deploy.signing.keys import key_scheme
    from ign_deploy.signing.material import IdentityMaterial

    if not settings.is_signing_configured:
        missing = missing_secret(
            env,
            name="keystore",
            variable="IGN_DEPLOY_KEYSTORE",
            secret="SIGNING_KEYSTORE",  # noqa: S106 - its name
        )
        give = "give --key, --keystore, or --key-path and --cert-path."
        without = (
            "without a key, `module` and `batch` can only build: give them --skip-signing and "
            "--skip-upload."
        )
        raise IdentityError("no signing key given", hint=f"{missing or give}\n{without}")
    names = ("key", "key_path", "keystore")
    given = [option_name(name) for name in names if getattr(settings, name)]
    if len(given) > 1:
        raise ConfigurationError(
            f"several signing keys are given: {' and '.join(given)}",
            hint=f"give only one of them: {' or '.join(given)}.",
        )
    for name in ("key", "key_path"):  # a URI may be in either
        if key_scheme(getattr(settings, name)):
            settings.require_named(name, decides="which library or service gets the PIN of the key")
    password = settings.signing_password.get_secret_value() or None
    return IdentityMaterial(
        key=settings.key or settings.key_path or None,
        certificates=settings.cert_path or None,
        keystore=settings.keystore or None,
        store_password=password,
        key_password=settings.key_password.get_secret_value() or password,
        alias=settings.alias or None,
    )

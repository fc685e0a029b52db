"""The command generate-certificate."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import click

from ign_deploy.cli.formatting import certificate_lines, plain
from ign_deploy.cli.options import common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError


@click.command("generate-certificate", short_help="Generate a key and a self-signed certificate.")
@click.option("--common-name", required=True, help="Name on the certificate: your company.")
@click.option("--organization", default="", help="Organization on the certificate.")
@click.option(
    "--days",
    default=3650,
    show_default=True,
    type=click.IntRange(1, 36500),
    help="Validity in days.",
)
@click.option(
    "--key-size",
    default="3072",
    show_default=True,
    type=click.Choice(["3072", "4096"]),
    help="Size of the RSA key in bits.",
)
@click.option(
    "--format",
    "kind",
    default="pem",
    show_default=True,
    type=click.Choice(["pem", "pkcs12"]),
    help="Two PEM files, or one PKCS#12 keystore (requires MODULE_SIGNING_PASSWORD).",
)
@click.option(
    "-o",
    "--output-dir",
    "folder",
    default=".",
    show_default="the current folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Output folder.",
)
@click.option("--csr", "is_request", is_flag=True, help="With --key: make a signing request.")
@settings_options(
    "key", meanings={"key": ("Existing key: the URI of a key in hardware, or a path.", "URI")}
)
@common_options
def generate_certificate_command(
    session: Session,
    *,
    common_name: str,
    organization: str,
    days: int,
    key_size: Literal["3072", "4096"],
    kind: Literal["pem", "pkcs12"],
    folder: Path,
    is_request: bool,
) -> None:
    """Make a signing key and a self-signed code-signing certificate.

    The key is encrypted with MODULE_SIGNING_PASSWORD, or a password typed at the prompt. Existing
    files are never replaced. Keep the key: gateways accept a certificate once, and ask again for
    every new one. With --key, only the certificate is made, or with --csr the request that an
    authority signs, for a key that exists.
    """
    if session.settings.key:
        names = {"common_name": common_name, "organization": organization}
        _certify(session, names, days=days, folder=folder, is_request=is_request)
        return
    if is_request:
        raise ConfigurationError(
            "--csr needs an existing key, but --key is not given",
            hint="give --key; or leave out --csr to make a key with a self-signed certificate.",
        )
    from ign_deploy.signing.generate import generate_certificate

    made = generate_certificate(
        common_name=common_name,
        organization=organization,
        days=days,
        key_size=int(key_size),
        now=session.now,
        password=_new_password(session),
        folder=folder,
        container=kind,
    )
    document = {
        "result": "generated",
        "files": [str(path) for path in made.paths],
        "encrypted": made.is_encrypted,
        "certificate": made.info.as_dict(),
    }
    if not made.is_encrypted:
        session.reporter.warning(
            f"the key {made.key} is not encrypted: whoever can read the file can sign with it; "
            "set MODULE_SIGNING_PASSWORD to encrypt the next one"
        )
    lines = [*(f"made {path}" for path in made.paths), *certificate_lines(made.info)]
    session.answer(document, "\n".join(lines))


def _new_password(session: Session) -> str | None:
    """Return the password for a new key; on a terminal, it is prompted for."""
    given = session.settings.signing_password.get_secret_value()
    if given or session.as_json or not sys.stdin.isatty():
        return given or None
    text: str = click.prompt(
        "Password for the key (empty: not encrypted)",
        default="",
        show_default=False,
        hide_input=True,
        confirmation_prompt=True,
        err=True,
    )
    if text:
        session.reporter.mask(text)
    return text or None


def _certify(
    session: Session, names: Mapping[str, str], *, days: int, folder: Path, is_request: bool
) -> None:
    """Make the certificate of the key that --key names, or the request for one."""
    from ign_deploy.pipeline.identity import open_given_key
    from ign_deploy.signing.generate import certify_key

    source = click.get_current_context().get_parameter_source
    for name, option in (("key_size", "--key-size"), ("kind", "--format")):
        if source(name) is click.core.ParameterSource.COMMANDLINE:
            raise ConfigurationError(
                f"{option} is for a new key, but --key names one that exists",
                hint=f"leave out {option}, or --key.",
            )
    signer = open_given_key(session.settings, env=session.env, reporter=session.reporter)
    with closing(signer.key):
        made = certify_key(
            signer,
            common_name=names["common_name"],
            organization=names["organization"],
            days=days,
            now=session.now,
            folder=folder,
            is_request=is_request,
            reporter=session.reporter,
        )
    document: dict[str, Any] = {
        "result": "requested" if is_request else "generated",
        "files": [str(made.path)],
        "key": signer.key.location,
    }
    lines = [f"made {made.path} for the key in {plain(signer.key.location)}"]
    if made.info is not None:
        document["certificate"] = made.info.as_dict()
        lines += certificate_lines(made.info)
    session.answer(document, "\n".join(lines))

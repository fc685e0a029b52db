"""The command generate-certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ign_deploy.cli.formatting import certificate_lines
from ign_deploy.cli.options import common_options
from ign_deploy.cli.session import Session


@click.command(
    "generate-certificate", short_help="Make a signing key and a self-signed certificate."
)
@click.option("--common-name", required=True, help="The name on the certificate: your company.")
@click.option("--organization", default="", help="The organization on the certificate.")
@click.option(
    "--days",
    default=3650,
    show_default=True,
    type=click.IntRange(1, 36500),
    help="How long the certificate is valid.",
)
@click.option(
    "--key-size",
    default="3072",
    show_default=True,
    type=click.Choice(["3072", "4096"]),
    help="Bits of the RSA key.",
)
@click.option(
    "--format",
    "kind",
    default="pem",
    show_default=True,
    type=click.Choice(["pem", "pkcs12"]),
    help="Two PEM files, or one PKCS#12 keystore (needs MODULE_SIGNING_PASSWORD).",
)
@click.option(
    "-o",
    "--output-dir",
    "folder",
    default=".",
    show_default="the current folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the files.",
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
) -> None:
    """Make a signing key and a self-signed code-signing certificate.

    The key is encrypted with MODULE_SIGNING_PASSWORD when that is set. Existing files are never
    replaced. Keep the key: gateways accept a certificate once, and ask again for every new one.
    """
    from ign_deploy.signing.generate import generate_certificate

    made = generate_certificate(
        common_name=common_name,
        organization=organization,
        days=days,
        key_size=int(key_size),
        now=session.now,
        password=session.settings.signing_password.get_secret_value() or None,
        folder=folder,
        container=kind,
    )
    paths = [path for path in (made.key, made.certificate) if path is not None]
    document = {
        "result": "generated",
        "files": [str(path) for path in paths],
        "certificate": made.info.as_dict(),
    }
    lines = [*(f"made {path}" for path in paths), *certificate_lines(made.info)]
    session.answer(document, "\n".join(lines))

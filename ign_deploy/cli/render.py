"""The command render."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError, NotInRepository
from ign_deploy.files import write_atomically
from ign_deploy.pipeline.context import repository_url

if TYPE_CHECKING:
    from ign_deploy.render import RenderedModule
    from ign_deploy.repositories import Repository
    from ign_deploy.repositories.record import Release


@click.command("render", short_help="Write files for gateways in containers.")
@click.argument("kind", type=click.Choice(["compose", "kubernetes", "helm-values"]))
@click.argument("modules", nargs=-1, metavar="[MODULE[@VERSION]…]")
@click.option("--image", required=True, metavar="IMAGE", help="Gateway image, with tag.")
@click.option(
    "--ign-deploy-image",
    required=True,
    metavar="IMAGE",
    help="Image of ign-deploy, which downloads the modules; preferably by digest.",
)
@click.option(
    "--name",
    default="ignition",
    show_default=True,
    metavar="TEXT",
    help="Name of the gateway in the file.",
)
@click.option("--namespace", default="", metavar="TEXT", help="Kubernetes namespace.")
@click.option(
    "--repository-claim",
    default="",
    metavar="NAME",
    help="Volume claim that contains the repository, if it is a folder.",
)
@click.option(
    "--credentials-secret",
    default="",
    metavar="NAME",
    help="Kubernetes secret with the repository's credentials.",
)
@click.option(
    "--credentials-key",
    "credentials_keys",
    multiple=True,
    metavar="VARIABLE=KEY",
    help="Variable, and the key of that secret to set it from; repeatable.",
)
@click.option(
    "--admin-secret",
    default="",
    metavar="NAME",
    help="Kubernetes secret with the gateway's first user.",
)
@click.option("--accept-ignition-eula", is_flag=True, help="Accept Ignition's own licence.")
@click.option(
    "--storage-size",
    default="3Gi",
    show_default=True,
    metavar="SIZE",
    help="Size of the gateway's data volume.",
)
@click.option(
    "--http-port",
    default=8088,
    show_default=True,
    type=click.IntRange(1, 65535),
    metavar="N",
    help="Gateway port.",
)
@click.option(
    "-o",
    "--output",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output file.  [default: standard output]",
)
@settings_options("ignition", "accept_certificate", "accept_license", *REPOSITORY)
@common_options
def render_command(
    session: Session, *, kind: Any, modules: tuple[str, ...], output: Path | None, **options: Any
) -> None:
    """Write a file that starts a gateway with modules, downloaded and verified when it starts.

    Without MODULE, the newest version of every module. What is uncertain, and what must be accepted
    by hand, is listed on standard error and in comments of the file.
    """
    from ign_deploy.deployment.options import normal_fingerprint
    from ign_deploy.render import RenderOptions, Secret, render

    settings, reporter = session.settings, session.reporter
    chosen = modules_to_render(session.context.repository, modules, ignition=settings.ignition)
    keys = tuple(_pair(text) for text in options.pop("credentials_keys"))
    secret = Secret(options.pop("credentials_secret"), keys)
    url = repository_url(settings)
    render_options = RenderOptions(
        repository_url=url if "://" in url else str(Path(url).absolute()),
        credentials=secret,
        accept_certificates=tuple(map(normal_fingerprint, settings.accept_certificate)),
        accept_licenses=settings.accept_license,
        **options,
    )
    rendered = render(kind, chosen, render_options)
    for note in rendered.notes:
        reporter.warning(note)
    if output is not None:
        write_atomically(output, rendered.text.encode())
    document = {
        "result": "rendered",
        "text": rendered.text,
        "notes": list(rendered.notes),
        "modules": [{"id": each.id, "version": each.version} for each in chosen],
        **({"file": str(output)} if output else {}),
    }
    text = f"wrote {output}" if output else rendered.text
    session.answer(document, text, is_clean=output is None)


def _pair(text: str) -> tuple[str, str]:
    variable, sign, key = text.partition("=")
    if not (variable and sign and key):
        raise ConfigurationError(
            f"{text[:100]!a} is not a valid --credentials-key",
            hint="write VARIABLE=KEY, such as REPOSITORY_API_TOKEN=token.",
        )
    return variable, key


def modules_to_render(
    repository: Repository, names: Sequence[str], *, ignition: str = ""
) -> list[RenderedModule]:
    """Return the modules by ``NAME[@VERSION]``; without names, the newest of every module."""
    from ign_deploy.repositories.download import find_release
    from ign_deploy.repositories.search import ListFilter, list_modules

    if not names:
        entries = list_modules(repository, ListFilter(ignition=ignition))
        if not entries:
            raise NotInRepository("no modules are published", hint="publish one first.")
        return [_rendered(repository.fetch(entry.id, version=entry.version)) for entry in entries]
    found: list[RenderedModule] = []
    for name in names:
        module, _, version = name.partition("@")
        release = find_release(repository, module, version=version or None, ignition=ignition)
        found.append(_rendered(release))
    return found


def _rendered(release: Release) -> RenderedModule:
    from ign_deploy.render import RenderedModule

    file = release.module_file
    return RenderedModule(
        id=release.id,
        version=release.version,
        file_name=file.name,
        sha256=file.sha256,
        size=file.size,
        certificate_sha1=release.certificate.sha1,
        certificate_sha256=release.certificate.sha256,
        licence_crc=release.licence_crc,
    )

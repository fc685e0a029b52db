"""The one model of all settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

from ign_deploy.settings.deployment import DeploymentSettings
from ign_deploy.settings.events import EventSettings
from ign_deploy.settings.repository import RepositorySettings
from ign_deploy.settings.source import Lines, Source, Tags


class Settings(EventSettings, DeploymentSettings, RepositorySettings):
    """What a run was asked to do. Empty texts mean "not set"."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Annotated[
        str, Source("The version the module must have; nothing is released otherwise.")
    ] = ""
    module_id: Annotated[str, Source("The module id that the build must give.")] = ""
    environment: Annotated[
        str,
        Source(
            "The environment this is for; its history gets an entry.", env="DEPLOYMENT_ENVIRONMENT"
        ),
    ] = ""
    description: Annotated[str, Source("One sentence about this release.")] = ""
    notes: Annotated[
        str, Source("Notes for the release or the deployment: the text, or a file's path.")
    ] = ""
    tags: Annotated[
        Tags, Source("Tags for the release or the deployment, separated by commas.")
    ] = ()
    dry_run: Annotated[bool, Source("Check everything, change nothing.")] = False
    skip_packaging: Annotated[bool, Source("Take the module that is built already.")] = False
    skip_signing: Annotated[bool, Source("Take the module as it is, signed or not.")] = False
    skip_upload: Annotated[bool, Source("Stop after verifying.")] = False

    continue_on_error: Annotated[
        bool,
        Source("Go on with what doesn't depend on what failed; on gateways, with the next wave."),
    ] = False
    max_parallel: Annotated[
        int, Field(ge=0), Source("Modules worked on at once; 0: as many as usable processors.")
    ] = 0
    all: Annotated[bool, Source("Plan every module, also those that haven't changed.")] = False

    tag: Annotated[str, Source("The git tag that is released. Default: the CI host's.")] = ""
    tag_pattern: Annotated[
        str,
        Source("What the tag must look like; its {version} is the one to be built: v{version}."),
    ] = ""
    protected_branch: Annotated[
        Lines, Source("The commit must be on one of these branches; may be repeated.")
    ] = ()
    require_unpublished: Annotated[
        bool, Source("Refuse a version that is published already, even with the same bytes.")
    ] = False
    rehearsal: Annotated[
        bool, Source("Do everything, into a throw-away repository, and clean up.")
    ] = False

    output_dir: Annotated[
        Path, Source("The folder for what is made.", env="DEPLOYMENT_OUTPUT_DIR")
    ] = Path("dist")
    format: Annotated[
        Literal["modl", "zip", "both"],
        Source("What to make: the module, the distribution bundle, or both."),
    ] = "modl"
    gradle_args: Annotated[
        str,
        Source(
            "Arguments for the build; without a task among them, the usual tasks are added. "
            "Split as a shell does."
        ),
    ] = ""
    build_timeout: Annotated[int, Field(gt=0), Source("Seconds until a build is stopped.")] = 1800

    cert_path: Annotated[
        str,
        Source(
            "The signing certificate and its chain: path, Base64 or PEM text.",
            env="MODULE_SIGNING_CERT_PATH",
            material=True,
        ),
    ] = ""
    key_path: Annotated[
        str,
        Source(
            "The private key of the certificate: path, Base64 or PEM text.",
            env="MODULE_SIGNING_KEY_PATH",
            material=True,
        ),
    ] = ""
    keystore: Annotated[
        str,
        Source(
            "A PKCS#12 or JKS keystore with key and certificates: path or Base64.",
            env="IGN_DEPLOY_KEYSTORE",
            material=True,
        ),
    ] = ""
    alias: Annotated[
        str, Source("Which key of the keystore to sign with.", env="IGN_DEPLOY_ALIAS")
    ] = ""
    signing_password: Annotated[
        SecretStr,
        Source(
            "The password of the keystore, or of an encrypted PEM key.",
            env="MODULE_SIGNING_PASSWORD",
            secret=True,
        ),
    ] = SecretStr("")
    key_password: Annotated[
        SecretStr,
        Source(
            "The password of the key inside the keystore, where it differs.",
            env="IGN_DEPLOY_KEY_PASSWORD",
            secret=True,
        ),
    ] = SecretStr("")
    trust_anchor: Annotated[
        Lines,
        Source(
            "A certificate (file) that signatures must lead to; may be repeated.",
            env="MODULE_CA_CERT_PATH",
        ),
    ] = ()

    @classmethod
    def names(cls) -> Iterator[tuple[str, FieldInfo, Source]]:
        """Yield each setting's name, its field and how it can be given; not the file's tables."""
        for name, field in cls.model_fields.items():
            for item in field.metadata:
                if isinstance(item, Source):
                    yield name, field, item

    @property
    def is_signing_configured(self) -> bool:
        """Whether any key material was given."""
        return bool(self.keystore or self.key_path or self.cert_path)

"""The one model of all settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

from ign_deploy.errors import ConfigurationError
from ign_deploy.settings.deployment import DeploymentSettings
from ign_deploy.settings.events import EventSettings
from ign_deploy.settings.repository import RepositorySettings
from ign_deploy.settings.source import Lines, Source, Tags, Version, WebPage, default_variable


class Settings(EventSettings, DeploymentSettings, RepositorySettings):
    """What a run should do. An empty text means "not set"."""

    # Of all classes with settings, only this one is validated, and so needs a validator.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=False
    )

    found: Mapping[str, str] = {}
    """The settings from a config file that was found but not named, with their origins."""
    secret_files: tuple[Path, ...] = ()
    """The files that secrets were read from."""
    paths: Lines = ()
    """The projects of a batch or plan, as paths or patterns; only from the config file."""

    version: Annotated[Version, Source("Version the module must have.", metavar="VERSION")] = ""
    module_id: Annotated[str, Source("ID the module must have.", metavar="ID")] = ""
    environment: Annotated[
        str,
        Source("Target environment.", metavar="NAME", env="DEPLOYMENT_ENVIRONMENT"),
    ] = ""
    description: Annotated[
        str, Source("One-sentence description of the release.", default="the module's")
    ] = ""
    documentation_url: Annotated[
        WebPage, Source("Web page with the module's documentation.", metavar="URL")
    ] = ""
    notes: Annotated[
        str,
        Source("Release or deployment notes.", metavar="TEXT"),
    ] = ""
    notes_file: Annotated[
        str, Source("File with the notes, in the working directory.", metavar="PATH")
    ] = ""
    tags: Annotated[Tags, Source("Tags, separated by commas.", metavar="TAG,…")] = ()
    tested_on: Annotated[
        Tags,
        Source(
            "Ignition versions or lines the module was tested on, separated by commas.",
            metavar="VERSION,…",
        ),
    ] = ()
    max_ignition: Annotated[
        str,
        Source("Newest Ignition version or line the module supports.", metavar="VERSION"),
    ] = ""
    ignition: Annotated[
        str,
        Source("Only versions for a gateway with this Ignition: 8.3, or 8.3.4.", metavar="VERSION"),
    ] = ""
    dry_run: Annotated[bool, Source("Check everything, change nothing.")] = False
    skip_packaging: Annotated[
        bool, Source("Don't build; use the modules that are already built.")
    ] = False
    skip_signing: Annotated[bool, Source("Don't sign; use the module as it is.")] = False
    skip_upload: Annotated[bool, Source("Stop after verification.")] = False

    continue_on_error: Annotated[
        bool,
        Source("Continue with what doesn't depend on the failure, and with the next wave."),
    ] = False
    max_parallel: Annotated[
        int,
        Field(ge=0),
        Source("Number of modules processed at once.", metavar="N", default="one per usable CPU"),
    ] = 0
    all: Annotated[bool, Source("Include modules that haven't changed.")] = False

    tag: Annotated[
        str, Source("Git tag of the release.", metavar="TAG", default="the CI host's")
    ] = ""
    tag_pattern: Annotated[
        str,
        Source(
            "Form of the git tag, such as v{version}; the module must have that version.",
            metavar="PATTERN",
        ),
    ] = ""
    protected_branch: Annotated[
        Lines, Source("Branch that must contain the commit; repeatable.", metavar="BRANCH")
    ] = ()
    require_unpublished: Annotated[
        bool, Source("Fail if the version is already published, even with the same content.")
    ] = False
    rehearsal: Annotated[
        bool, Source("Run everything against a temporary repository, then clean up.")
    ] = False

    output_dir: Annotated[
        Path, Source("Output folder.", metavar="PATH", env="DEPLOYMENT_OUTPUT_DIR")
    ] = Path("dist")
    format: Annotated[
        Literal["modl", "zip", "both"],
        Source("Output: module, distribution bundle, or both."),
    ] = "modl"
    gradle_args: Annotated[
        str,
        Source(
            "Gradle or Maven arguments, split as in a shell; a task replaces the usual ones.",
            metavar="ARGS",
        ),
    ] = ""
    build_timeout: Annotated[
        int, Field(gt=0), Source("Time limit for the build.", metavar="SECONDS")
    ] = 1800
    isolate: Annotated[
        Literal["auto", "require", "off"],
        Source("Run builds as the user ign-build: if possible, or fail, or never."),
    ] = "auto"

    key: Annotated[
        str,
        Source(
            "Signing key: the URI of a key in hardware or a service, or like --key-path.",
            metavar="URI",
            env="MODULE_SIGNING_KEY",
            material=True,
        ),
    ] = ""
    signing_pin: Annotated[
        SecretStr,
        Source(
            "PIN of the token with the signing key.",
            env="MODULE_SIGNING_PIN",
            secret=True,
        ),
    ] = SecretStr("")
    cert_path: Annotated[
        str,
        Source(
            "Signing certificate and chain: path, Base64 or PEM text.",
            metavar="PATH",
            env="MODULE_SIGNING_CERT_PATH",
            material=True,
        ),
    ] = ""
    key_path: Annotated[
        str,
        Source(
            "Private key of the certificate: path, Base64 or PEM text.",
            metavar="PATH",
            env="MODULE_SIGNING_KEY_PATH",
            material=True,
        ),
    ] = ""
    keystore: Annotated[
        str,
        Source(
            "PKCS#12 or JKS keystore with key and certificates: path or Base64.",
            metavar="PATH",
            env="IGN_DEPLOY_KEYSTORE",
            material=True,
        ),
    ] = ""
    alias: Annotated[
        str,
        Source(
            "Alias of the key in the keystore.",
            metavar="NAME",
            env="IGN_DEPLOY_ALIAS",
            default="the only key",
        ),
    ] = ""
    signing_password: Annotated[
        SecretStr,
        Source(
            "Password of the keystore, or of an encrypted PEM key.",
            env="MODULE_SIGNING_PASSWORD",
            secret=True,
        ),
    ] = SecretStr("")
    key_password: Annotated[
        SecretStr,
        Source(
            "Password of the key in the keystore, if it differs.",
            default="that of the keystore",
            env="IGN_DEPLOY_KEY_PASSWORD",
            secret=True,
        ),
    ] = SecretStr("")
    old_key: Annotated[
        str,
        Source(
            "Signing key that is succeeded: a URI, or a path, Base64 or PEM text.",
            metavar="URI",
            material=True,
        ),
    ] = ""
    old_cert: Annotated[
        str,
        Source(
            "Certificate of the old key, with its chain: path, Base64 or PEM text.",
            metavar="PATH",
            material=True,
        ),
    ] = ""
    old_key_password: Annotated[
        SecretStr,
        Source(
            "Password or PIN of the old key, if it differs from the new one's.",
            secret=True,
        ),
    ] = SecretStr("")
    resign: Annotated[
        int,
        Field(ge=0),
        Source(
            "Sign the same content again, as this build number of its version: 1.2.3.N.",
            metavar="N",
            default="keep the version",
        ),
    ] = 0
    trust_anchor: Annotated[
        Lines,
        Source(
            "Certificate file that signatures must chain to; repeatable.",
            metavar="PATH",
            env="MODULE_CA_CERT_PATH",
        ),
    ] = ()
    expiry_warning_days: Annotated[
        int,
        Field(ge=0, le=36500),
        Source("Warn when a signing certificate has fewer days left; 0: never.", metavar="DAYS"),
    ] = 90
    follow_succession: Annotated[
        bool,
        Source("Trust signers that published statements lead to from a trust anchor."),
    ] = False
    allow_expired: Annotated[
        bool, Source("Accept certificates that have expired, to sign with or below a trust anchor.")
    ] = False

    @classmethod
    def names(cls) -> Iterator[tuple[str, FieldInfo, Source]]:
        """Yield each setting's name, its field and how it can be given, without ``gateways``."""
        for name, field in cls.model_fields.items():
            for item in field.metadata:
                if isinstance(item, Source):
                    yield name, field, item

    def require_named(self, *names: str, decides: str) -> None:
        """Raise ConfigurationError if a config file that was only found gives one of ``names``.

        They decide what whoever can change the working folder mustn't: which host gets a secret
        and how that host proves itself, or which programs run unprotected. ``decides`` says it.
        """
        for name in names:
            if name in self.found:
                setting = "gateway" if name == "gateways" else name
                own = {each: source.env for each, _, source in self.names()}[setting]
                raise ConfigurationError(
                    f"{self.found[name]} decides {decides}, but a config file that was only "
                    "found in the working folder is not trusted with that",
                    hint="if the file is yours, name it with --config, the input config or "
                    f"{default_variable('config')}; or set {own or default_variable(setting)}.",
                )

    def isolation(self) -> Literal["auto", "require", "off"]:
        """Return how builds are isolated; a config file that was only found can't turn it off."""
        if self.isolate == "off":
            self.require_named("isolate", decides="that builds are not isolated")
        return self.isolate

    def accepts_expired(self) -> bool:
        """Return whether expired certificates are accepted.

        A config file that was only found can't accept them below anchors that others named.
        """
        if self.allow_expired and self.trust_anchor and "trust_anchor" not in self.found:
            self.require_named("allow_expired", decides="that expired certificates are accepted")
        return self.allow_expired

    def follows_succession(self) -> bool:
        """Return whether statements are followed.

        A config file that was only found can't have them followed from anchors that others named.
        """
        if self.follow_succession and self.trust_anchor and "trust_anchor" not in self.found:
            self.require_named("follow_succession", decides="that other signers are trusted")
        return self.follow_succession

    @property
    def is_signing_configured(self) -> bool:
        """Whether any key material was given."""
        return bool(self.key or self.keystore or self.key_path or self.cert_path)

"""All settings in one model; each value knows where it came from.

Precedence: command line flag > action input > environment > env file > config file > default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from ign_deploy.errors import ConfigurationError

CONFIG_FILE = "ign-deploy.toml"
_MAX_CONFIG_SIZE = 1 << 20
_LONGEST_PATH = 4095
_LONGEST_MISSING_PATH = 255
_MAYBE_KEY = re.compile(r"[A-Za-z0-9+/_ -]{60,}={0,2}|.*-----.*")


@dataclass(frozen=True, slots=True)
class Source:
    """How a setting can be given, beside its flag, its action input and its config key.

    ``env`` is its environment variable. A ``secret`` has no flag (command lines can be read by
    other users) and no config key (files get committed); its value is masked wherever it appears.
    ``material`` may be a path, Base64 or the value itself: only the latter two are secrets.
    """

    help: str
    env: str = ""
    secret: bool = False
    material: bool = False


def _split_lines(value: object) -> object:
    """Accept one value a line (action inputs), or separated by commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.replace(",", "\n").splitlines() if part.strip())
    return value


def _split_tags(value: object) -> object:
    """Do as for lines, also inside each item: `--tags a,b` is two tags, no tag has a comma."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return _split_lines("\n".join(value))
    return _split_lines(value)


Lines = Annotated[tuple[str, ...], BeforeValidator(_split_lines)]
Tags = Annotated[tuple[str, ...], BeforeValidator(_split_tags)]


class Settings(BaseModel):
    """What a run was asked to do. Empty texts mean "not set"."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Annotated[
        str, Source("The version the module must have; nothing is released otherwise.")
    ] = ""
    module_id: Annotated[str, Source("The module id that the build must give.")] = ""
    environment: Annotated[
        str, Source("The environment this release is meant for.", env="DEPLOYMENT_ENVIRONMENT")
    ] = ""
    description: Annotated[str, Source("One sentence about this release.")] = ""
    notes: Annotated[str, Source("Release notes: the text, or the path of a file.")] = ""
    tags: Annotated[Tags, Source("Tags for this release, separated by commas.")] = ()
    dry_run: Annotated[bool, Source("Check everything, change nothing.")] = False
    skip_packaging: Annotated[bool, Source("Take the module that is built already.")] = False
    skip_signing: Annotated[bool, Source("Take the module as it is, signed or not.")] = False
    skip_upload: Annotated[bool, Source("Stop after verifying.")] = False

    continue_on_error: Annotated[
        bool, Source("In a batch, go on with what doesn't depend on a module that failed.")
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

    repository_url: Annotated[
        str,
        Source(
            "The repository: a folder or file: URL. Default: ./module-repository.",
            env="MODULE_REPOSITORY_URL",
        ),
    ] = ""

    @classmethod
    def names(cls) -> Iterator[tuple[str, FieldInfo, Source]]:
        """Yield each setting's name, its field and how it can be given."""
        for name, field in cls.model_fields.items():
            source = next(item for item in field.metadata if isinstance(item, Source))
            yield name, field, source

    @property
    def is_signing_configured(self) -> bool:
        """Whether any key material was given."""
        return bool(self.keystore or self.key_path or self.cert_path)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings and, by name, where each value that isn't a default came from."""

    settings: Settings
    origins: Mapping[str, str]

    def origin(self, name: str) -> str:
        """Say where a setting came from, as people know it: ``--version``, ``input version``, …."""
        return self.origins.get(name, "the default")

    def secrets(self) -> tuple[str, ...]:
        """Return every value that must never appear in any output."""
        found: list[str] = []
        for name, _, source in Settings.names():
            value = getattr(self.settings, name)
            if isinstance(value, SecretStr):
                found.append(value.get_secret_value())
            elif source.material and value and not _looks_like_path(value):
                found.append(value)
        return tuple(secret for secret in found if secret)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything settings can come from, beside the defaults; ``folder`` holds the config file."""

    env: Mapping[str, str]
    flags: Mapping[str, object]
    folder: Path
    use_action_inputs: bool = False
    config_file: Path | None = None
    env_file: Path | None = None

    def resolve(self) -> Resolved:
        """Merge all layers; raises ConfigurationError that names the layer of each wrong value."""
        values: dict[str, object] = {}
        origins: dict[str, str] = {}
        for layer in self._layers():
            for name, (value, origin) in layer.items():
                if "\0" in str(value):
                    raise ConfigurationError(
                        f"{origin} holds a NUL character", hint="give it as plain text."
                    )
                values[name] = value
                origins[name] = origin
        try:
            return Resolved(Settings.model_validate(values), origins)
        except ValidationError as cause:
            raise _explain(cause, origins) from None

    def _layers(self) -> Iterator[Mapping[str, tuple[object, str]]]:
        """Yield the layers, the weakest first."""
        yield _config_layer(self.config_file, self.folder)
        if self.env_file is not None:
            yield _environment_layer(_read_env_file(self.env_file), f" in {self.env_file}")
        yield _environment_layer(self.env, "")
        if self.use_action_inputs:
            yield _action_layer(self.env)
        yield {
            name: (value, option_name(name))
            for name, value in self.flags.items()
            if value is not None and value != ()
        }


def option_name(name: str) -> str:
    """Return a setting's command line option: ``--cert-path``."""
    return "--" + name.replace("_", "-")


def input_variable(name: str) -> str:
    """Return the variable that holds an action input: upper case, only spaces become ``_``."""
    return "INPUT_" + name.replace("_", "-").upper()


def default_variable(name: str) -> str:
    """Return the environment variable of a setting that has no older name of its own."""
    return "IGN_DEPLOY_" + name.upper()


def given_secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return every secret that ``env`` holds for us, for a run whose settings can't be used."""
    found: list[str] = []
    for name, _, source in Settings.names():
        for variable in (default_variable(name), source.env, input_variable(name)):
            value = env.get(variable, "") if variable else ""
            is_secret = source.secret or (source.material and not _looks_like_path(value))
            if value.strip() and is_secret:
                found.append(value)
    return tuple(found)


def _looks_like_path(value: str) -> bool:
    """Tell a path, also of a file that is missing, from key material, which is longer.

    The shortest key in Base64 has 64 characters. A message must be able to name a missing file.
    """
    if len(value) > _LONGEST_PATH or "\n" in value:
        return False
    if os.path.exists(value):
        return True
    return len(value) <= _LONGEST_MISSING_PATH and not _MAYBE_KEY.fullmatch(value.strip())


def _environment_layer(env: Mapping[str, str], where: str) -> dict[str, tuple[object, str]]:
    layer: dict[str, tuple[object, str]] = {}
    for name, _, source in Settings.names():
        for variable in (default_variable(name), source.env):
            value = env.get(variable, "") if variable else ""
            if value.strip():
                layer[name] = (_trimmed(value, source), f"{variable}{where}")
    return layer


def _action_layer(env: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    """Read INPUT_*; an input without a value arrives as an empty text, which means unset."""
    return {
        name: (_trimmed(env[variable], source), f"input {name.replace('_', '-')}")
        for name, _, source in Settings.names()
        if env.get(variable := input_variable(name), "").strip()
    }


def _trimmed(value: str, source: Source) -> str:
    """Drop the line feed that a YAML block leaves; a password is taken as it is."""
    return value if source.secret else value.strip()


def _config_layer(chosen: Path | None, folder: Path) -> dict[str, tuple[object, str]]:
    path, table = _read_config(chosen, folder)
    layer: dict[str, tuple[object, str]] = {}
    known = {name.replace("_", "-"): (name, source) for name, _, source in Settings.names()}
    for key, value in table.items():
        name, source = known.get(key.replace("_", "-"), ("", Source("")))
        if not name:
            near = get_close_matches(key, known, n=1)
            raise ConfigurationError(
                f"{path} has the unknown setting {key!a}",
                hint=f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}.",
            )
        if source.secret:
            raise ConfigurationError(
                f"{path} holds the secret setting {key!r}; a config file gets committed",
                hint=f"give it as the environment variable {source.env or default_variable(name)}.",
            )
        layer[name] = (value, f"{key} in {path}")
    return layer


def _read_config(chosen: Path | None, folder: Path) -> tuple[Path, Mapping[str, Any]]:
    if chosen is not None:
        return chosen, _config_table(chosen)
    own = folder / CONFIG_FILE
    if own.is_file():
        return own, _config_table(own)
    project = folder / "pyproject.toml"
    return project, _config_table(project) if project.is_file() else {}


def _config_table(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        if path.stat().st_size > _MAX_CONFIG_SIZE:
            raise ConfigurationError(
                f"{path} is too large for a config file", hint="check --config."
            )
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise ConfigurationError(
            f"cannot read {path}: {cause.strerror}", hint="check --config."
        ) from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise ConfigurationError(f"{path} isn't valid TOML: {cause}", hint="mend it.") from cause
    if path.name != "pyproject.toml":
        return document
    tools = document.get("tool", {})
    table = tools.get("ign-deploy", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigurationError(
            f"ign-deploy in the [tool] table of {path} is no table", hint="write [tool.ign-deploy]."
        )
    return table


def _read_env_file(path: Path) -> Mapping[str, str]:
    from dotenv import dotenv_values

    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}", hint="check --env-file.")
    values = dotenv_values(path, interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def _explain(problem: ValidationError, origins: Mapping[str, str]) -> ConfigurationError:
    """Rebuild pydantic's error without the values: they may be secrets."""
    parts: list[str] = []
    for item in problem.errors(include_input=False, include_url=False, include_context=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        parts.append(f"{origins.get(name, name)}: {item['msg']}")
    return ConfigurationError(
        "a setting can't be used: " + "; ".join(parts), hint="see `ign-deploy COMMAND --help`."
    )


__all__ = ["CONFIG_FILE", "Inputs", "Resolved", "Settings", "Source", "given_secrets"]

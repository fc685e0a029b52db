"""Layers of settings (file, environment, inputs, options), merged; each value has an origin."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr, ValidationError

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import decode_text, os_error_reason, read_regular
from ign_deploy.settings.config_file import ConfigLayer, config_layer
from ign_deploy.settings.model import Settings
from ign_deploy.settings.source import (
    Source,
    default_variable,
    input_variable,
    looks_like_path,
    option_name,
)

_LONGEST_PASSWORD_FILE = 4096
_LARGEST_ENV_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings and, by name, where each value that isn't a default came from."""

    settings: Settings
    origins: Mapping[str, str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def origin(self, name: str) -> str:
        """Return the origin of a setting as users know it: ``--version``, ``input version``."""
        return self.origins.get(name, "the default")

    def secrets(self) -> tuple[str, ...]:
        """Return every value that must never appear in any output."""
        return tuple(secret for _, secret in self.named_secrets())

    def named_secrets(self) -> Iterator[tuple[str, str]]:
        """Yield the origin and the value of every secret that is given."""
        for name, _, source in Settings.names():
            value = getattr(self.settings, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            elif not source.material or looks_like_path(value):
                continue
            if value:
                yield self.origin(name), value
        for gateway in self.settings.gateways:
            if value := self.env.get(gateway.token_variable, "") if gateway.token_variable else "":
                yield gateway.token_variable, value


@dataclass(frozen=True, slots=True)
class Inputs:
    """All sources of settings besides the defaults; ``folder`` contains the config file."""

    env: Mapping[str, str]
    flags: Mapping[str, object]
    folder: Path
    use_action_inputs: bool = False
    config_file: Path | None = None
    env_file: Path | None = None

    def resolve(self) -> Resolved:
        """Merge all layers; raises ConfigurationError, naming the origin of each wrong value."""
        values: dict[str, object] = {}
        secret_files = [self.env_file] if self.env_file else []
        origins: dict[str, str] = {}
        chosen = self._chosen_config()
        config = config_layer(chosen, self.folder)
        for layer in (config.values, *self._layers()):
            for name, (value, origin) in layer.items():
                if "\0" in str(value):
                    shown = config.excerpt(name) if layer is config.values else ""
                    raise ConfigurationError(
                        f"{origin} contains a NUL character{shown}", hint="give plain text."
                    )
                values[name] = _read_secret_file(name, value, origin)
                if values[name] is not value:
                    secret_files.append(Path(str(value).strip()))
                origins[name] = origin
        values["secret_files"] = tuple(secret_files)
        if chosen is None:
            found = {name: origin for name, (_, origin) in config.values.items()}
            values["found"] = {name: each for name, each in found.items() if origins[name] == each}
        try:
            return Resolved(Settings.model_validate(values), origins, self.env)
        except ValidationError as cause:
            raise _explain(cause, origins, config) from None

    def _chosen_config(self) -> Path | None:
        """Return the config file that the user named, if any."""
        named = self.env.get(input_variable("config"), "") if self.use_action_inputs else ""
        named = named.strip() or self.env.get(default_variable("config"), "").strip()
        return self.config_file or (Path(named) if named else None)

    def _layers(self) -> Iterator[Mapping[str, tuple[object, str]]]:
        """Yield the layers above the config file, weakest first."""
        if self.env_file is not None:
            yield _environment_layer(_read_env_file(self.env_file), f" in {self.env_file}")
        yield _environment_layer(self.env, "")
        if self.use_action_inputs:
            yield _action_layer(self.env)
        yield {
            name: (value, option_name(name))
            for name, value in self.flags.items()
            if value not in (None, (), "")  # --version "$EMPTY" means: not given
        }


def given_secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return every secret of ours in ``env``, for a run whose settings aren't valid."""
    found: list[str] = []
    for name, _, source in Settings.names():
        for variable in (default_variable(name), source.env, input_variable(name)):
            value = env.get(variable, "") if variable else ""
            is_secret = source.secret or (source.material and not looks_like_path(value))
            if value.strip() and is_secret:
                found.append(value)
    return tuple(found)


def _read_secret_file(name: str, value: object, origin: str) -> object:
    """Return the content of the file that a secret names: GitLab's File variables, mounts.

    Only the absolute path of an existing file counts; a final line feed is dropped.
    """
    source = next((source for known, _, source in Settings.names() if known == name), Source(""))
    if not (source.secret and isinstance(value, str) and value.startswith("/")):
        return value
    path = Path(value.strip())
    try:
        if not path.is_file():
            return value
        with path.open("rb") as stream:
            data = stream.read(_LONGEST_PASSWORD_FILE + 1)
        text = decode_text(data).removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as cause:
        reason = os_error_reason(cause) if isinstance(cause, OSError) else cause
        raise ConfigurationError(
            f"cannot read the file named by {origin}: {reason}", hint="save the secret as UTF-8."
        ) from None  # the cause would repeat the value
    if len(data) > _LONGEST_PASSWORD_FILE or not text:
        raise ConfigurationError(
            f"the file named by {origin} is {'empty' if not text else 'too large for a secret'}",
            hint="put only the secret into the file.",
        )
    return text


def _environment_layer(env: Mapping[str, str], where: str) -> dict[str, tuple[object, str]]:
    layer: dict[str, tuple[object, str]] = {}
    for name, _, source in Settings.names():
        for variable in (default_variable(name), source.env):
            value = env.get(variable, "") if variable else ""
            if value.strip():
                layer[name] = (_trimmed(value, source), f"{variable}{where}")
    return layer


def _action_layer(env: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    """Read INPUT_*; an input without a value arrives as an empty text, which means "not set"."""
    return {
        name: (_trimmed(env[variable], source), f"input {name.replace('_', '-')}")
        for name, _, source in Settings.names()
        if env.get(variable := input_variable(name), "").strip()
    }


def _trimmed(value: str, source: Source) -> str:
    """Drop the line feed that a YAML block adds; a secret stays as it is."""
    return value if source.secret else value.strip()


def _read_env_file(path: Path) -> Mapping[str, str]:
    from dotenv import dotenv_values

    if not path.is_file():
        raise ConfigurationError(f"env file {path} not found", hint="check --env-file.")
    try:
        text = decode_text(read_regular(path, limit=_LARGEST_ENV_FILE))
    except (OSError, ValueError) as cause:
        reason = os_error_reason(cause) if isinstance(cause, OSError) else cause
        raise ConfigurationError(
            f"cannot read the env file {path}: {reason}", hint="save it as UTF-8 text."
        ) from None  # the cause would repeat a value
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def _explain(
    problem: ValidationError, origins: Mapping[str, str], config: ConfigLayer
) -> ConfigurationError:
    """Rebuild pydantic's error without the values, which may be secrets."""
    parts: list[str] = []
    excerpts: list[str] = []
    for item in problem.errors(include_input=False, include_url=False, include_context=False):
        name, *inner = item["loc"] or ("",)
        name = str(name)
        origin = origins.get(name, name)
        parts.append(f"{origin}: {item['msg'].removeprefix('Value error, ')}")
        if name in config.values and config.values[name][1] == origin:
            excerpts.append(config.excerpt(name, *inner))
    return ConfigurationError(
        "invalid settings: " + "; ".join(parts) + "".join(excerpts),
        hint="see `ign-deploy COMMAND --help`.",
    )

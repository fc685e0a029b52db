"""How a setting can be given, and its names on the command line, in the action and elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from ign_deploy.module.version import plain_version

JOB_TOKENS = ("GITHUB_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD")
"""The variables of the CI hosts' own tokens: each is for its own host."""


@dataclass(frozen=True, slots=True)
class Source:
    """How a setting can be given, besides its option, its action input and its config key.

    ``env`` is its environment variable. A ``secret`` has no option (other users can read command
    lines) and no config key (files get committed); its value is masked wherever it appears.
    ``material`` may be a path, Base64 or the value itself: only the latter two are secrets.
    ``metavar`` and ``default`` are for the help: what the value is, and a default that depends. A
    ``PATH`` in a config file is relative to the file.
    """

    help: str
    metavar: str = "TEXT"
    default: str = ""
    env: str = ""
    secret: bool = False
    material: bool = False

    @property
    def is_path(self) -> bool:
        """Whether the value is the path of a file or folder."""
        return self.metavar == "PATH" or self.material


_LONGEST_PATH = 4095
_LONGEST_MISSING_PATH = 255
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!.*-----)")
_MAYBE_KEY = re.compile(r"[A-Za-z0-9+/_ -]{60,}={0,2}|.*-----.*")


def looks_like_path(value: str) -> bool:
    """Return whether this is a path, even of a missing file, or a URI, rather than key material.

    Key material is longer: the shortest key in Base64 has 64 characters. Messages must be able to
    name a missing file.
    """
    if len(value) > _LONGEST_PATH or "\n" in value:
        return False
    if os.path.exists(value) or _URI.match(value):
        return True
    return len(value) <= _LONGEST_MISSING_PATH and not _MAYBE_KEY.fullmatch(value.strip())


def _split_lines(value: object) -> object:
    """Accept one value per line (action inputs): URLs and file names may contain commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.splitlines() if part.strip())
    return value


def _split_tags(value: object) -> object:
    """Split at commas as well: `--tags a,b` is two tags, because no tag contains a comma."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        value = "\n".join(value)
    return _split_lines(value.replace(",", "\n") if isinstance(value, str) else value)


_WEB_PAGE = re.compile(r"https?://[!-~]+", re.IGNORECASE)


def _web_page(url: str) -> str:
    is_plain = _WEB_PAGE.fullmatch(url) and "@" not in url.split("/")[2]
    if url and not is_plain:
        raise ValueError("must be the URL of a web page, such as https://docs.example.com/pump")
    return url


Lines = Annotated[tuple[str, ...], BeforeValidator(_split_lines)]
Tags = Annotated[tuple[str, ...], BeforeValidator(_split_tags)]
Version = Annotated[str, AfterValidator(plain_version)]
"""A version, also as a git tag has it: ``v1.4.2``."""
WebPage = Annotated[str, AfterValidator(_web_page)]
"""The URL of a web page, without credentials; or empty."""


def option_name(name: str) -> str:
    """Return the command-line option of a setting: ``--cert-path``."""
    return "--" + name.replace("_", "-")


def input_variable(name: str) -> str:
    """Return the variable of an action input: in upper case, hyphens kept, as GitHub sets it."""
    return "INPUT_" + name.replace("_", "-").upper()


def missing_secret(env: Mapping[str, str], *, name: str, variable: str, secret: str) -> str:
    """Return where a CI job would have got a secret from; empty on a terminal.

    ``name`` is the input's, ``secret`` what our examples call it in the host's store.
    """
    if env.get("GITHUB_ACTIONS") == "true":
        by_input = any(each.startswith("INPUT_") for each in env)
        what = f"the input `{name}`" if by_input and name else f"the variable {variable}"
        return (
            f"{what} is empty: does the secret {secret} exist, and is this a fork's pull request "
            "(which gets no secrets)?"
        )
    if env.get("GITLAB_CI"):
        return (
            f"the variable {variable} is empty: does it exist under Settings > CI/CD, and is it "
            "protected although this branch or tag isn't?"
        )
    if env.get("JENKINS_URL"):
        return f"the variable {variable} is empty: does `withCredentials` set it?"
    return ""


def default_variable(name: str) -> str:
    """Return the environment variable that every setting has: ``IGN_DEPLOY_…``."""
    return "IGN_DEPLOY_" + name.upper()

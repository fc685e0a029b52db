"""Settings → repository; what a release record says beside the module itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.repositories import Repository
    from ign_deploy.repositories.access import Access

# In the working directory, not beside whatever PATH was given: every command finds the same one,
# and in a CI job it lies inside the workspace, where it can be kept.
DEFAULT_REPOSITORY = "module-repository"
_MAX_NOTES = 512 << 10


def repository_url(settings: Settings) -> str:
    """Return the repository's URL or folder."""
    return settings.repository_url or DEFAULT_REPOSITORY


def open_configured_repository(
    settings: Settings, *, env: Mapping[str, str], reporter: Reporter
) -> Repository:
    """Open the repository that the settings name."""
    from ign_deploy.repositories import open_repository

    url = repository_url(settings)
    return open_repository(url, access=repository_access(settings, env), reporter=reporter)


def repository_access(settings: Settings, env: Mapping[str, str]) -> Access:
    """Return what the repository may be reached with."""
    from ign_deploy.repositories.access import Access

    return Access(
        token=settings.repository_token.get_secret_value().strip(),
        username=settings.repository_username,
        password=settings.repository_password.get_secret_value(),
        ca=Path(settings.repository_ca) if settings.repository_ca else None,
        env=env,
        cache=Path(settings.cache_dir) if settings.cache_dir else None,
    )


def open_mirrored_repository(
    url: str, settings: Settings, *, env: Mapping[str, str], reporter: Reporter
) -> Repository:
    """Open the repository that is mirrored; it has credentials of its own."""
    from ign_deploy.repositories import open_repository

    access = replace(
        repository_access(settings, env),
        token=settings.source_token.get_secret_value().strip(),
        username=settings.source_username,
        password=settings.source_password.get_secret_value(),
    )
    return open_repository(url, access=access, reporter=reporter)


def read_notes(settings: Settings) -> str:
    """Return the release notes: the text itself, or the content of the file it names."""
    text = settings.notes
    if not text or "\n" in text or len(text) > 4096:
        return _bounded(text)
    # Not Path.is_file(), which raises for a sentence that is too long for a file name.
    if not os.path.isfile(text):
        return text
    path = Path(text)
    try:
        with path.open(encoding="utf-8") as stream:
            return _bounded(stream.read(_MAX_NOTES + 1))
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigurationError(
            f"cannot read the release notes {path}: {cause}", hint="give a UTF-8 text file."
        ) from cause


def _bounded(text: str) -> str:
    if len(text) > _MAX_NOTES:
        raise ConfigurationError(
            f"the release notes have more than {_MAX_NOTES} characters",
            hint="shorten --notes.",
        )
    return text


# What each host calls commit, run and who started it.
_COMMIT = ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT")
_BUILD = {
    "ref": ("GITHUB_REF", "CI_COMMIT_REF_NAME", "GIT_BRANCH"),
    "run": ("GITHUB_RUN_ID", "CI_JOB_ID", "BUILD_NUMBER"),
    "url": ("CI_JOB_URL", "BUILD_URL"),
    "actor": ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID"),
    "source": ("GITHUB_REPOSITORY", "CI_PROJECT_PATH", "JOB_NAME"),
}


def commit_of(env: Mapping[str, str]) -> str:
    """Return the commit that the CI host builds, or nothing."""
    return _first(env, _COMMIT)


def build_of(env: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return what is known about the build; all of it public in the host's own pages."""
    facts = {name: _first(env, variables) for name, variables in _BUILD.items()}
    server, run = env.get("GITHUB_SERVER_URL", ""), env.get("GITHUB_RUN_ID", "")
    if server and run and facts["source"]:
        facts["url"] = f"{server}/{facts['source']}/actions/runs/{run}"
    facts["environment"] = settings.environment
    return {name: value for name, value in facts.items() if value}


def actor_of(env: Mapping[str, str]) -> str:
    """Return who acts: the person that the CI host names, else the user of this machine."""
    return _first(env, (*_BUILD["actor"], "LOGNAME", "USER")) or _system_user()


def _system_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, as an unknown user
        return f"uid {os.getuid()}"


def _first(env: Mapping[str, str], variables: tuple[str, ...]) -> str:
    return next((env[name] for name in variables if env.get(name)), "")

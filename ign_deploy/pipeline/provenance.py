"""Where a run comes from: the commit, the CI job and the person, as the environment names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

# What each CI host calls the commit, the job and the person who started it.
_COMMIT = ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT")
_BUILD = {
    "ref": ("GITHUB_REF", "CI_COMMIT_REF_NAME", "GIT_BRANCH"),
    "run": ("GITHUB_RUN_ID", "CI_JOB_ID", "BUILD_NUMBER"),
    "url": ("CI_JOB_URL", "BUILD_URL"),
    "actor": ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID"),
    "source": ("GITHUB_REPOSITORY", "CI_PROJECT_PATH", "JOB_NAME"),
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who runs this, for which commit, in which CI job; empty where the environment names none.

    ``build`` holds what the CI host shows on its own public pages: ref, run, url, actor, source,
    and the target environment.
    """

    actor: str
    commit: str = ""
    build: Mapping[str, str] = field(default_factory=dict)

    @property
    def run_url(self) -> str:
        """The job's page."""
        return self.build.get("url", "")

    def redacted(self, redact: Callable[[str], str]) -> Self:
        """Return a copy without secrets, such as a token in the job's URL."""
        build = {name: redact(value) for name, value in self.build.items()}
        return replace(self, actor=redact(self.actor), commit=redact(self.commit), build=build)


def read_provenance(env: Mapping[str, str], *, environment: str = "") -> Provenance:
    """Read who runs this and where from the CI host's variables; see ``Provenance``."""
    build = {name: _first(env, variables) for name, variables in _BUILD.items()}
    server, run = env.get("GITHUB_SERVER_URL", ""), env.get("GITHUB_RUN_ID", "")
    if server and run and build["source"]:
        build["url"] = f"{server}/{build['source']}/actions/runs/{run}"
    build["environment"] = environment
    return Provenance(
        actor=_first(env, (*_BUILD["actor"], "LOGNAME", "USER")) or _system_user(),
        commit=_first(env, _COMMIT),
        build={name: value for name, value in build.items() if value},
    )


def _system_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, as an unknown user
        return f"uid {os.getuid()}"


def _first(env: Mapping[str, str], variables: tuple[str, ...]) -> str:
    return next((env[name] for name in variables if env.get(name)), "")

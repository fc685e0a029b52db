"""Questions to git about the checkout; names of branches and tags are data, never options.

The checkout is foreign, and so is its configuration: git starts no program for it and connects to
nothing.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ign_deploy.errors import ConfigurationError
from ign_deploy.process import protect_memory

_TIMEOUT = 60
# On the command line: it wins over the checkout's configuration.
_CONFIGURATION = (
    # In a container the checkout belongs to another user, which git rejects.
    *("-c", "safe.directory=*"),
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat"),
    *("-c", "core.sshCommand=false", "-c", "core.askPass=", "-c", "credential.helper="),
    *("-c", "diff.external=", "-c", "protocol.allow=never"),
)
_VARIABLES = {
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    # An object that is missing in a partial clone is missing.
    "GIT_NO_LAZY_FETCH": "1",
    # A list of what is allowed: unlike protocol.allow, a checkout can't extend it (protocol.ext).
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    # A file may well be called "*".
    "GIT_LITERAL_PATHSPECS": "1",
}


@dataclass(frozen=True, slots=True)
class Git:
    """The git checkout that holds ``folder``."""

    folder: Path
    env: Mapping[str, str]

    @classmethod
    def at(cls, folder: Path, env: Mapping[str, str]) -> Self | None:
        """Return the checkout around a file or folder, None where there is none."""
        where = folder.absolute()
        variables = {"PATH": env.get("PATH", os.defpath), **_VARIABLES}
        git = cls(where if where.is_dir() else where.parent, variables)
        return git if git._ask("rev-parse", "--is-inside-work-tree") == "true" else None

    def head(self) -> str:
        """Return the checked-out commit."""
        return self._ask("rev-parse", "--verify", "HEAD^{commit}") or ""

    def is_shallow(self) -> bool:
        """Return whether the history is truncated."""
        return self._ask("rev-parse", "--is-shallow-repository") == "true"

    def branches(self, name: str) -> list[str]:
        """Return the refs of a branch: those of remotes, or the local one without a remote."""
        remote = self._ask("for-each-ref", "--format=%(refname)", f"refs/remotes/*/{name}")
        local = self._ask("for-each-ref", "--format=%(refname)", f"refs/heads/{name}")
        return (remote or local or "").split()

    def contains(self, branch: str) -> bool:
        """Return whether the checked-out commit is on the branch (a full ref)."""
        return self._ask("merge-base", "--is-ancestor", "HEAD", branch) is not None

    def knows(self, commit: str) -> bool:
        """Return whether the commit (a full hash) is in this checkout."""
        return self._ask("cat-file", "-e", f"{commit}^{{commit}}") is not None

    def descends_from(self, commit: str) -> bool:
        """Return whether the checked-out commit is that one or a descendant."""
        return self._ask("merge-base", "--is-ancestor", commit, "HEAD") is not None

    def is_unchanged_since(self, commit: str, name: str) -> bool:
        """Return whether ``name``, relative to the folder, is unchanged since the commit."""
        question = ("diff", "--no-ext-diff", "--no-textconv", "--quiet")
        return self._ask(*question, commit, "HEAD", "--", name) is not None

    def tracks(self, name: str) -> bool:
        """Return whether git tracks anything under ``name``, relative to the folder."""
        return bool(self._ask("ls-tree", "--name-only", "HEAD", "--", name))

    def _ask(self, *arguments: str) -> str | None:
        """Return the output of git, None if it fails."""
        protect_memory()
        try:
            done = subprocess.run(
                ["git", *_CONFIGURATION, *arguments],
                cwd=self.folder,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except FileNotFoundError as cause:
            raise ConfigurationError(
                "git is not installed", hint="install git, or drop the setting that needs it."
            ) from cause
        except subprocess.TimeoutExpired as cause:
            raise ConfigurationError(
                f"git {arguments[0]} took longer than {_TIMEOUT} s", hint="check the checkout."
            ) from cause
        return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None

"""Questions to git about the checkout; names of branches and tags are data, never options.

The checkout is foreign, and so is its configuration: git starts no program for it and connects to
nothing. The repository and the commit are looked up once: a build that runs later could make the
folder look like a checkout of another repository, by a ``.git`` of its own.
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
    """The repository and the commit that a file or folder is checked out from.

    ``path`` is the file or folder as git has it, ``head`` the commit; empty where there is none.
    """

    repository: str
    path: str
    head: str
    env: Mapping[str, str]

    @classmethod
    def at(cls, path: Path, env: Mapping[str, str]) -> Self | None:
        """Return the checkout around a file or folder, None where there is none."""
        where = path.absolute()
        folder, name = (where, "") if where.is_dir() else (where.parent, where.name)
        variables = {"PATH": env.get("PATH", os.defpath), **_VARIABLES}
        if _ask("rev-parse", "--is-inside-work-tree", cwd=folder, env=variables) != "true":
            return None
        repository = _ask("rev-parse", "--absolute-git-dir", cwd=folder, env=variables)
        prefix = _ask("rev-parse", "--show-prefix", cwd=folder, env=variables)
        head = _ask("rev-parse", "--verify", "HEAD^{commit}", cwd=folder, env=variables)
        if not repository or prefix is None:
            return None
        inside = os.path.normpath(os.path.join(prefix, name))
        return cls(repository, inside, head or "", variables)

    def is_shallow(self) -> bool:
        """Return whether the history is truncated."""
        return self._ask("rev-parse", "--is-shallow-repository") == "true"

    def branches(self, name: str) -> list[str]:
        """Return the refs of a branch: those of remotes, or the local one without a remote.

        ``name`` may be written as git does: ``refs/heads/main``, ``origin/main``. That of a remote
        is its branch and no other, even if someone pushed one that is called ``origin/main``.
        """
        name = name.removeprefix("refs/remotes/").removeprefix("refs/heads/")
        exact = self._ask("for-each-ref", "--format=%(refname)", f"refs/remotes/{name}") or ""
        if f"refs/remotes/{name}" in exact.split():
            return [f"refs/remotes/{name}"]
        remote = self._ask("for-each-ref", "--format=%(refname)", f"refs/remotes/*/{name}")
        local = self._ask("for-each-ref", "--format=%(refname)", f"refs/heads/{name}")
        return (remote or local or "").split()

    def remote_url(self) -> str:
        """Return the URL of the remote ``origin``, empty without one; it may hold credentials."""
        return self._ask("config", "--get", "remote.origin.url") or ""

    def main_branch(self) -> str:
        """Return the remote's default branch, else the one that is checked out, else nothing."""
        known = self._ask("symbolic-ref", "--short", "refs/remotes/origin/HEAD") or ""
        return known.removeprefix("origin/") or self._ask("symbolic-ref", "--short", "HEAD") or ""

    def contains(self, branch: str) -> bool:
        """Return whether the checked-out commit is on the branch (a full ref)."""
        return self._is_ancestor(self.head, branch)

    def tagged(self, tag: str) -> str:
        """Return the commit of a tag, empty if there is no such tag."""
        ref = f"refs/tags/{tag}"
        form = "--format=%(refname) %(*objectname) %(objectname)"
        for line in (self._ask("for-each-ref", form, ref) or "").splitlines():
            name, *hashes = line.split(" ")
            if name == ref:
                return next(filter(None, hashes), "")
        return ""

    def left(self, branch: str) -> str:
        """Return the commit where the checked-out one left a branch (a full ref).

        Empty if it is on the branch, or has nothing in common with it.
        """
        base = (self.head and self._ask("merge-base", self.head, branch)) or ""
        return "" if base == self.head else base

    def knows(self, commit: str) -> bool:
        """Return whether the commit (a full hash) is in this checkout."""
        return self._ask("cat-file", "-e", f"{commit}^{{commit}}") is not None

    def descends_from(self, commit: str) -> bool:
        """Return whether the checked-out commit is that one or a descendant."""
        return self._is_ancestor(commit, self.head)

    def is_unchanged_since(self, commit: str) -> bool:
        """Return whether the file or folder is unchanged since the commit."""
        question = ("diff", "--no-ext-diff", "--no-textconv", "--quiet")
        return bool(self.head) and (
            self._ask(*question, commit, self.head, "--", self.path) is not None
        )

    def tracks_it(self, name: str = "") -> bool:
        """Return whether git tracks the file, or anything in the folder, or ``name`` in it."""
        question = ("ls-tree", "--name-only", "--full-tree")
        path = os.path.normpath(os.path.join(self.path, name))
        return bool(self.head) and bool(self._ask(*question, self.head, "--", path))

    def _is_ancestor(self, first: str, second: str) -> bool:
        return bool(first and second) and (
            self._ask("merge-base", "--is-ancestor", first, second) is not None
        )

    def _ask(self, *arguments: str) -> str | None:
        """Return the output of git, None if it fails; it sees no file but the repository's."""
        where = {"GIT_DIR": self.repository, "GIT_WORK_TREE": "/"}
        return _ask(*arguments, cwd=Path("/"), env={**self.env, **where})


def _ask(*arguments: str, cwd: Path, env: Mapping[str, str]) -> str | None:
    """Return the output of git without the last line's end, None if it fails."""
    protect_memory()
    try:
        done = subprocess.run(
            ["git", *_CONFIGURATION, *arguments],
            cwd=cwd,
            env=dict(env),
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
    return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else None

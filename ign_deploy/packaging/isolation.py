"""Whether a build can run as a user of its own, and running it so.

As root, a build runs as the user ``ign-build``, which owns the project only while it builds, has
no capability, and nothing of which survives. No namespace is needed: in a container, none can be
made.
"""

from __future__ import annotations

import os
import pwd
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ign_deploy.errors import ConfigurationError, PackagingError
from ign_deploy.files import explain_os_error
from ign_deploy.packaging.account_lock import hold_lock, try_lock_out
from ign_deploy.packaging.commands import gradle_user_home, maven_variables, runner_temp
from ign_deploy.packaging.handover import Handover, hand_back, hand_over
from ign_deploy.packaging.java import java_command
from ign_deploy.packaging.leftovers import remove_leftovers_of, shared_files_of
from ign_deploy.packaging.ownership import git_paths, git_variables
from ign_deploy.packaging.preload import load_everything
from ign_deploy.packaging.private import private_folder
from ign_deploy.packaging.project import Project
from ign_deploy.packaging.protected import Protected
from ign_deploy.process import Account, ProcessTimeout, end_processes_of, run_command

BUILD_USER = "ign-build"
IsolateMode = Literal["auto", "require", "off"]

_SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock")
_RUNNER_FILES = (
    *("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE"),
    *("GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH"),
)
_PROBE_TIMEOUT = 30.0
# Prints the first path that can't be reached (before "--"), or that can be used (after it) as the
# first argument says: -r for reading, -w for writing.
_PROBE = """
use=$1; shift
while [ "$1" != -- ]; do test -x "$1" || { echo "$1"; exit 3; }; shift; done; shift
for path; do if test "$use" "$path"; then echo "$path"; exit 4; fi; done
"""
_UNREACHABLE, _USABLE = 3, 4


@dataclass(frozen=True, slots=True)
class Isolation:
    """The user that builds, None when it is our own; ``gap`` says in one clause what is missing."""

    account: Account | None
    gap: str = ""

    def describe(self) -> str:
        """Say for the log what a build can't do, or what it could."""
        if self.account is None:
            return (
                f"the build is not isolated, because {self.gap}: it could read and change "
                "whatever this job can, its secrets and ign-deploy's own files included"
            )
        gap = f"; but {self.gap}" if self.gap else ""
        return f"the build is isolated: it runs as the user {self.account.name}{gap}"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a build gets: its user, a private folder, and variables.

    ``exposed`` is a secret file that it can read although it mustn't; empty if there is none.
    """

    account: Account | None
    private: Path
    variables: Mapping[str, str]
    exposed: str = ""


class IsolationError(PackagingError):
    """The build can't be isolated here, or not everything of it can be ended."""


@dataclass(slots=True)
class _Shared:
    """What the isolated builds of this process have in common: it ends with the last of them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    active: int = 0
    handovers: list[Handover] = field(default_factory=list)
    closed: list[tuple[str, os.stat_result]] = field(default_factory=list)
    files: frozenset[tuple[str, int]] = frozenset()


_shared = _Shared()
_NOTHING = Protected()


def choose_isolation(mode: IsolateMode, *, project: Project, env: Mapping[str, str]) -> Isolation:
    """Return the user that builds the project; raises ConfigurationError when one is required."""
    isolation = _isolation(mode, project=project, env=env)
    if mode == "require" and isolation.gap:
        raise ConfigurationError(
            f"the build can't be isolated: {isolation.gap}",
            hint=f"run as root where there is a user {BUILD_USER}, as in the container image; or "
            "drop --isolate require.",
        )
    return isolation


@contextmanager
def open_sandbox(
    project: Project,
    *,
    isolation: Isolation,
    env: Mapping[str, str],
    protected: Protected = _NOTHING,
) -> Iterator[Sandbox]:
    """Prepare a build; in the end, nothing of it is left, and every file has its owner back.

    Raises PackagingError when the project can't be handed over, ProcessesLeft when something of the
    build can't be ended.
    """
    load_everything()
    if isolation.account is None:
        with private_folder(parent=runner_temp(env)) as private:
            uid = os.geteuid()
            yield Sandbox(None, private, _tool_variables(project, env, uid=uid))
        return
    account = isolation.account
    with private_folder() as private:
        folder = str(private)
        os.chown(folder, account.uid, account.gid)
        inner = {**env, "HOME": folder}
        caches = _caches(project, env, account)
        if project.kind.is_gradle:
            # Not there is where nothing is kept: the folder ends with the build.
            inner["GRADLE_USER_HOME"] = str(caches[0] if caches else private / ".gradle")
            inner["GRADLE_OPTS"] = f"-Duser.home={folder} {env.get('GRADLE_OPTS', '')}".strip()
        for cache in caches:
            if project.kind.is_maven:
                (private / cache.name).symlink_to(cache)
        secret = [os.path.realpath(each) for each in protected.secret]
        with _handed_over(
            [project.root, *caches],
            account=account,
            kept=(*protected.in_project(project.root), *git_paths(project.root)),
            closed=_runner_paths(env, needed=(project.root, private, *caches)),
            secret=secret,
        ):
            variables = _tool_variables(project, inner, uid=account.uid)
            own = {"HOME": folder, "TMPDIR": folder, "USER": account.name, "LOGNAME": account.name}
            exposed = _probe(account, use="-r", protected=secret)[1]
            yield Sandbox(account, private, {**variables, **own}, exposed)


def _isolation(mode: IsolateMode, *, project: Project, env: Mapping[str, str]) -> Isolation:
    if mode == "off":
        return Isolation(None, "--isolate off was given")
    if os.geteuid() != 0:
        return Isolation(None, "ign-deploy doesn't run as root")
    try:
        entry = pwd.getpwnam(BUILD_USER)
    except KeyError:
        return Isolation(None, f"this machine has no user {BUILD_USER}")
    return _isolation_as(Account(BUILD_USER, entry.pw_uid, entry.pw_gid), project, env)


def _isolation_as(account: Account, project: Project, env: Mapping[str, str]) -> Isolation:
    """Try what the user can reach, and must not."""
    java = java_command(env)
    programs = [Path(each) for each in project.tool if each.startswith("/")]
    outside = [each for each in programs if not each.is_relative_to(project.root)]
    needed = [project.root.parent, *outside, *([java] if java else [])]
    code, said = _probe(account, reachable=needed, protected=_sockets(env))
    if code == 0:
        return Isolation(account)
    if code == _UNREACHABLE:
        return Isolation(None, f"the user {account.name} can't reach {said}")
    if code == _USABLE:
        return Isolation(account, f"the user {account.name} could use the socket {said}")
    return Isolation(None, f"ign-deploy can't switch to the user {account.name}: {said}")


def _sockets(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the sockets through which a container engine does what root can."""
    named = env.get("DOCKER_HOST", "")
    return (*_SOCKETS, named.removeprefix("unix://")) if named.startswith("unix://") else _SOCKETS


def _probe(
    account: Account,
    *,
    reachable: Iterable[Path] = (),
    protected: Iterable[str] = (),
    use: Literal["-r", "-w"] = "-w",
) -> tuple[int, str]:
    """Try, as that user, what it can reach, and that it can't use what is protected."""
    paths = [use, *map(str, reachable), "--", *protected]
    try:
        done = run_command(
            ["/bin/sh", "-c", _PROBE, "sh", *paths],
            cwd=Path("/"),
            env={"PATH": os.defpath},
            timeout=_PROBE_TIMEOUT,
            on_line=_ignore,
            account=account,
        )
    except ProcessTimeout:
        return 1, f"no answer within {_PROBE_TIMEOUT:g} s"
    return done.returncode, " ".join(done.tail)[:300]


def _ignore(line: str) -> None:
    """Ignore the line; the tail has it."""


def _tool_variables(project: Project, env: Mapping[str, str], *, uid: int) -> dict[str, str]:
    found = git_variables(project.root, uid=uid)
    if project.kind.is_gradle:
        options = {name: env[name] for name in ("GRADLE_OPTS",) if name in env}
        return {**found, **options, "GRADLE_USER_HOME": str(gradle_user_home(env))}
    return {**found, **maven_variables(env)}


def _caches(project: Project, env: Mapping[str, str], account: Account) -> list[Path]:
    """Return the tool's folder for caches, made if missing; none where the user can't reach it."""
    if not (env.get("HOME") or (project.kind.is_gradle and env.get("GRADLE_USER_HOME"))):
        return []
    folder = gradle_user_home(env) if project.kind.is_gradle else Path(env["HOME"], ".m2")
    if _probe(account, reachable=[folder.absolute().parent])[0] != 0:
        return []
    with suppress(OSError):
        folder.mkdir()
        parent = folder.parent.stat()
        os.chown(folder, parent.st_uid, parent.st_gid)
    return [folder.resolve()] if folder.is_dir() else []


def _runner_paths(env: Mapping[str, str], *, needed: Iterable[Path]) -> list[str]:
    """Return the runner's files and folders, except folders in which the build works."""
    files = [env[name] for name in _RUNNER_FILES if env.get(name)]
    folders = [os.path.dirname(file) for file in files] + [env.get("RUNNER_TEMP", "")]
    used = [path.resolve() for path in (Path.cwd(), *needed)]
    found = [each for each in (*files, *folders) if each and os.path.exists(each)]
    return [
        each
        for each in dict.fromkeys(found)
        if not any(path.is_relative_to(Path(each).resolve()) for path in used)
    ]


@contextmanager
def _handed_over(
    folders: Sequence[Path],
    *,
    account: Account,
    kept: Sequence[Path],
    closed: Sequence[str],
    secret: Sequence[str],
) -> Iterator[None]:
    """Hand the folders over, and close others to the account, while the block runs.

    Builds may run side by side, in one tree even, so everything is restored when the last ends.
    """
    with ExitStack() as stack:
        with _shared.lock:
            if not _shared.active:
                _shared.files = shared_files_of(account)
            _shared.active += 1
            stack.callback(_end, account)
            for path in (*closed, *secret):
                _close(path)
            hint = "check the project's folder, or give --isolate off."
            for folder in folders:
                with explain_os_error("hand over", folder, error=PackagingError, hint=hint):
                    _shared.handovers.append(hand_over(folder, account=account, kept=kept))
        _require_handed_over(folders[0], account, closed)
        # Held by every run on this machine that builds: the last one ends the user's processes.
        stack.callback(os.close, hold_lock())
        yield


def _require_handed_over(folder: Path, account: Account, closed: Sequence[str]) -> None:
    code, said = _probe(account, reachable=[folder], protected=closed)
    if code == 0:
        code, said = _probe(account, protected=[str(folder)])
        if code == _USABLE:
            return
        said = str(folder)
    what = f"{said} can't be closed to" if code == _USABLE else f"{said} can't be given to"
    raise IsolationError(
        f"{what} the user {account.name}, which builds",
        hint="use a file system that has owners, remove access control lists (setfacl -b), or give "
        "--isolate off.",
    )


def _end(account: Account) -> None:
    with _shared.lock:
        _shared.active -= 1
        if _shared.active:
            return
        try:
            _end_all(account)
        finally:
            handovers, _shared.handovers = _shared.handovers, []
            hand_back(handovers)
            closed, _shared.closed = _shared.closed, []
            for path, status in reversed(closed):
                _set_mode(path, status, stat.S_IMODE(status.st_mode))


def _end_all(account: Account) -> None:
    """End what the user still runs, and remove what it left; not while another run builds as it."""
    lock = try_lock_out()
    if lock is not None:
        try:
            end_processes_of(account)
            remove_leftovers_of(account, before=_shared.files)
        finally:
            os.close(lock)


def _close(path: str) -> None:
    """Take a file or folder away from all but its owner; a folder that all share is left."""
    with suppress(OSError):
        status = os.lstat(path)
        is_shared = status.st_mode & stat.S_ISVTX
        is_closed = not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if not (is_shared or is_closed):
            _set_mode(path, status, stat.S_IMODE(status.st_mode) & stat.S_IRWXU)
            _shared.closed.append((path, status))


def _set_mode(path: str, status: os.stat_result, mode: int) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_ino == status.st_ino:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

"""act, an independent runner of GitHub workflows, with an image of ours as the action.

It starts its containers through Podman's service, which speaks Docker's protocol. Workflows are
run as they are written; what needs the network is replaced, see ``STAND_INS``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, socket

from tests.support.git import git
from tests.support.node import BIN, ROOT
from tests.support.servers.processes import find_program, running

IMAGE = os.environ.get("IGN_DEPLOY_ACT_IMAGE", "")
"""The image to test, which is already built."""
RUNNER = os.environ.get("IGN_DEPLOY_ACT_RUNNER", "")
"""The image that jobs run in: a plain Debian, where a hosted runner has Ubuntu."""
FOLDER = ROOT / "tests" / "act" / "stand_ins"
STAND_INS: Mapping[str, Path | None] = {
    "actions/checkout": None,  # act copies the folder that it runs in, with its whole history
    "actions/upload-artifact": FOLDER / "upload-artifact",
    "actions/attest": FOLDER / "attest",
    "actions/setup-java": FOLDER / "setup-java",
}
"""What replaces the actions that would be fetched from GitHub; any other fails the test."""
_GH = FOLDER / "gh"  # part of a hosted runner
_OURS = "org/ign-deploy"
_USES = re.compile(r"uses: ([\w.-]+/[\w./-]+)@(\S+)")
_LINE = re.compile(r"^\[(?P<job>[^\]]+?) *\] ?(?P<text>.*)$")
_OUTPUT = re.compile(r"^ {2}\| ?")
_SUMMARY = "  ⚙  Summary - "
_TIMEOUT = 600.0  # a minute at most, on an idle machine


@dataclass(frozen=True)
class ActRun:
    """What act wrote about a run, and how it ended."""

    exit_code: int
    log: str

    def job(self, name: str) -> tuple[str, ...]:
        """Return the log of a job; ``release-2`` is the second one of a matrix."""
        found = (_LINE.match(line) for line in self.log.splitlines())
        return tuple(
            match["text"] for match in found if match and match["job"].split("/")[-1] == name
        )

    def output(self, name: str) -> tuple[str, ...]:
        """Return what the steps of a job printed, without the commands that act understood."""
        return tuple(
            _OUTPUT.sub("", line, count=1) for line in self.job(name) if _OUTPUT.match(line)
        )

    @property
    def jobs(self) -> dict[str, bool]:
        """The jobs that were run to their end, and whether they succeeded."""
        ends = re.findall(r"^\[[^\]]*?([^/\]]+?) *\] 🏁 {2}Job (\w+)$", self.log, re.MULTILINE)
        return {name: word == "succeeded" for name, word in ends}

    @property
    def summaries(self) -> tuple[str, ...]:
        """What the steps left for the job's page."""
        parts = self.log.split(_SUMMARY)[1:]
        return tuple(re.split(r"^\[", part, maxsplit=1, flags=re.MULTILINE)[0] for part in parts)

    def annotations(self, name: str) -> tuple[str, ...]:
        """Return the error, warning and notice commands of a job, as they were written."""
        marks = ("  ❗  ", "  🚧  ", "  ❓  ::notice")
        return tuple(line[5:] for line in self.job(name) if line.startswith(marks))


@dataclass
class Act:
    """act with a folder of its own, and the service that starts its containers."""

    folder: Path
    socket: Path
    runs: int = field(default=0)

    @property
    def share(self) -> Path:
        """Return what jobs have as ``/mnt/releases``."""
        return self.folder / "share"

    def run(
        self,
        project: Path,
        *,
        event: str = "push",
        ref: str = "refs/heads/main",
        secrets: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ActRun:
        """Run the workflows of a project for an event; the log is kept in ``act.log`` beside it."""
        self.runs += 1
        description = self.folder / f"event-{self.runs}.json"
        description.write_text(json.dumps({"ref": ref}))
        mounts = f"-v {_GH}:/usr/bin/gh:ro -v {self.share}:/mnt/releases"
        options = [
            *("--eventpath", str(description), "--pull=false", "--rm", "--no-cache-server"),
            *("--container-daemon-socket", "-", "--container-options", mounts),
            *("-P", f"ubuntu-latest={RUNNER}", "-P", f"self-hosted={IMAGE}"),
            *self._replacements(project),
        ]
        for name, value in {**(variables or {})}.items():
            options += ["--var", f"{name}={value}"]
        for name, value in {**(env or {})}.items():
            options += ["--env", f"{name}={value}"]
        for name in secrets or {}:
            options += ["--secret", name]  # its value comes from the environment
        child = subprocess.run(
            [str(BIN / "act"), event, *options],
            cwd=project,
            env=self._environment(secrets or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=False,
        )
        log = child.stdout.decode()
        with (project.parent / "act.log").open("a") as kept:
            kept.write(log)
        return ActRun(child.returncode, log)

    def _environment(self, secrets: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "DOCKER_HOST": f"unix://{self.socket}",
            **secrets,
        }

    def _replacements(self, project: Path) -> Iterator[str]:
        """Yield act's options that replace every action that the project's workflows use."""
        workflows = (project / ".github" / "workflows").glob("*.yml")
        used = {found for path in workflows for found in _USES.findall(path.read_text("utf-8"))}
        for name, ref in sorted(used):
            folder = self.folder / "action" if name == _OURS else STAND_INS[name]
            if folder is not None:
                yield from ("--local-repository", f"{name}@{ref}={folder}")


@contextmanager
def running_act(folder: Path) -> Iterator[Act]:
    """Start Podman's service, and make the action as the release workflow makes it: its image."""
    assert IMAGE, "run tools/act-check.sh"
    assert RUNNER, "run tools/act-check.sh"
    text = (ROOT / "action.yml").read_text("utf-8")
    released = text.replace("\n  image: Dockerfile\n", f"\n  image: docker://{IMAGE}\n")
    assert released != text
    (folder / "action").mkdir()
    (folder / "share").mkdir()
    (folder / "action" / "action.yml").write_text(released)
    address = folder / "podman.sock"
    command = [find_program("podman", packages="podman"), "system", "service"]
    # Five minutes unused, and it ends, whatever became of the tests.
    command += ["--time=300", f"unix://{address}"]
    settings = {key: value for key, value in os.environ.items() if key.startswith("CONTAINERS_")}
    with running(
        command, name="podman", folder=folder, ready=lambda: _answers(address), env=settings
    ):
        yield Act(folder, address)


def _answers(address: Path) -> bool:
    connection = HTTPConnection("podman", timeout=5)
    connection.sock = socket(AF_UNIX)
    try:
        connection.sock.connect(str(address))
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def checkout_with(project: Path, workflow: str, *, tag: str = "") -> Path:
    """Make the project a Git repository with that workflow, on GitHub and with that tag."""
    path = project / ".github" / "workflows" / "release.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(workflow, encoding="utf-8")
    if not (project / ".git").exists():
        git(project, "init", "--quiet", "--initial-branch=main")
        git(project, "remote", "add", "origin", "https://github.com/acme/modules.git")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message=first")
    if tag:
        git(project, "tag", tag)
    return project

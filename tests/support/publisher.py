"""A program that publishes from forked processes, at once or killed at a given step.

Started as its own process, so that the tests' own process, which may have threads, never forks.
Reads one JSON document from stdin: ``store`` (``url``, and what ``tests.contract.opened.Opened``
has beside it), ``jobs`` (each a list of [id, version, content]), and optionally ``kill_at`` (a file
operation's number), ``kill_at_request`` (an HTTP request's number; negative: after its answer),
``file_size_limit`` (bytes) or ``uid``. Prints one JSON list: for each process, the outcomes.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

# The test's folder, for `tests.support` itself.
sys.path.insert(0, str(Path(__file__).parents[2]))

import ign_deploy.repositories.directory  # noqa: F401 - loaded before the forks
from ign_deploy.errors import IgnDeployError
from ign_deploy.report import SilentReporter
from tests.contract.opened import Opened
from tests.support.http_steps import kill_self_at_request
from tests.support.releases import release_of

# Steps that change or open something; each is announced before it is done.
STEPS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.listdir",
     "os.scandir", "fcntl.flock"}
)  # fmt: skip


class CollectingReporter(SilentReporter):
    """Remembers the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, message: str) -> None:
        """Remember the message."""
        self.warnings.append(message)


def kill_self_at(step: int) -> None:
    """Kill this process (SIGKILL) right before its ``step``-th step from now."""
    done = 0

    def hook(event: str, _: tuple[Any, ...]) -> None:
        nonlocal done
        if event in STEPS:
            done += 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def publish_all(store: dict[str, Any], job: list[list[str]], folder: Path) -> list[str]:
    """Publish a job's versions one after another; return ``outcome`` or ``code: message``."""
    reporter = CollectingReporter()
    repository = Opened(**store).open(reporter=reporter)
    outcomes = []
    for module_id, version, content in job:
        release, files = release_of(
            folder, content=content.encode(), module_id=module_id, version=version
        )
        try:
            outcomes.append(repository.publish(release, files=files).outcome.value)
        except IgnDeployError as problem:
            outcomes.append(f"{problem.code}: {problem.message} / {problem.hint}")
    return outcomes + [f"warning: {warning}" for warning in reporter.warnings]


def child(order: dict[str, Any], number: int, start: int, answer: int) -> None:
    """Wait for the start, publish, and write the outcomes to the pipe."""
    folder = Path(order["work"]) / str(number)
    job = order["jobs"][number]
    for module_id, version, content in job:
        release_of(folder, content=content.encode(), module_id=module_id, version=version)
    if limit := order.get("file_size_limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if uid := order.get("uid"):
        os.setgid(uid)
        os.setuid(uid)
    os.read(start, 1)
    if step := order.get("kill_at"):
        kill_self_at(step)
    if number_of_request := order.get("kill_at_request"):
        kill_self_at_request(number_of_request)
    os.write(answer, json.dumps(publish_all(order["store"], job, folder)).encode())


def run(order: dict[str, Any]) -> list[list[str]]:
    """Fork one process per job, start them together, and collect what they say.

    A killed process has the outcome ``killed``.
    """
    start, go = os.pipe()
    pipes = []
    for number in range(len(order["jobs"])):
        answer, write = os.pipe()
        if os.fork() == 0:
            os.close(go)
            try:
                child(order, number, start, write)
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.close(write)
        pipes.append(answer)
    os.close(start)
    os.close(go)
    outcomes = []
    for answer in pipes:
        with os.fdopen(answer, "rb") as stream:
            text = stream.read()
        outcomes.append(json.loads(text) if text else ["killed"])
    for _ in pipes:
        os.wait()
    return outcomes


def main() -> None:
    """Do one order, or each order of a list."""
    orders = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        results = [
            run({**order, "work": f"{folder}/{number}"}) for number, order in enumerate(orders)
        ]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()

"""A program that publishes from forked processes, at once or killed at a given step.

Started as its own process, so that the tests' own process, which may have threads, never forks.
Reads one JSON document from stdin: ``at_once`` (how many orders may be under way together) and
``orders``. An order has a ``store`` (``url``, and what ``tests.contract.opened.Opened`` has beside
it), ``jobs`` (each a list of [id, version, content]), and optionally ``kill_at`` (a file
operation's number), ``kill_at_request`` (an HTTP request's number; negative: after its answer),
``alone`` (it meets no other run), ``file_size_limit`` (bytes) or ``uid``. Prints, for each order,
for each process the outcomes.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The test's folder, for `tests.support` itself.
sys.path.insert(0, str(Path(__file__).parents[2]))

import requests  # noqa: F401 - loaded once, before the forks, like the backends below
import tenacity  # noqa: F401

from ign_deploy.errors import IgnDeployError
from ign_deploy.repositories.page import page_bytes
from tests.contract.opened import EAGER, QUICK, Opened
from tests.support.http_steps import kill_self_at_request
from tests.support.releases import release_of
from tests.support.reporting import Recorder

# Steps that change or open something; each is announced before it is done.
STEPS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.listdir",
     "os.scandir", "fcntl.flock"}
)  # fmt: skip


# Another user may not be able to read our source tree.
page_bytes()
# It is killed, but no test cuts the power.
os.fsync = os.fstat  # type: ignore[assignment]


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


def publish_all(order: dict[str, Any], job: list[list[str]], folder: Path) -> list[str]:
    """Publish a job's versions one after another; return ``outcome`` or ``code: message``."""
    reporter = Recorder()
    wait_policy = EAGER if order.get("alone") else QUICK
    repository = Opened(**order["store"]).open(reporter=reporter, wait_policy=wait_policy)
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
    os.write(answer, json.dumps(publish_all(order, job, folder)).encode())


@dataclass(frozen=True)
class Running:
    """The processes of an order: where each answers, and their numbers."""

    pipes: list[int]
    children: list[int]

    def outcomes(self) -> list[list[str]]:
        """Wait for the end, and return what they say; a killed one has the outcome ``killed``."""
        found = []
        for answer in self.pipes:
            with os.fdopen(answer, "rb") as stream:
                text = stream.read()
            found.append(json.loads(text) if text else ["killed"])
        for each in self.children:
            os.waitpid(each, 0)
        return found


def begin(order: dict[str, Any]) -> Running:
    """Fork one process per job, and start them together."""
    start, go = os.pipe()
    pipes, children = [], []
    for number in range(len(order["jobs"])):
        answer, write = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(go)
            try:
                child(order, number, start, write)
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.close(write)
        pipes.append(answer)
        children.append(process)
    os.close(start)
    os.close(go)
    return Running(pipes, children)


def main() -> None:
    """Do the orders, so many of them at once."""
    request = json.load(sys.stdin)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for order in request["orders"][:1]:
            Opened(**order["store"]).open()  # loads the backend
        waiting: deque[Running] = deque()
        for number, order in enumerate(request["orders"]):
            if len(waiting) == request["at_once"]:
                results.append(waiting.popleft().outcomes())
            waiting.append(begin({**order, "work": f"{folder}/{number}"}))
        results += [each.outcomes() for each in waiting]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()

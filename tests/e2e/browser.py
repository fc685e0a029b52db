"""Debian's Chromium, driven by Playwright: pages visited as a person with a keyboard would."""

from __future__ import annotations

import json
import mimetypes
import os
import select
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.support.node import BIN, TOOLS
from tests.support.serving import HttpServer, Reply, Request, serving

SCRIPT = Path(__file__).with_name("browser.mjs")
CHROMIUM = "/usr/bin/chromium"
_SECONDS = 180


@dataclass(frozen=True)
class PageVisit:
    """What to do with a page: steps as ``browser.mjs`` knows them, in a window of that width.

    ``now`` is the time of the page's clock, by default the real one.
    """

    url: str
    steps: Sequence[tuple[str, str | None]] = ()
    width: int = 1280
    dark: bool = False
    javascript: bool = True
    motion: bool = False
    now: str | None = None


@dataclass(frozen=True)
class Answer:
    """What happened: requested URLs, dialogs, errors and warnings of the console, directives of
    the policy that were violated, and the value of each ``evaluate`` and ``axe`` step."""

    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was executed, blocked or reported."""
        return not (self.dialogs or self.errors or self.violations)


class Browser:
    """A Chromium that runs until the tests are done, and makes the visits it is sent."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def visit(self, *visits: PageVisit) -> list[Answer]:
        """Make the visits one after another, each with a profile of its own."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps([asdict(visit) for visit in visits]).encode() + b"\n")
        self._child.stdin.flush()
        ready, _, _ = select.select([self._child.stdout], [], [], _SECONDS)
        assert ready, f"the browser didn't answer within {_SECONDS} s"
        answers = json.loads(self._child.stdout.readline() or '"the browser ended"')
        assert isinstance(answers, list), answers
        return [Answer(**answer) for answer in answers]


@contextmanager
def running_browser(home: Path) -> Iterator[Browser]:
    """Run a Chromium with that home. A missing one is a failure."""
    chromium = shutil.which(CHROMIUM)
    assert chromium, f"{CHROMIUM} is missing; install it: apt-get install chromium"
    assert TOOLS.is_dir(), "tools/node_modules is missing; run: tools/setup.sh tests"
    child = subprocess.Popen(
        [str(BIN / "node"), str(SCRIPT), chromium, str(home)],
        cwd=home,
        env={"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield Browser(child)
        child.communicate(timeout=_SECONDS)  # it ends with its input
    finally:
        child.kill()
        child.wait()


class _Site(HttpServer):
    def __init__(self, folder: Path, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._folder = folder
        self._headers = headers

    def respond(self, request: Request) -> Reply:
        path = self._folder / request.decoded_path.lstrip("/")
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            return Reply(404)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return Reply(200, {"Content-Type": kind, **self._headers}, path.read_bytes())


@contextmanager
def static_site(folder: Path, *, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve the folder on loopback with more headers; yields its address, with a slash."""
    with serving(_Site(folder, headers or {})) as server:
        yield f"{server.url}/"

"""Debian's Chromium, driven by Playwright: pages visited as a person with a keyboard would."""

from __future__ import annotations

import json
import mimetypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.node import BIN, TOOLS
from tests.support.serving import HttpServer, Reply, Request, serving

SCRIPT = Path(__file__).with_name("browser.mjs")
CHROMIUM = "/usr/bin/chromium"


@dataclass(frozen=True)
class PageVisit:
    """What to do with a page: steps as ``browser.mjs`` knows them, in a window of that width."""

    url: str
    steps: Sequence[tuple[str, str | None]] = ()
    width: int = 1280
    dark: bool = False
    javascript: bool = True
    motion: bool = False


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


def browse(folder: Path, *visits: PageVisit) -> list[Answer]:
    """Make the visits one after another, each with a profile of its own.

    ``folder`` is the browser's home. A missing Chromium is a failure.
    """
    chromium = shutil.which(CHROMIUM)
    assert chromium, f"{CHROMIUM} is missing; install it: apt-get install chromium"
    assert TOOLS.is_dir(), "tools/node_modules is missing; run: tools/setup.sh tests"
    request = {
        "executable": chromium,
        "home": str(folder),
        "visits": [
            {
                "url": visit.url,
                "width": visit.width,
                "dark": visit.dark,
                "javascript": visit.javascript,
                "motion": visit.motion,
                "script": list(visit.steps),
            }
            for visit in visits
        ],
    }
    child = subprocess.run(
        [str(BIN / "node"), str(SCRIPT)],
        input=json.dumps(request).encode(),
        cwd=folder,
        env={"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": str(folder)},
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert child.returncode == 0, child.stderr.decode(errors="replace")
    return [Answer(**answer) for answer in json.loads(child.stdout)]


class _Site(HttpServer):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def respond(self, request: Request) -> Reply:
        path = self._folder / request.decoded_path.lstrip("/")
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            return Reply(404)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return Reply(200, {"Content-Type": kind}, path.read_bytes())


@contextmanager
def static_site(folder: Path) -> Iterator[str]:
    """Serve the folder on loopback; yields the address, with a slash at the end."""
    with serving(_Site(folder)) as server:
        yield f"{server.url}/"

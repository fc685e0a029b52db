"""What a simulated GitHub knows beside its repository: tokens, faults to come, what was seen."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.github.checking import Checker
from tests.support.github.state import SimulatedRepository

WRITER = "ghp_writer"
READER = "ghp_reader"
JOB = "ghs_job"
JOB_READER = "ghs_job_reader"
# A job's token is an installation's; a reader's owner may write, but not with that token.
ROLES = {WRITER: "write", READER: "reader", JOB: "job", JOB_READER: "job-reader"}


@dataclass
class Fault:
    """What goes wrong with requests whose ``METHOD path`` matches ``pattern``, ``times`` times.

    ``kind``: ``answer`` (instead of doing it), ``lost`` (does it, then breaks the connection),
    ``broken`` (breaks it, does nothing), ``starter`` (an upload ends with a 502 and half a file),
    ``after`` (does it, then answers so nevertheless). ``skip`` requests go well first.
    """

    pattern: str
    kind: str = "answer"
    status: int = 502
    document: Any = field(default_factory=lambda: {"message": "Server Error"})
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    skip: int = 0


class Simulator:
    """The server's common state. ``seen`` holds ``METHOD path`` of every API request."""

    def __init__(self, repository: SimulatedRepository) -> None:
        self.repository = repository
        self.faults: list[Fault] = []
        self.violations: list[str] = []
        self.seen: list[str] = []
        self.checker = Checker()
        self.lock = threading.Lock()
        self.base = ""
        self.downloads = ""

    @property
    def url(self) -> str:
        """The repository URL of ign-deploy for it."""
        return f"github://{self.repository.full_name}?api={self.base}"

    def violate(self, text: str) -> None:
        """Note what GitHub wouldn't take."""
        with self.lock:
            self.violations.append(text)

    def next_fault(self, line: str) -> Fault | None:
        """Note the request; return what is to go wrong with it."""
        with self.lock:
            self.seen.append(line)
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, line):
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

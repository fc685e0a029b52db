"""An attacker's process: it changes a file through memory, so that no time of the file changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """
import mmap, sys
contents = [open(path, "rb").read() for path in sys.argv[2:]]
with open(sys.argv[1], "r+b") as stream:
    memory = mmap.mmap(stream.fileno(), 0)
memory[:] = memory[:]  # marks every page as written: later writes aren't noticed by the kernel
print("mapped", flush=True)
for line in sys.stdin:
    if line.strip() == "flip":
        while True:
            for content in contents:
                memory[:] = content
    memory[:] = contents[int(line)]
    print("written", flush=True)
"""


@dataclass(frozen=True, slots=True)
class MappedWriter:
    """Writes one of several contents of equal size into a file that it has mapped."""

    process: subprocess.Popen[str]

    def write(self, number: int) -> None:
        """Write that content, completely."""
        self._send(str(number))
        assert self._answer() == "written"

    def flip(self) -> None:
        """Write all contents in turn, until the end."""
        self._send("flip")

    def _send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def mapped_writer(target: Path, *contents: Path) -> Iterator[MappedWriter]:
    """Start the process; it has mapped ``target`` when this returns."""
    command = [sys.executable, "-I", "-c", _PROGRAM, str(target), *map(str, contents)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        writer = MappedWriter(process)
        try:
            assert writer._answer() == "mapped"
            yield writer
        finally:
            process.kill()

"""Folders in folders, deeper than a path can be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_MAKE = """
import os, sys
os.chdir(sys.argv[1])
for _ in range(int(sys.argv[2])):
    os.mkdir(sys.argv[3])
    os.chdir(sys.argv[3])
open("end", "w").close()
"""
_OWNER = """
import os, sys
os.chdir(sys.argv[1])
for _ in range(int(sys.argv[2])):
    os.chdir(sys.argv[3])
print(os.stat("end").st_uid)
"""


def make_deep(top: Path, depth: int, *, name: str = "d" * 100) -> None:
    """Make folders of one name in each other, and a file called ``end`` in the last one."""
    subprocess.run([sys.executable, "-c", _MAKE, str(top), str(depth), name], check=True)


def owner_of_deep(top: Path, depth: int, *, name: str = "d" * 100) -> int:
    """Return the user who owns the file at the end."""
    done = subprocess.run(
        [sys.executable, "-c", _OWNER, str(top), str(depth), name],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


def remove_deep(folder: Path) -> None:
    """Remove a folder that is deeper than Python's own functions can."""
    subprocess.run(["rm", "-rf", "--", str(folder)], check=True)

"""Files that are generated from seeds and read by Java as well as by us.

``IGN_DEPLOY_TEST_FILES`` says how many are generated for each test (2,000 without it), and
``IGN_DEPLOY_TEST_SEED`` from which seed. Every failure names the seed of its file.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

COUNT = int(os.environ.get("IGN_DEPLOY_TEST_FILES", "2000"))
SEED = int(os.environ.get("IGN_DEPLOY_TEST_SEED", "20261128"))
BATCH = 2000


def batches() -> list[range]:
    """Return the seeds of one test run in pieces, each for one call of Java."""
    starts = range(0, COUNT, BATCH)
    return [range(SEED + first, SEED + min(first + BATCH, COUNT)) for first in starts]


def read_by_java(reader: Path, folder: Path, count: int) -> list[list[str]]:
    """Let a Java program read the files 0, 1, … of a folder; return its words for each of them."""
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", str(reader), str(folder), str(count)],
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )
    return [line.split() for line in done.stdout.splitlines()]

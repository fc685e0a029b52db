"""`python -m benchmarks.sender ORDER`: uploads files with our code, in its own process.

ORDER is JSON: ``files`` (each [url, path, size, sha256]), ``workers``, and ``pooled`` (one session
for all files, instead of one per file). Writes to the path ``result``: the total seconds of the
transfers, without interpreter startup, and the process's peak memory in bytes.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import tenacity  # noqa: F401 - imported lazily by the retry policy; must not be measured here

from ign_deploy.module.parallel import map_parallel
from ign_deploy.net.client import Client
from ign_deploy.net.session import HttpSession, open_http_session
from ign_deploy.net.upload import UploadSource
from ign_deploy.report import no_progress


def send(session: HttpSession, file: list[Any]) -> None:
    """Upload one file; raises NetworkError when the server refuses it."""
    url, path, size, sha256 = file
    source = UploadSource(Path(path), size, sha256)
    Client(session).upload("PUT", url, source=source, title="uploading", progress=no_progress)


def send_fresh(file: list[Any]) -> None:
    """Upload one file through its own session."""
    with open_http_session() as session:
        send(session, file)


def peak_memory() -> int:
    """Return this process's peak memory in bytes.

    Not ru_maxrss, which includes the time before a child's exec.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def main() -> None:
    """Upload what the order says."""
    order = json.loads(sys.argv[1])
    begin = time.perf_counter()
    if order["pooled"]:
        with open_http_session(workers=order["workers"]) as session:
            map_parallel(lambda file: send(session, file), order["files"], workers=order["workers"])
    else:
        map_parallel(send_fresh, order["files"], workers=order["workers"])
    result = {"seconds": time.perf_counter() - begin, "peak": peak_memory()}
    Path(order["result"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()

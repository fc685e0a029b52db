"""Run a simulated gateway by hand: ``python -m tests.support.gateway --port 0 --version 8.3.8``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from ign_deploy.deployment.conformance.report import read_report
from tests.support.gateway import ModuleFault, Options, options_of, running_gateway


def main(arguments: list[str]) -> int:
    """Print the gateway's URL, and serve until stopped (INT, TERM)."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.gateway", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--version", default="8.3.8")
    parser.add_argument(
        "--report", type=Path, help="a conformance report: behave like the gateway in it"
    )
    parser.add_argument("--token", default="demo:s3cret", help="NAME:KEY")
    parser.add_argument("--scale", type=float, default=0.1, help="real seconds per gateway second")
    parser.add_argument("--allow-unsigned", action="store_true")
    parser.add_argument("--developer", action="store_true", help="the servlet of 8.1")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="ID[=VERSION]", help="faults at its start"
    )
    parser.add_argument("--have", action="append", default=[], type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    options = Options(version=given.version, allow_unsigned=given.allow_unsigned)
    if given.report:
        options = options_of(read_report(given.report))
    options.token, options.scale = given.token, given.scale
    options.developer_upload = given.developer
    for text in given.fault:
        module_id, _, version = text.partition("=")
        options.faults[module_id] = ModuleFault(version=version)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with running_gateway(options, port=given.port) as gateway:
        for path in given.have:
            gateway.have(path)
        sys.stdout.write(f"{gateway.url}\n")
        sys.stdout.flush()
        stopped.wait()
        for violation in gateway.violations:
            sys.stderr.write(f"violation: {violation}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

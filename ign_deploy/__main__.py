"""The edge of the process: the environment is read here, once, and the exit code returned."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType

from ign_deploy import __version__


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the command line ``argv`` (the program's name first) and return the exit code."""
    _prepare_streams()
    if list(argv[1:]) == ["--version"]:
        # Asked by every job that prints its tools: answered without loading any of them.
        sys.stdout.write(f"ign-deploy, version {__version__}\n")
        return 0
    # Looking for pydantic's plugins reads the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from ign_deploy.cli import run_cli
    from ign_deploy.container import with_home

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    return run_cli(argv, with_home(env))


def container_main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run as the image's entrypoint: our command line, or a program such as ``cat`` or ``sh``."""
    from ign_deploy.container import become, other_program, with_home

    program = other_program(argv, env)
    return main(argv, env) if program is None else become(program, argv[1:], with_home(env))


def _prepare_streams() -> None:
    """Make the standard streams take all text, and be there.

    Where one is closed (``>&-``), the next file that is opened, a published one perhaps, would get
    its number, and everything that is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _stop(number: int, frame: FrameType | None) -> None:
    """End in order: builds are stopped, partial files and private folders are removed.

    As process 1 of a container, a program without a handler ignores the signal.
    """
    del frame
    raise SystemExit(128 + number)


def run() -> None:
    """Run as the console script ``ign-deploy``."""
    if sys.platform == "win32":  # no flock, no process groups; builds can't be isolated
        sys.exit("ign-deploy doesn't run on Windows: use WSL, or the container image.")
    sys.exit(main(sys.argv, os.environ))


if __name__ == "__main__":
    run()

"""An installation on many gateways, killed in its second wave and run again.

``python -m benchmarks.fleet 200`` (``make fleet``) runs the command itself against that many
simulated gateways on real time: 5 % fail, 5 % are slow, one hangs, one never comes back from its
restart. It prints what the gateways have seen, and exits with 1 if one that works got the module or
a restart twice, or not at all. Those that fail are tried, and rolled back, in each of the runs.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.deployment_env import published_repository
from tests.support.fleet import (
    NEW,
    OLD,
    Fleet,
    Role,
    installs,
    restarts,
    running_fleet,
    version,
)
from tests.support.gateway import Gateway, Options
from tests.support.gateway.client import MODULE_ID

_SCALE = 0.2  # a restart takes 3 s, a slow one 11 s
_GOOD = (Role.HEALTHY, Role.SLOW)
_LIMIT = 3600


@dataclass(frozen=True)
class Command:
    """The installed command, with the settings of all runs."""

    folder: Path
    fleet: Fleet

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its output goes to files."""
        with self._log(name).open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "ign_deploy", *arguments, *self._store],
                cwd=self.folder,
                env={"PATH": "/usr/bin:/bin", "IGN_DEPLOY_GATEWAY_TOKEN": Options().token},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def install(self, name: str, *, wave: int) -> subprocess.Popen[str]:
        """Start the installation of NEW on all gateways."""
        urls = [part for each in self.fleet.gateways for part in ("--gateway", each.url)]
        consent = ("--accept-certificate", "yes", "--accept-license", "yes")
        options = f"--restart if-needed --continue-on-error --timeout 60 --wave-size {wave}"
        return self.start(
            name,
            *("install", f"{MODULE_ID}@{NEW}", "-e", "production", *urls, *consent),
            *(*shlex.split(options), "--wait-for-lock", "300"),
        )

    def recorded(self) -> Mapping[str, str]:
        """Return the version that the history has of each gateway."""
        arguments = ("status", "-e", "production", "--json")
        done = subprocess.run(
            [sys.executable, "-m", "ign_deploy", *arguments, *self._store],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        deployed: list[dict[str, Any]] = json.loads(done.stdout)["deployed"]
        return {
            each["gateway"]: each["version"] + (" (uncertain)" if each["uncertain"] else "")
            for each in deployed
        }

    def text(self, name: str) -> str:
        """Return the output of a run."""
        return self._log(name).read_text("utf-8")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @property
    def _store(self) -> Sequence[str]:
        return ("--repository-url", str(self.folder / "repository"))


def main(count: int) -> int:
    """Run it and print the result; returns 1 if something was done twice, or not at all."""
    wave = max(2, count // 10)
    with tempfile.TemporaryDirectory(prefix="ign-deploy-fleet-") as scratch:
        folder = Path(scratch)
        published_repository(folder, OLD, NEW)
        with running_fleet(folder, count, scale=_SCALE) as fleet:
            command = Command(folder, fleet)
            _print_roles(fleet, wave)
            _run_and_kill(command, wave)
            begin = time.monotonic()
            code = command.install("second", wave=wave).wait(_LIMIT)
            print(f"second run: exit code {code} after {time.monotonic() - begin:.0f} s")
            recorded = command.recorded()
            _print_table(fleet, recorded)
            is_right = _is_right(fleet, recorded)
            if not is_right:
                print(command.text("second"))
    print("nothing was done twice" if is_right else "NOT as it should be")
    return 0 if is_right else 1


def _print_roles(fleet: Fleet, wave: int) -> None:
    numbers = Counter(fleet.roles)
    shown = ", ".join(f"{numbers[role]} {role}" for role in Role)
    print(f"{len(fleet.roles)} gateways in waves of {wave}: {shown}", flush=True)


def _run_and_kill(command: Command, wave: int) -> None:
    """Start the installation, and kill it once half of the second wave were restarted."""
    second_wave = command.fleet.gateways[wave : 2 * wave]
    begin = time.monotonic()
    process = command.install("first", wave=wave)
    try:
        while sum(map(restarts, second_wave)) < wave // 2:
            if process.poll() is not None or time.monotonic() - begin > _LIMIT:
                raise SystemExit(f"it ended before it was killed:\n{command.text('first')}")
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    states = Counter(_progress(each) for each in second_wave)
    shown = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    print(f"first run: killed (SIGKILL) after {time.monotonic() - begin:.0f} s, in wave 2: {shown}")
    sys.stdout.flush()


def _progress(gateway: Gateway) -> str:
    if restarts(gateway):
        return "restarted"
    if installs(gateway):
        return "installed"
    return "uploaded" if gateway.asked("modules/upload") else "untouched"


def _print_table(fleet: Fleet, recorded: Mapping[str, str]) -> None:
    """Print how often the gateways of each role were changed in both runs, and what they run."""
    columns: dict[str, Callable[[Gateway], object]] = {
        "installed": lambda each: f"{installs(each)} times",
        "restarted": lambda each: f"{restarts(each)} times",
        "runs": lambda each: version(each) or "nothing",
        "in the history": lambda each: recorded.get(each.url, "nothing"),
    }
    for role in Role:
        print(f"{role}:")
        for title, value in columns.items():
            counted = fleet.count(value, role)
            shown = ", ".join(f"{name}: {counted[name]}" for name in sorted(counted, key=str))
            print(f"  {title:15} {shown}")


def _is_right(fleet: Fleet, recorded: Mapping[str, str]) -> bool:
    good = fleet.of(*_GOOD)
    failing = fleet.of(Role.FAILING)
    return (
        all((installs(each), restarts(each), version(each)) == (1, 1, NEW) for each in good)
        and all(recorded.get(each.url) == NEW for each in good)
        and all(version(each) == recorded.get(each.url) == OLD for each in failing)
        and not any(each.violations for each in fleet.gateways)
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))

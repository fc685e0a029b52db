"""What the history costs with few and with many deployments: status, history, install, rollback.

``python -m benchmarks.deployments 10000`` measures with that many.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from benchmarks.distance import ROUND_TRIP, Distance, distance
from benchmarks.measure import Row, Run, in_turn, print_table, ratio
from benchmarks.publishing import signed_versions
from benchmarks.workspace import Workspace
from ign_deploy.deployment.records import (
    DeploymentRecord,
    GatewayRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
    timestamp,
)
from tests.support.servers import nginx

_FEW, _MANY = 10, 1000
_ROUNDS = 3
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "com.example.pump"
_ENVIRONMENT = ("-e", "production")
_COMMANDS = {
    "status": ("status", *_ENVIRONMENT),
    "history": ("history", *_ENVIRONMENT, "--limit", "10"),
    "install": ("install", f"{_ID}@1.0.1", *_ENVIRONMENT, "--track-only"),
    "rollback": ("rollback", *_ENVIRONMENT, "--track-only"),
}
_REQUESTS = {"status": 4, "history": 4, "install": 6 + 2, "rollback": 7 + 2}
"""At most so many; two are those of the module itself, its record and its file.

Six: a note of the pending write, the index, the record, the index again, a look at the notes, the
note's end. A rollback reads the index before it gets the module, too, which may take longer than a
note holds.
"""


def measure_deployments(workspace: Workspace, many: int = _MANY) -> list[Row]:
    """Measure in a folder, and over a network, where the requests are counted, too."""
    with ExitStack() as stack:
        server = stack.enter_context(nginx(workspace.folder / "deployments-nginx"))
        far = stack.enter_context(distance(server.url))
        modules = signed_versions(workspace, count=2)
        for count in (_FEW, many):
            root = server.root / str(count)
            for module in modules:
                workspace.ign_deploy("upload", str(module), "--repository-url", str(root))
            _fill(root, modules, count=count)
            workspace.ign_deploy("reindex", "--repository-url", str(root))
        rows = [_folder_row(workspace, server.root, name, many=many) for name in _COMMANDS]
        return rows + [
            _network_row(workspace, far, server.root, name, many=many) for name in _COMMANDS
        ]


def _fill(root: Path, modules: list[Path], *, count: int) -> None:
    """Write the records of so many deployments, of one version after the other."""
    folder = root / "ledger" / "deployments" / "production"
    folder.mkdir(parents=True)
    names = root / "ledger" / "environments"
    names.mkdir()
    (names / "production.json").write_bytes(b"{}\n")
    digests = [sha256(module.read_bytes()).hexdigest() for module in modules]
    for number in range(count):
        module = ModuleOnGateway(
            id=_ID,
            version=f"1.0.{number % 2}",
            sha256=digests[number % 2],
            previous=f"1.0.{(number + 1) % 2}" if number else "",
        )
        begin = timestamp(_BEGIN + timedelta(minutes=number))
        started = DeploymentRecord(
            id=f"{number:012x}",
            phase=Phase.STARTED,
            environment="production",
            started_at=begin,
            gateways=(GatewayRecord(gateway="", modules=(module,)),),
            actor="someone",
        )
        done = module.model_copy(update={"outcome": Outcome.RECORDED})
        gateway = GatewayRecord(gateway="", outcome=Outcome.RECORDED, modules=(done,))
        ended = started.model_copy(
            update={
                "phase": Phase.ENDED,
                "outcome": Outcome.RECORDED,
                "ended_at": begin,
                "gateways": (gateway,),
            }
        )
        for each in (started, ended):
            (folder / each.file_name).write_bytes(each.to_json())


def _prepare(workspace: Workspace, root: Path, name: str) -> None:
    """Record what a rollback takes back: after one, there is nothing to roll back."""
    for version in ("1.0.0", "1.0.1") if name == "rollback" else ():
        command = ("install", f"{_ID}@{version}", *_ENVIRONMENT, "--track-only")
        workspace.ign_deploy(*command, "--repository-url", str(root))


def _folder_row(workspace: Workspace, root: Path, name: str, *, many: int) -> Row:
    def measure(count: int) -> Run:
        _prepare(workspace, root / str(count), name)
        return workspace.ign_deploy(*_COMMANDS[name], "--repository-url", str(root / str(count)))

    runs = in_turn(
        {str(_FEW): lambda: measure(_FEW), str(many): lambda: measure(many)}, rounds=_ROUNDS
    )
    cost = ratio(runs, str(many), str(_FEW))
    last = statistics.median(run.wall for run in runs[str(many)])
    return Row(
        f"{name} in a folder with {many:,} deployments / with {_FEW}",
        f"{cost:.2f} x ({last:.2f} s)", "1.5 x", cost <= 1.5,
    )  # fmt: skip


def _network_row(workspace: Workspace, far: Distance, root: Path, name: str, *, many: int) -> Row:
    requests: dict[int, int] = {}

    def measure(count: int) -> Run:
        _prepare(workspace, root / str(count), name)
        far.requests()
        url = f"{far.url}/{count}"
        found = workspace.ign_deploy(*_COMMANDS[name], "--repository-url", url)
        requests[count] = far.requests()
        return found

    runs = in_turn(
        {str(_FEW): lambda: measure(_FEW), str(many): lambda: measure(many)}, rounds=_ROUNDS
    )
    cost = ratio(runs, str(many), str(_FEW))
    last = statistics.median(run.wall for run in runs[str(many)])
    few, most = requests[_FEW], requests[many]
    is_good = cost <= 1.5 and max(few, most) <= _REQUESTS[name]
    return Row(
        f"{name} at {ROUND_TRIP * 1000:.0f} ms with {many:,} deployments / with {_FEW}",
        f"{cost:.2f} x ({last:.2f} s), {most} / {few} requests",
        f"1.5 x, {_REQUESTS[name]}",
        is_good,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print_table(
            measure_deployments(
                Workspace.open(Path(scratch)), int(sys.argv[1]) if sys.argv[1:] else _MANY
            )
        )

"""Several gateways: the rollback version is fetched once; one that hangs costs its time-out."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.publishing import signed_versions
from benchmarks.workspace import Workspace
from tests.support.fault_proxy import fault_proxy
from tests.support.gateway import Gateway, Options, running_gateway
from tests.support.servers import nginx

_GATEWAYS = 4
_TIMEOUT = 10
_ID = "com.example.pump"
_OPTIONS = ("-e", "plant", "--accept-certificate", "yes", "--accept-license", "yes",
            "--restart", "if-needed", "--continue-on-error",
            "--timeout", str(_TIMEOUT))  # fmt: skip


def measure_gateways(workspace: Workspace) -> list[Row]:
    """Install on gateways that have an older version, then on some of which one hangs."""
    opened = replace(workspace, env={**workspace.env, "IGN_DEPLOY_GATEWAY_TOKEN": Options().token})
    with tempfile.TemporaryDirectory(dir=workspace.folder) as folder, ExitStack() as stack:
        server = stack.enter_context(nginx(Path(folder) / "nginx"))
        proxy = stack.enter_context(fault_proxy(server.url))
        store = f"{proxy.url}/store"
        for module in signed_versions(workspace, count=2, requires="8.3.0"):
            root = str(server.root / "store")
            workspace.ign_deploy("upload", str(module), "--repository-url", root)

        def install(version: str, gateways: list[Gateway], *, fails: bool = False) -> float:
            urls = [word for each in gateways for word in ("--gateway", each.url)]
            command = ("install", f"{_ID}@{version}", *urls, *_OPTIONS, "--repository-url", store)
            began = time.perf_counter()
            try:
                opened.ign_deploy(*command)
            except RuntimeError:
                if not fails:
                    raise
            return time.perf_counter() - began

        with _gateways(_GATEWAYS) as gateways:
            install("1.0.0", gateways)
            proxy.rules.clear()
            install("1.0.1", gateways)
            fetched = proxy.rules.count("GET", r"/1\.0\.0/.*\.modl$")
        with _gateways(_GATEWAYS) as gateways:
            alone = install("1.0.0", gateways)
        with _gateways(_GATEWAYS) as gateways:
            gateways[0].options.hangs = True
            hanging = install("1.0.0", gateways, fails=True)
            assert all(each.version_of(_ID) == "1.0.0" for each in gateways[1:])
        shutil.rmtree(server.root / "store")
    cost = (hanging - alone) / _TIMEOUT
    return [
        Row(
            f"installation on {_GATEWAYS} gateways: downloads of the version to go back to",
            str(fetched), "1", fetched == 1,
        ),
        Row(
            f"one of {_GATEWAYS} gateways hangs: what it costs / its time-out of {_TIMEOUT} s",
            f"{cost:.2f} x ({hanging:.1f} s)", "1.5 x", cost <= 1.5,
        ),
    ]  # fmt: skip


@contextmanager
def _gateways(count: int) -> Iterator[list[Gateway]]:
    """Run so many, whose restarts take a moment."""
    with ExitStack() as stack:
        yield [stack.enter_context(running_gateway(Options())) for _ in range(count)]


if __name__ == "__main__":
    from benchmarks.measure import print_table

    with tempfile.TemporaryDirectory() as scratch:
        print_table(measure_gateways(Workspace.open(Path(scratch))))

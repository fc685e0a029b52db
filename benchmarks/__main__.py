"""`python -m benchmarks`: all figures, as ratios or against limits, measured in one run."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.batch import measure_batch
from benchmarks.beside import measure_beside
from benchmarks.breaks import measure_breaks
from benchmarks.costs import measure_costs
from benchmarks.deployments import measure_deployments
from benchmarks.gateways import measure_gateways
from benchmarks.keys import measure_keys
from benchmarks.listing import measure_listing
from benchmarks.measure import Row, print_table
from benchmarks.publishing import measure_uploads
from benchmarks.requests import measure_requests
from benchmarks.signing import measure_memory, measure_signing, measure_start
from benchmarks.stores import measure_stores
from benchmarks.workspace import Workspace


def main() -> int:
    """Measure everything and print the table; the exit code says whether all limits hold."""
    folder = Path(tempfile.mkdtemp(prefix="ign-deploy-bench-"))
    try:
        workspace = Workspace.open(folder)
        rows: list[Row] = []
        for title, measure in (
            ("start-up and small modules", measure_start),
            ("300 MB against unzip -t", measure_signing),
            ("keys in a token", measure_keys),
            ("memory", measure_memory),
            ("uploads", measure_uploads),
            ("a batch of 20 modules", measure_batch),
            ("requests of a publication", measure_requests),
            ("costs that must not grow", measure_costs),
            ("a publication beside many modules", measure_beside),
            ("stores over the network", measure_stores),
            ("long lists", measure_listing),
            ("the history of deployments", measure_deployments),
            ("transfers that break off", measure_breaks),
            ("several gateways", measure_gateways),
        ):
            print(f"measuring {title} …", file=sys.stderr, flush=True)
            rows += measure(workspace)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_table(rows)
    return 0 if all(row.holds for row in rows) else 1


sys.exit(main())

"""Starts one of Swift's servers, or builds its rings; run by Debian's Python, which has Swift.

The programs that Swift comes with read /etc/swift/swift.conf; here everything is in one folder.

    swift_launcher.py rings FOLDER '{"account": PORT, "container": PORT, "object": PORT}'
    swift_launcher.py serve FOLDER proxy|account|container|object
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys
from pathlib import Path


def build_rings(folder: str, stores: dict[str, int]) -> None:
    """Write a ring of one device per kind of store."""
    from swift.common.ring import RingBuilder

    for name, port in stores.items():
        builder = RingBuilder(part_power=2, replicas=1, min_part_hours=1)
        builder.add_dev(
            {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1}
        )
        builder.rebalance(seed=1)
        builder.get_ring().save(str(Path(folder) / f"{name}.ring.gz"))


def serve(folder: str, name: str) -> int:
    """Run one server until it is stopped."""
    from swift.common import utils

    utils.set_swift_dir(folder)
    from swift.common.wsgi import run_wsgi

    options = {"verbose": True}
    if name == "object":
        from swift.obj.server import global_conf_callback

        options["global_conf_callback"] = global_conf_callback
    return run_wsgi(str(Path(folder) / f"{name}-server.conf"), f"{name}-server", **options)


def main() -> None:
    """Do what the command line says."""
    action, folder, subject = sys.argv[1:]
    if action == "rings":
        build_rings(folder, json.loads(subject))
    else:
        sys.exit(serve(folder, subject))


if __name__ == "__main__":
    main()

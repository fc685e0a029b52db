"""OpenStack Swift with its S3 interface: checks signatures, knows no conditional writes."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.servers.processes import (
    START_SECONDS,
    ServerProblem,
    accepts,
    answers,
    find_program,
    free_port,
    output_of,
    require_file,
    running,
)
from tests.support.servers.s3 import S3Server

PACKAGES = "swift-proxy swift-account swift-container swift-object memcached"
_PYTHON = Path("/usr/bin/python3")
_LAUNCHER = Path(__file__).with_name("swift_launcher.py")
_STORES = ("account", "container", "object")

_SWIFT_CONFIGURATION = """\
[swift-hash]
swift_hash_path_prefix = test
swift_hash_path_suffix = test
[storage-policy:0]
name = one
default = yes
"""

_COMMON = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = WARNING
"""

_STORE = """\
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

_PROXY = """\
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth slo dlo \
versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = {region}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
"""


@contextmanager
def swift(folder: Path) -> Iterator[S3Server]:
    """Run Swift's four servers and memcached with their files in the folder.

    Its S3 interface signs with the key pair it yields; ``root`` holds what is stored.
    """
    memcached = find_program("memcached", packages=PACKAGES)
    for name in ("proxy", *_STORES):
        find_program(f"swift-{name}-server", packages=PACKAGES)
    require_file(_PYTHON, packages=PACKAGES)
    devices = folder / "devices"
    (devices / "disk").mkdir(parents=True)
    _require_attributes(devices)
    ports = {name: free_port() for name in ("proxy", *_STORES, "memcached")}
    user = pwd.getpwuid(os.geteuid()).pw_name
    server = S3Server(
        url=f"http://127.0.0.1:{ports['proxy']}",
        version=output_of(str(_PYTHON), "-Ic", "import swift; print('swift', swift.__version__)"),
        access_key="test:tester",
        secret_key="testing-secret",
        region="us-east-1",
        root=devices,
    )
    _write_configuration(folder, ports=ports, user=user, server=server)
    _build_rings(folder, ports=ports)
    with ExitStack() as stack:
        # All are started before the first is waited for: each takes a second to import.
        started = {
            name: stack.enter_context(
                running(command, name=name, folder=folder, ready=lambda: True)
            )
            for name, command in _commands(folder, memcached=memcached, user=user, ports=ports)
        }
        _wait_until_ready(started, folder=folder, ports=ports)
        yield server


def _commands(
    folder: Path, *, memcached: str, user: str, ports: Mapping[str, int]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the names of the servers and how each is started."""
    port = str(ports["memcached"])
    yield "memcached", (memcached, "-u", user, "-l", "127.0.0.1", "-p", port, "-U", "0")
    for name in (*_STORES, "proxy"):
        yield name, (str(_PYTHON), "-I", str(_LAUNCHER), "serve", str(folder), name)


def _wait_until_ready(
    started: Mapping[str, subprocess.Popen[bytes]], *, folder: Path, ports: Mapping[str, int]
) -> None:
    end = time.monotonic() + START_SECONDS
    while not _all_ready(ports):
        faulty = [name for name, process in started.items() if process.poll() is not None]
        if time.monotonic() > end:
            faulty += [name for name in started if not accepts(ports[name])] or ["proxy"]
        if faulty:
            said = (folder / f"{faulty[0]}.log").read_text("utf-8", "replace")[-3000:]
            raise ServerProblem(f"Swift's {faulty[0]} ended or did not answer; it said:\n{said}")
        time.sleep(0.05)


def _all_ready(ports: Mapping[str, int]) -> bool:
    listening = all(accepts(ports[name]) for name in (*_STORES, "memcached"))
    return listening and answers(ports["proxy"], "/healthcheck")


def _write_configuration(
    folder: Path, *, ports: Mapping[str, int], user: str, server: S3Server
) -> None:
    (folder / "swift.conf").write_text(_SWIFT_CONFIGURATION, "utf-8")
    for name in ("proxy", *_STORES):
        common = _COMMON.format(port=ports[name], user=user, folder=folder)
        if name == "proxy":
            own = _PROXY.format(
                memcached=ports["memcached"], region=server.region, secret=server.secret_key
            )
        else:
            own = _STORE.format(kind=name)
        (folder / f"{name}-server.conf").write_text(common + own, "utf-8")


def _build_rings(folder: Path, *, ports: Mapping[str, int]) -> None:
    """Write the three rings: one device each, one copy of everything."""
    stores = json.dumps({name: ports[name] for name in _STORES})
    done = subprocess.run(
        [str(_PYTHON), "-I", str(_LAUNCHER), "rings", str(folder), stores],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise ServerProblem(f"Swift's rings can't be built:\n{done.stderr[-3000:]}")


def _require_attributes(folder: Path) -> None:
    """Fail clearly where files can't have the extended attributes that Swift keeps data in."""
    try:
        os.setxattr(folder, "user.swift.test", b"x")
        os.removexattr(folder, "user.swift.test")
    except OSError as problem:
        raise ServerProblem(
            f"{folder} takes no extended attributes (user.*), which Swift needs; "
            "give pytest a --basetemp on ext4, xfs or overlayfs"
        ) from problem

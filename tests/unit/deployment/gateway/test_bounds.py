"""Gateways that respond slowly, without end, or with what is too much to parse."""

from __future__ import annotations

import socket
import socketserver
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ign_deploy.deployment.gateway import GatewayAccess, Timing, open_target
from ign_deploy.deployment.gateway.developer import DeveloperGateway
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.errors import DeploymentError, NetworkError
from ign_deploy.pipeline.gateways import deploy_options
from tests.support.deployment_env import PublishedModules
from tests.support.gateway import Gateway, running_gateway
from tests.support.gateway.client import MODULE_ID, client_of, modl, verified
from tests.support.runs import run_context
from tests.support.serving import Fault, serving

TIMEOUT = 0.5
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"


class DrippingGateway(socketserver.ThreadingTCPServer):
    """Sends one byte every 20 ms, forever, whatever the request; the head too if ``drips_head``."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *, drips_head: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Drip)
        self.drips_head = drips_head

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Drip(socketserver.BaseRequestHandler):
    server: DrippingGateway

    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.recv(1 << 16)
        try:
            if not self.server.drips_head:
                connection.sendall(HEAD)
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                connection.sendall(b" ")
                time.sleep(0.02)
        except OSError:
            return


@pytest.fixture(params=["body", "head"])
def dripping(request: pytest.FixtureRequest) -> Iterator[DrippingGateway]:
    with serving(DrippingGateway(drips_head=request.param == "head")) as server:
        yield server


def slow_client(server: DrippingGateway) -> ApiGateway:
    target = open_target(
        server.url,
        access=GatewayAccess(token="ci:s3cret"),
        timing=Timing(deadline=TIMEOUT, floor=0.1, poll=0.05, confirm=0.1),
    )
    assert isinstance(target, ApiGateway)
    return target


READS: dict[str, Callable[[ApiGateway], object]] = {
    "facts": lambda client: client.facts(),
    "modules": lambda client: client.modules(),
    "certificate": lambda client: client.certificate(MODULE_ID),
    "accept": lambda client: client.accept_license(MODULE_ID),
    "uninstall": lambda client: client.uninstall(MODULE_ID),
    "pending": lambda client: client.pending_restart(),
}


@pytest.mark.parametrize("name", list(READS))
def test_a_request_to_a_dripping_gateway_ends_soon_after_the_timeout(
    dripping: DrippingGateway, name: str
) -> None:
    start = time.monotonic()
    with pytest.raises(NetworkError):
        READS[name](slow_client(dripping))
    assert time.monotonic() - start < 10 * TIMEOUT


def test_an_upload_to_a_dripping_gateway_ends(dripping: DrippingGateway, tmp_path: Path) -> None:
    module = verified(modl(tmp_path))
    start = time.monotonic()
    with pytest.raises(NetworkError):
        slow_client(dripping).upload(module, file_name="pump.modl")
    target = open_target(f"developer+{dripping.url}", timing=Timing(deadline=TIMEOUT))
    assert isinstance(target, DeveloperGateway)
    with pytest.raises(NetworkError):
        target.install(target.upload(module, file_name="pump.modl"))
    assert time.monotonic() - start < 20 * TIMEOUT


def test_a_health_check_of_a_dripping_gateway_ends(dripping: DrippingGateway) -> None:
    context = run_context({}, timeout=1, health_url=("/up",))
    (check,) = deploy_options(context, obtain=PublishedModules(Path()).obtain).checks
    start = time.monotonic()
    with pytest.raises(NetworkError):
        check.run(dripping.url)
    assert time.monotonic() - start < 10


def test_a_listing_of_one_module_per_page_ends(gateway: Gateway) -> None:
    gateway.faults.append(
        Fault("modules/healthy$", status=200, times=10**6, body=b'{"items":[{"id":"a"}],'
              b'"metadata":{"total":10000}}')
    )  # fmt: skip
    target = open_target(
        gateway.url,
        access=GatewayAccess(token=gateway.options.token),
        timing=Timing(deadline=TIMEOUT),
    )
    start = time.monotonic()
    with pytest.raises(NetworkError, match="took longer"):
        target.modules()
    assert time.monotonic() - start < 10 * TIMEOUT


@pytest.mark.parametrize("depth", [50, 300, 600, 900, 1000, 1500, 100_000])
@pytest.mark.parametrize("place", ["document", "item", "license", "list"])
def test_deeply_nested_json_is_an_error_or_ignored(
    gateway: Gateway, depth: int, place: str
) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    if place != "item":
        deep = b"[" * depth + b"]" * depth
    body = {
        "document": deep,
        "list": b'{"items":' + deep + b',"metadata":{"total":1}}',
        "item": b'{"items":[{"id":"a","exception":' + deep + b'}],"metadata":{"total":1}}',
        "license": b'{"ignitionVersion":"8.3.8 (b1)","license":' + deep + b"}",
    }[place]
    gateway.faults.append(Fault("gateway-info$|modules/|openapi", status=200, body=body, times=99))
    client = client_of(gateway)
    for read in (client.facts, client.modules, lambda: client.certificate(MODULE_ID)):
        with suppress(DeploymentError):
            read()


def test_too_much_json_is_refused_before_it_is_parsed() -> None:
    with running_gateway() as gateway:
        body = b'{"items":[' + b"{}," * (2 << 20) + b"{}]}"
        gateway.faults.append(Fault("modules/healthy$", status=200, body=body))
        with pytest.raises(DeploymentError, match="sent more than"):
            client_of(gateway).modules()

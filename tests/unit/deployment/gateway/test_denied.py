"""A denied request (401, 403) is explained by what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.deployment.gateway import GatewayAccess
from ign_deploy.deployment.gateway.denied import Platform
from ign_deploy.deployment.gateway.errors import GatewayRequestError
from ign_deploy.errors import DeploymentError
from tests.support.gateway import Gateway, Options, VirtualTime, running_gateway
from tests.support.gateway.client import client_of, modl, verified
from tests.support.serving import Fault

PAGE = b"<html>Forbidden</html>"


def test_a_token_over_http_to_a_gateway_that_requires_https(gateway: Gateway) -> None:
    gateway.options.requires_tls = True
    with pytest.raises(GatewayRequestError, match="requires https") as raised:
        client_of(gateway).facts()
    assert raised.value.hint == "give its https:// address."


def test_an_unknown_token_may_be_replaced_deleted_or_of_another_gateway(gateway: Gateway) -> None:
    access = GatewayAccess(token="ci:wr0ng")
    with pytest.raises(
        GatewayRequestError, match=r"doesn't accept the API token \(401\)"
    ) as raised:
        client_of(gateway, access=access).facts()
    for cause in ("enabled", "deleted", "replaced", "another gateway", "https://"):
        assert cause in raised.value.hint


def test_a_token_that_may_only_read_and_gets_401_lacks_the_write_permission(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.options.can_write, gateway.options.denies_writes_with = False, 401
    client = client_of(gateway)
    client.facts()
    with pytest.raises(GatewayRequestError, match=r"may read on .*, but not change it") as raised:
        client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    assert "write permission" in raised.value.hint
    assert "check the token" not in raised.value.hint


def test_a_web_page_with_403_can_be_a_proxys(gateway: Gateway) -> None:
    gateway.faults.append(Fault("gateway-info$", status=403, body=PAGE))
    with pytest.raises(GatewayRequestError) as raised:
        client_of(gateway).facts()
    assert "read permission" in raised.value.hint
    assert "a proxy in front of the gateway" in raised.value.hint


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_gateway_before_8_3_has_neither_tokens_nor_the_api(status: int) -> None:
    with running_gateway(Options(version="8.1.44"), clock=VirtualTime()) as gateway:
        gateway.faults.append(Fault("gateway-info$", status=status, body=PAGE))
        with pytest.raises(DeploymentError, match=r"runs Ignition 8\.1\.44") as raised:
            client_of(gateway).facts()
    assert "before 8.3 have no API and no API tokens" in raised.value.message
    assert "modules folder" in raised.value.hint


@pytest.mark.parametrize(
    ("version", "has_api"),
    [
        ("8.1.44", False),
        ("7.9.21", False),
        ("8.3.0", True),
        ("2027.1", True),
        ("", True),
        ("x", True),
    ],
)
def test_only_a_known_old_version_counts_as_old(version: str, has_api: bool) -> None:
    assert Platform(version=version).has_api is has_api


@pytest.mark.parametrize(
    "body", [b"", b"\xff\x00", b"Version", b"<html>=;</html>", b"Version=\x1b[31m;"]
)
def test_a_gateway_that_says_nothing_of_itself_is_reported_as_before(
    gateway: Gateway, body: bytes
) -> None:
    gateway.faults.append(Fault("gwinfo$", status=200, body=body))
    with pytest.raises(GatewayRequestError, match="doesn't accept the API token"):
        client_of(gateway, access=GatewayAccess(token="ci:wr0ng")).facts()

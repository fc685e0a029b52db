"""Rejections by a gateway, and responses of something else: distinguished, with hints."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.deployment.gateway import Consent, GatewayAccess
from ign_deploy.deployment.gateway.errors import ConsentMissing, GatewayRequestError
from ign_deploy.errors import DeploymentError, IgnDeployError
from tests.support.gateway import Gateway, Options, VirtualTime, running_gateway
from tests.support.gateway.client import MODULE_ID, client_of, modl, verified
from tests.support.serving import Fault

TOKEN = "ci:s3cret"


def reported(problem: IgnDeployError) -> str:
    return f"{problem.message}\n{problem.hint}"


def test_a_bad_token_is_distinguished_from_one_without_the_level(
    gateway: Gateway, tmp_path: Path
) -> None:
    with pytest.raises(GatewayRequestError, match="doesn't accept the API token") as bad:
        client_of(gateway, access=GatewayAccess(token="ci:wr0ng")).facts()
    assert bad.value.status == 401
    assert "secure channel" in bad.value.hint
    gateway.options.can_read = False
    with pytest.raises(GatewayRequestError, match="lacks a security level") as unread:
        client_of(gateway).facts()
    assert unread.value.status == 403
    assert "the gateway's read permission" in unread.value.hint
    gateway.options.can_read, gateway.options.can_write = True, False
    client = client_of(gateway)
    client.modules()
    with pytest.raises(GatewayRequestError) as unwritten:
        client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    assert "the gateway's write permission" in unwritten.value.hint
    for caught in (bad, unread, unwritten):
        assert "wr0ng" not in reported(caught.value)
        assert "s3cret" not in reported(caught.value)


def test_a_gateway_that_requires_a_token_says_so_when_there_is_none(gateway: Gateway) -> None:
    with pytest.raises(GatewayRequestError, match="none is set") as raised:
        client_of(gateway, access=GatewayAccess()).facts()
    assert "IGN_DEPLOY_GATEWAY_TOKEN" in raised.value.hint


def test_a_token_that_demands_a_secure_channel_is_rejected_with_the_reason(
    gateway: Gateway,
) -> None:
    gateway.options.secure_only = True
    with pytest.raises(GatewayRequestError) as raised:
        client_of(gateway).facts()
    assert "use https://" in raised.value.hint


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"the level is missing","url":"/x","status":"403"}',
        b"",
        b"[]",
        b"no JSON",
        b'{"message":17,"problem":[]}',
    ],
)
def test_any_body_of_an_error_will_do(gateway: Gateway, body: bytes) -> None:
    gateway.faults.append(Fault("gateway-info$", status=403, body=body))
    with pytest.raises(GatewayRequestError) as raised:
        client_of(gateway).facts()
    assert raised.value.status == 403
    if b"level is" in body:
        assert "the level is missing" in raised.value.message


def test_what_a_gateway_says_is_shown_harmless_and_without_the_token(gateway: Gateway) -> None:
    body = b'{"message":"bad token ci:s3cret \\u001b[31m\\n::error::x","status":"400"}'
    gateway.faults.append(Fault("modules/healthy$", status=400, body=body))
    with pytest.raises(GatewayRequestError) as raised:
        client_of(gateway).modules()
    assert "s3cret" not in reported(raised.value)
    assert "***" in raised.value.message
    assert raised.value.message.isprintable()


def test_a_web_page_is_not_the_api(gateway: Gateway) -> None:
    gateway.options.html = True
    client = client_of(gateway)
    for ask in (client.facts, client.modules, client.pending_restart, client.restart):
        with pytest.raises(DeploymentError, match="isn't the gateway's API") as raised:
            ask()
        assert "check the URL" in raised.value.hint


@pytest.mark.parametrize("body", [b"[]", b"{}", b"17", b"true", b"no JSON", b"", b'"x"'])
def test_anything_but_a_gateways_response_is_not_the_api(gateway: Gateway, body: bytes) -> None:
    gateway.faults.append(Fault("gateway-info$", status=200, body=body))
    gateway.faults.append(Fault("modules/healthy$", status=200, body=body))
    with pytest.raises(DeploymentError, match="isn't the gateway's API"):
        client_of(gateway).facts()
    with pytest.raises(DeploymentError, match="isn't the gateway's API"):
        client_of(gateway).modules()


def test_gateways_before_8_3_have_no_api() -> None:
    with (
        running_gateway(Options(version="8.1.44"), clock=VirtualTime()) as gateway,
        pytest.raises(DeploymentError, match=r"runs Ignition 8\.1\.44") as raised,
    ):
        client_of(gateway).facts()
    assert "before 8.3 have no API" in raised.value.message


def test_an_endless_response_is_given_up(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ign_deploy.deployment.gateway.client.MAX_RESPONSE", 1000)
    gateway.faults.append(Fault("gateway-info$", status=200, body=b" " * 2000))
    with pytest.raises(DeploymentError, match="more than 1000 bytes"):
        client_of(gateway).facts()


def test_a_redirect_is_not_followed_with_the_token(gateway: Gateway) -> None:
    with running_gateway(clock=VirtualTime()) as other:
        headers = (("Location", f"{other.url}/data/api/v1/gateway-info"),)
        gateway.faults.append(Fault("gateway-info$", status=302, body=b"", headers=dict(headers)))
        with pytest.raises(DeploymentError, match="redirects") as raised:
            client_of(gateway).facts()
        assert other.url in raised.value.hint
        assert other.requests == []


def test_a_gateway_that_takes_the_module_for_another_is_stopped(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.faults.append(
        Fault(
            "modules/upload$",
            status=200,
            body=b'{"moduleId":"com.example.other","certAccepted":true}',
        )
    )
    with pytest.raises(DeploymentError, match=r"other', expected 'com\.example\.pump'"):
        client_of(gateway).upload(verified(modl(tmp_path)), file_name="pump.modl")


def test_without_consent_nothing_is_accepted_and_what_to_accept_is_said(
    gateway: Gateway, tmp_path: Path
) -> None:
    client = client_of(gateway)
    upload = client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    for consent in (Consent(), Consent(certificate=True), Consent(license=True)):
        with pytest.raises(ConsentMissing) as raised:
            client.install(upload, consent=consent)
        assert (str(upload.module.certificate.sha1) in reported(raised.value)) == (
            not consent.certificate
        )
        assert (str(upload.module.licence_crc) in reported(raised.value)) == (not consent.license)
    assert gateway.state.accepted_certificates == set()
    assert gateway.state.accepted_licenses == set()
    assert client.module(MODULE_ID) is None


def test_accepting_twice_is_not_an_error(gateway: Gateway, tmp_path: Path) -> None:
    client = client_of(gateway)
    client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    assert client.accept_certificate(MODULE_ID)
    assert not client.accept_certificate(MODULE_ID)
    assert client.accept_license(MODULE_ID)
    assert not client.accept_license(MODULE_ID)


def test_a_certificate_is_reported_as_the_gateway_writes_it(
    gateway: Gateway, tmp_path: Path
) -> None:
    client = client_of(gateway)
    assert client.certificate(MODULE_ID) is None
    client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    certificate = client.certificate(MODULE_ID)
    assert certificate is not None
    assert certificate.subject == "CN=Test Vendor"
    assert certificate.self_signed is True


@pytest.mark.parametrize("described", [True, False])
def test_capabilities_are_read_from_the_description_where_there_is_one(
    gateway: Gateway, described: bool
) -> None:
    gateway.options.described = described
    found = client_of(gateway).facts().capabilities
    assert found.described == described
    assert found.install
    assert found.uninstall
    assert found.restart
    assert found.lists_modules
    if described:
        body = b'{"paths":{"/data/api/v1/modules/healthy":{}, "/other":{}}}'
        gateway.faults.append(Fault("/openapi.json$", status=200, body=body))
        found = client_of(gateway).facts().capabilities
        assert found.lists_modules
        assert not found.install
        assert not found.restart


def test_facts_are_those_of_the_gateway(gateway: Gateway) -> None:
    facts = client_of(gateway).facts()
    assert (facts.version, facts.build) == ("8.3.8", "2026071409")
    assert (facts.name, facts.edition, facts.deployment_mode) == (
        "plant-1",
        "standard",
        "production",
    )
    assert facts.redundancy_role == "Independent"
    assert facts.location == gateway.url
    gateway.faults.append(
        Fault("gateway-info$", status=200, body=b'{"ignitionVersion":"8.3.0","license":{"mode":1}}')
    )
    facts = client_of(gateway).facts()
    assert (facts.version, facts.build, facts.license_mode) == ("8.3.0", "", "1")
    assert facts.allows_unsigned is None

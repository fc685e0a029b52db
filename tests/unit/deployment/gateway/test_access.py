"""Access to a gateway: addresses, tokens and TLS are checked before anything is sent."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ign_deploy.deployment.gateway import TARGETS, GatewayAccess, open_target
from ign_deploy.deployment.gateway.client import parse_gateway_url
from ign_deploy.deployment.gateway.developer import DeveloperGateway
from ign_deploy.deployment.gateway.folder import FolderTarget
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.errors import ConfigurationError, NetworkError
from tests.support.gateway import Gateway, Options, VirtualTime, running_gateway
from tests.support.gateway.client import RETRY, client_of, modl, verified
from tests.support.reporting import Recorder
from tests.support.serving import Reply, scripted_server
from tests.support.tls import make_tls

SECRET = "ci:s3cret"


def reported(problem: ConfigurationError) -> str:
    return f"{problem.message} {problem.hint}"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://plant.example", "https://plant.example"),
        ("https://plant.example:8043/", "https://plant.example:8043"),
        ("https://Plant.example:443/ignition/", "https://plant.example/ignition"),
        ("http://127.0.0.1:8088", "http://127.0.0.1:8088"),
        ("http://localhost:8088/", "http://localhost:8088"),
        ("http://[::1]:8088", "http://[::1]:8088"),
    ],
)
def test_an_address_is_normalised(url: str, base: str) -> None:
    assert parse_gateway_url(url) == base


@pytest.mark.parametrize(
    "url",
    [
        "https://ci:s3cret@plant.example",
        "https://s3cret@plant.example",
        "https://plant.example?token=s3cret",
        "https://plant.example/#s3cret",
        "ftp://plant.example/s3cret",
        "https:///s3cret",
        "plant.example/s3cret",
        "https://plant.example/s3cret\n",
        "https://plant.example/s3cret x",
        "https://plant.example:port/s3cret",
    ],
)
def test_an_invalid_address_or_one_with_a_secret_is_rejected_without_repeating_it(
    url: str,
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_gateway_url(url, allow_insecure_http=True)
    assert "s3cret" not in reported(raised.value)


def test_unencrypted_http_to_another_machine_has_to_be_allowed() -> None:
    with pytest.raises(ConfigurationError, match="unencrypted") as raised:
        open_target("http://plant.example:8088")
    assert "--insecure-http" in raised.value.hint
    access = GatewayAccess(allow_insecure_http=True)
    assert open_target("http://plant.example:8088", access=access).location.startswith("http://")


def test_a_token_is_never_sent_over_unencrypted_http_to_another_machine() -> None:
    access = GatewayAccess(token=SECRET, allow_insecure_http=True)
    with pytest.raises(ConfigurationError, match="send them unencrypted") as raised:
        open_target("http://plant.example:8088", access=access)
    assert "s3cret" not in reported(raised.value)


@pytest.mark.parametrize("token", ["s3cret", ":s3cret", "s3cret:", "ci:s3cret x", "ci:s3crét"])
def test_a_token_of_another_form_is_rejected_without_repeating_it(token: str) -> None:
    with pytest.raises(ConfigurationError, match="NAME:KEY") as raised:
        open_target("https://plant.example", access=GatewayAccess(token=token))
    assert "s3cr" not in reported(raised.value)


def test_a_token_with_a_line_break_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="line break"):
        open_target("https://plant.example", access=GatewayAccess(token="ci:key\n"))


def test_access_shows_no_secret() -> None:
    access = GatewayAccess(token=SECRET, proxies={"https": "http://u:s3cret@proxy"})
    assert "s3cret" not in repr(access)


def test_the_token_is_masked_and_goes_to_the_api_only(gateway: Gateway, tmp_path: Path) -> None:
    reporter = Recorder()
    client = client_of(gateway, reporter=reporter)
    assert reporter.masked == [gateway.options.token]
    client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    client.restart()
    client.wait_until_running()
    for request in gateway.requests:
        sent = request.headers.get("X-Ignition-API-Token")
        assert sent == (None if request.path == "/StatusPing" else gateway.options.token)
        assert "Authorization" not in request.headers


def test_the_type_of_target_is_chosen_by_the_address(tmp_path: Path) -> None:
    assert isinstance(open_target("https://plant.example"), ApiGateway)
    assert isinstance(open_target("developer+http://127.0.0.1:8088"), DeveloperGateway)
    for url in (str(tmp_path), f"file:{tmp_path}", f"file://{tmp_path}"):
        target = open_target(url)
        assert isinstance(target, FolderTarget)
        assert target.location == str(tmp_path)
    for url in TARGETS:
        with pytest.raises(ConfigurationError):
            open_target(f"{url}://%zz@[s3cret?x#y")
    with pytest.raises(ConfigurationError, match='unsupported gateway type "ssh:"'):
        open_target("ssh://plant.example/s3cret")
    with pytest.raises(ConfigurationError, match='missing https:// before "localhost"'):
        open_target("localhost:8043/s3cret")


# --- TLS ------------------------------------------------------------------------------------


@contextmanager
def tls_gateway(folder: Path) -> Iterator[tuple[Gateway, Path, str]]:
    """Run a gateway with a self-signed certificate; yield its file and SHA-256, too."""
    tls = make_tls(folder, hosts=("localhost",))
    der = ssl.PEM_cert_to_DER_cert(tls.certificate.read_text())
    with running_gateway(Options(secure_only=True), clock=VirtualTime(), tls=tls) as gateway:
        yield gateway, tls.ca, hashlib.sha256(der).hexdigest()
        assert gateway.violations == []


def open_tls(gateway: Gateway, access: GatewayAccess, *, host: str = "127.0.0.1") -> ApiGateway:
    target = open_target(gateway.url.replace("127.0.0.1", host), access=access)
    assert isinstance(target, ApiGateway)
    return target


def test_a_self_signed_certificate_needs_its_file_or_its_fingerprint(tmp_path: Path) -> None:
    with tls_gateway(tmp_path) as (gateway, file, pin):
        with pytest.raises(NetworkError, match="isn't trusted") as raised:
            open_tls(gateway, GatewayAccess(token=SECRET)).facts()
        assert "CA file" in raised.value.hint
        assert gateway.requests == []
        trusted = open_tls(gateway, GatewayAccess(token=SECRET, ca=file), host="localhost")
        assert trusted.facts().version == "8.3.8"
        colons = ":".join(pin[at : at + 2] for at in range(0, 64, 2)).upper()
        for written in (pin, colons):
            client = open_tls(gateway, GatewayAccess(token=SECRET, pin=written))
            assert client.facts().version == "8.3.8"


def test_another_certificate_than_the_pinned_one_is_rejected_before_the_token_is_sent(
    tmp_path: Path,
) -> None:
    with tls_gateway(tmp_path) as (gateway, _, pin):
        wrong = "ab" * 32
        with pytest.raises(NetworkError, match="pinned one") as raised:
            open_tls(gateway, GatewayAccess(token=SECRET, pin=wrong)).facts()
        assert f"expected {wrong}, got {pin}" in raised.value.message
        assert gateway.requests == []


def test_a_pin_excludes_a_ca_is_a_sha256_and_needs_tls(tmp_path: Path) -> None:
    for access, url in (
        (GatewayAccess(pin="ab" * 32, ca=tmp_path), "https://plant.example"),
        (GatewayAccess(pin="ab" * 20), "https://plant.example"),
        (GatewayAccess(pin="xy" * 32), "https://plant.example"),
        (GatewayAccess(pin="ab" * 32), "http://127.0.0.1:8088"),
    ):
        with pytest.raises(ConfigurationError):
            open_target(url, access=access)


def test_a_server_without_tls_is_explained() -> None:
    with scripted_server(Reply(200)) as server:
        url = server.url.replace("http:", "https:")
        for pin in (None, "ab" * 32):
            target = open_target(url, access=GatewayAccess(token=SECRET, pin=pin), retry=RETRY)
            with pytest.raises(NetworkError):
                target.facts()
        assert server.requests == []

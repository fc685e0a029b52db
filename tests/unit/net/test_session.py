from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import HostAuth, basic_auth, token_auth
from ign_deploy.net.errors import (
    TransientFailure,
)
from ign_deploy.net.proxies import proxies_from
from ign_deploy.net.retry import Deadline, RetryPolicy
from ign_deploy.net.session import open_http_session
from tests.support.file_server import Fault, FileServer, file_server
from tests.support.serving import Reply, scripted_server, unused_port
from tests.support.tls import make_tls


def test_an_untrusted_certificate_says_how_to_trust_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = make_tls(tmp_path)
    # What the machine's environment says must not override what we were recorder.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.ca))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tls.ca))
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca))
    with scripted_server(Reply(200), tls=tls.context) as server:
        with open_http_session() as session, pytest.raises(NetworkError) as raised:
            session.request("GET", server.url)
        failure = raised.value
    assert not isinstance(failure, TransientFailure)
    assert "isn't trusted" in failure.message
    assert "self-signed" in failure.message.replace("self signed", "self-signed")
    assert "CA file" in failure.hint


def test_the_machines_authorities_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = make_tls(tmp_path)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tls.ca))
    with scripted_server(Reply(200), tls=tls.context) as server:
        url = f"https://localhost:{server.server_address[1]}/"
        with open_http_session(ca=tls.ca) as session:
            assert session.request("GET", url).status_code == 200
        with open_http_session() as session, pytest.raises(NetworkError, match="isn't trusted"):
            session.request("GET", url)


def test_a_missing_ca_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a file"):
        open_http_session(ca=tmp_path / "none.pem")


def test_credentials_go_to_their_own_origin_only() -> None:
    with scripted_server(Reply(200)) as own, scripted_server(Reply(200)) as other:
        with open_http_session(auth=token_auth("t0ken", url=own.url)) as session:
            session.request("GET", f"{own.url}/a")
            session.request("GET", f"{other.url}/b")
        assert own.requests[0].headers["Authorization"] == "Bearer t0ken"
        assert "Authorization" not in other.requests[0].headers


def test_a_redirect_is_returned_and_never_followed() -> None:
    with scripted_server(Reply(200)) as other:
        moved = Reply(302, headers={"Location": f"{other.url}/there"})
        with (
            scripted_server(moved) as own,
            open_http_session(auth=token_auth("t0ken", url=own.url)) as session,
        ):
            assert session.request("GET", own.url).status_code == 302
            assert other.requests == []


def test_the_machines_netrc_and_proxies_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    with scripted_server(Reply(200)) as server:
        with open_http_session() as session:
            session.request("GET", server.url)
        with open_http_session(auth=basic_auth("us", "pässword", url=server.url)) as session:
            session.request("GET", server.url)
        assert "Authorization" not in server.requests[0].headers
        assert server.requests[1].headers["Authorization"] == "Basic dXM6cMOkc3N3b3Jk"


def test_a_given_proxy_is_used() -> None:
    with scripted_server(Reply(200, body=b"by proxy")) as proxy:
        with open_http_session(proxies={"http": proxy.url}) as session:
            response = session.request("GET", "http://store.example/x")
            assert response.content == b"by proxy"
        assert proxy.requests[0].target == "http://store.example/x"
    with (
        open_http_session(proxies={"http": f"http://127.0.0.1:{unused_port()}"}) as session,
        pytest.raises(TransientFailure, match=r"cannot reach store\.example through the proxy 127"),
    ):
        session.request("GET", "http://store.example/x")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("status", "user", "message", "advice"),
    [
        (407, "", "requires a user name and a password (407)", "USER:PASSWORD"),
        (407, "me:s3cret@", "rejects the user name or the password in its URL (407)", "percent"),
        (403, "", "refuses requests to store.example (403)", "allow store.example"),
    ],
)
def test_a_proxy_that_refuses_is_named_and_asked_once(
    scheme: str, status: int, user: str, message: str, advice: str
) -> None:
    reply = Reply(status, {"X-Squid-Error": "ERR_ACCESS_DENIED 0"}, b"<html>no</html>")
    with scripted_server(reply) as proxy:
        name = proxy.url.removeprefix("http://")
        url = proxy.url.replace("://", f"://{user}")
        with (
            Client(open_http_session(proxies={scheme: url})) as client,
            pytest.raises(NetworkError) as caught,
        ):
            client.request("GET", f"{scheme}://store.example/x", title="reading x")
        assert len(proxy.requests) == 1
    assert not isinstance(caught.value, TransientFailure)
    assert caught.value.message.startswith(f"the proxy {name} ")
    assert message in caught.value.message
    assert "store.example" in caught.value.message
    assert advice in caught.value.hint
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint}"


def test_a_403_of_the_server_behind_a_proxy_is_the_server_s() -> None:
    with (
        scripted_server(Reply(403)) as proxy,
        open_http_session(proxies={"http": proxy.url}) as session,
    ):
        assert session.request("GET", "http://store.example/x").status_code == 403


def test_a_proxy_that_fails_for_the_moment_is_named_and_asked_again() -> None:
    with (
        scripted_server(Reply(503)) as proxy,
        open_http_session(proxies={"https": proxy.url}) as session,
        pytest.raises(TransientFailure) as caught,
    ):
        session.request("GET", "https://store.example/x")
    name = proxy.url.removeprefix("http://")
    expected = f"cannot reach store.example through the proxy {name}: it returned 503"
    assert caught.value.message == expected


def test_a_proxy_is_chosen_for_each_url() -> None:
    with (
        scripted_server(Reply(200, body=b"by proxy")) as proxy,
        scripted_server(Reply(200)) as own,
    ):
        rule = partial(proxies_from, {"http_proxy": proxy.url})
        with open_http_session(proxies=rule) as session:
            assert session.request("GET", "http://store.example/x").content == b"by proxy"
            assert session.request("GET", own.url).content == b""
        assert len(proxy.requests) == len(own.requests) == 1


def test_a_silent_proxy_is_given_up() -> None:
    with (
        scripted_server(Reply(delay=1.0)) as proxy,
        open_http_session(proxies={"http": proxy.url}, stall=0.2) as session,
        pytest.raises(TransientFailure, match=r"store\.example didn't respond in time"),
    ):
        session.request("GET", "http://store.example/x")


def test_a_proxy_that_drips_headers_is_given_up() -> None:
    with file_server() as proxy:
        proxy.faults = [Fault(status=200, drip_head=0.05)]
        with (
            open_http_session(proxies={"http": proxy.url}, stall=0.2) as session,
            pytest.raises(TransientFailure, match=r"store\.example didn't respond in time"),
        ):
            session.request("GET", "http://store.example/x")


def test_cookies_are_not_kept() -> None:
    with scripted_server(Reply(200, headers={"Set-Cookie": "session=1; Path=/"})) as server:
        with open_http_session() as session:
            session.request("GET", server.url)
            session.request("GET", server.url)
        assert "Cookie" not in server.requests[1].headers


def test_given_headers_go_with_every_request() -> None:
    with scripted_server(Reply(200)) as server:
        with open_http_session(headers={"Accept": "application/json"}) as session:
            session.request("GET", server.url)
        assert server.requests[0].headers["Accept"] == "application/json"
        assert server.requests[0].headers["User-Agent"].startswith("ign-deploy/")


def test_threads_share_a_session_and_its_connections() -> None:
    with file_server() as server, open_http_session(workers=20) as session:
        names = [f"/{number}" for number in range(60)]
        for name in names:
            server.files[name] = name.encode()

        def read(name: str) -> bytes:
            return session.request("GET", server.url + name).content

        assert map_parallel(read, names, workers=20) == [name.encode() for name in names]
        assert map_parallel(read, names, workers=20) == [name.encode() for name in names]
        assert server.connections <= 20


def test_one_thread_watches_all_requests_of_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def remembered(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", remembered)
    with scripted_server(Reply()) as server, open_http_session() as session:
        for _ in range(5):
            session.request("GET", server.url)
    assert started.count("watchdog") == 1


def test_a_pinned_certificate_is_trusted_whatever_its_issuer(tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    der = ssl.PEM_cert_to_DER_cert(tls.certificate.read_text())
    pin = hashlib.sha256(der).hexdigest()
    with scripted_server(Reply(200, body=b"ok"), tls=tls.context) as server:
        url = server.url
        with open_http_session(pin=pin) as session:
            assert session.request("GET", url, timeout=(5, 5)).content == b"ok"
        with (
            open_http_session(pin="0" * 64) as session,
            pytest.raises(NetworkError, match=f"expected {'0' * 64}, got {pin}") as raised,
        ):
            session.request("GET", url, timeout=(5, 5))
        assert not isinstance(raised.value, TransientFailure)
        assert len(server.requests) == 1


@pytest.mark.parametrize("pin", ["", "ab" * 20, "zz" * 32, "ab" * 32 + "\n", "ab" * 33])
def test_what_is_no_sha256_fingerprint_is_rejected_as_a_pin(pin: str) -> None:
    with pytest.raises(ConfigurationError, match="SHA-256"):
        open_http_session(pin=pin)


def test_a_pin_beside_a_ca_file_is_rejected(tmp_path: Path) -> None:
    certificate = make_tls(tmp_path).ca
    with pytest.raises(ConfigurationError, match="both"):
        open_http_session(pin="ab" * 32, ca=certificate)


def test_credentials_may_have_a_header_of_their_own() -> None:
    with scripted_server(Reply(200)) as own, scripted_server(Reply(200)) as other:
        auth = HostAuth("name:key", url=own.url, name="X-Token")
        with open_http_session(auth=auth) as session:
            session.request("GET", own.url)
            session.request("GET", other.url)
        assert own.requests[0].headers["X-Token"] == "name:key"
        assert "Authorization" not in own.requests[0].headers
        assert "X-Token" not in other.requests[0].headers


HEADERS = {"PRIVATE-TOKEN": "t0ken", "Range": "bytes=1-", "Accept": "*/*"}


@pytest.fixture
def own() -> Iterator[FileServer]:
    with file_server() as store:
        store.files["/there"] = b"content"
        yield store


@pytest.fixture
def other() -> Iterator[FileServer]:
    with file_server() as store:
        store.files["/there"] = b"content"
        yield store


def time_left() -> Deadline:
    return Deadline(RetryPolicy(), url="http://store.example")


def content_of(server: FileServer, *, auth: HostAuth | None = None) -> bytes:
    with (
        open_http_session(auth=auth) as session,
        session.follow(
            "GET", f"{server.url}/a/b", headers=HEADERS, deadline=time_left()
        ) as response,
    ):
        return response.content


def moved(location: str, status: int = 302) -> Fault:
    return Fault(status=status, headers={"Location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/there", "../there", "//{netloc}/there"])
def test_a_redirect_on_the_same_host_keeps_everything(
    status: int, location: str, own: FileServer
) -> None:
    netloc = own.url.removeprefix("http://")
    own.faults = [moved(location.format(netloc=netloc), status)]
    assert content_of(own, auth=token_auth("a", url=own.url)) == b"ontent"
    assert own.seen[1].headers["Authorization"] == "Bearer a"
    assert own.seen[1].headers["PRIVATE-TOKEN"] == "t0ken"


def test_another_host_gets_no_credentials_not_even_when_redirected_back(
    own: FileServer, other: FileServer
) -> None:
    own.faults = [moved(f"{other.url}/x")]
    other.faults = [moved(f"{own.url}/there")]
    assert content_of(own, auth=token_auth("a", url=own.url)) == b"ontent"
    assert own.seen[0].headers["Authorization"] == "Bearer a"
    (there,) = other.seen
    assert not {"Authorization", "PRIVATE-TOKEN"} & set(there.headers)
    assert there.headers["Range"] == "bytes=1-"
    assert "PRIVATE-TOKEN" not in own.seen[1].headers


def test_credentials_in_a_header_of_another_name_stay_with_their_origin(
    own: FileServer, other: FileServer
) -> None:
    own.faults = [moved(f"{other.url}/there")]
    content_of(own, auth=HostAuth("t0ken", url=own.url, name="JOB-TOKEN"))
    assert own.seen[0].headers["JOB-TOKEN"] == "t0ken"
    assert "JOB-TOKEN" not in other.seen[0].headers


def test_five_redirects_are_followed_and_no_more(own: FileServer) -> None:
    own.faults = [moved("/x")] * 4 + [moved("/there")]
    assert content_of(own) == b"ontent"
    own.faults = [moved("/x")] * 6
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1 redirects more than 5 times"):
        content_of(own)
    assert len(own.seen) == 12


def test_a_redirect_without_a_target_is_returned(own: FileServer) -> None:
    own.faults = [Fault(status=302, body=b"where to")]
    assert content_of(own) == b"where to"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("file:///etc/passwd?s3cret", "something other than an http or https URL"),
        ("http://[::1?s3cret", "something other than an http or https URL"),
        ("http://h:99999/?s3cret", "something other than an http or https URL"),
        ("https://u:s3cret@store.example/", "store.example with a password in the URL"),
    ],
)
def test_a_redirect_to_nonsense_is_rejected_without_being_shown(
    location: str, message: str, own: FileServer
) -> None:
    own.faults = [moved(location)]
    with pytest.raises(NetworkError) as caught:
        content_of(own)
    assert message in caught.value.message
    assert "s3cret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:PORT/",
        "http://localhost:PORT/",
        "http://LOCALHOST.:PORT/",
        "http://127.1:PORT/",
        "http://0x7f000001:PORT/",
        "http://2130706433:PORT/",
        "http://0.0.0.0:PORT/",
        "http://[::1]:PORT/",
        "http://[::ffff:127.0.0.1]:PORT/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1%25eth0]/",
        "http://app.localhost:PORT/",
    ],
)
def test_a_server_elsewhere_never_leads_to_what_only_this_machine_reaches(
    target: str, own: FileServer
) -> None:
    """Services here, and a cloud's metadata, trust whoever can reach them."""
    location = target.replace("PORT", str(own.server_address[1]))
    with (
        scripted_server(Reply(302, headers={"Location": location})) as proxy,
        open_http_session(
            proxies=lambda url: {"http": proxy.url} if "store." in url else {}
        ) as session,
    ):
        with pytest.raises(
            NetworkError, match=r"^store\.example redirects to .* only this machine"
        ):
            session.follow("GET", "http://store.example/x", headers={}, deadline=time_left())
        assert own.seen == []
        proxy.script = [Reply(302, headers={"Location": "http://10.1.2.3.store.example/x"}),
                        Reply(200, body=b"content")]  # fmt: skip
        got = session.follow("GET", "http://store.example/x", headers={}, deadline=time_left())
        assert got.content == b"content"


def test_https_never_leads_to_http_but_on_this_machine(tmp_path: Path, own: FileServer) -> None:
    tls = make_tls(tmp_path)
    away = Reply(302, headers={"Location": "http://store.example/a"})
    near = Reply(302, headers={"Location": f"{own.url}/there"})
    with scripted_server(away, near, tls=tls.context) as server:
        url = f"https://localhost:{server.server_address[1]}/"
        with open_http_session(ca=tls.ca) as session:
            with pytest.raises(NetworkError, match=r"from https to http://store\.example"):
                session.follow("GET", url, headers={}, deadline=time_left())
            response = session.follow("GET", url, headers={}, deadline=time_left())
            assert response.content == b"content"


def test_no_redirect_is_followed_after_the_deadline(own: FileServer) -> None:
    """A store that takes its time for each of them can't hold up a run."""
    own.faults = [moved("/there")]
    clock = iter((0.0, 1.0, 11.0))
    deadline = Deadline(RetryPolicy(deadline=10, clock=lambda: next(clock)), url=own.url)
    with open_http_session() as session, pytest.raises(NetworkError, match="longer than 10 s"):
        session.follow("GET", f"{own.url}/a", headers={}, deadline=deadline)
    assert len(own.seen) == 1

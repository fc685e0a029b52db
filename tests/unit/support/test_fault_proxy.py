"""The fault proxy hands on everything unchanged, and breaks exactly what its rules say."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from urllib3.exceptions import ProtocolError

from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.faults import (
    AnswerInstead,
    CutAnswer,
    CutRequest,
    FlipByte,
    LoseAnswer,
    Truncate,
)
from tests.support.servers import Credentials, NginxServer, apache, nginx
from tests.support.serving import unused_port

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxServer]:
    with nginx(tmp_path_factory.mktemp("nginx"), json_listing=True) as running:
        (running.root / "content").write_bytes(CONTENT)
        yield running


@pytest.fixture
def proxy(server: NginxServer) -> Iterator[FaultProxy]:
    with fault_proxy(server.url) as running:
        yield running


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def talk(proxy: FaultProxy, *parts: bytes) -> bytes:
    """Send the bytes, then read to the connection's end."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while data := connection.recv(65536):
            received += data
        return received


def put_head(path: str, *fields: str) -> bytes:
    return "\r\n".join((f"PUT {path} HTTP/1.1", "Host: store", *fields, "", "")).encode()


def test_bodies_pass_unchanged_in_both_directions(
    proxy: FaultProxy, client: requests.Session, server: NginxServer
) -> None:
    content = os.urandom(3_000_001)
    assert client.put(f"{proxy.url}/both", data=content).status_code == 201
    assert (server.root / "both").read_bytes() == content
    assert client.get(f"{proxy.url}/both").content == content


def test_chunked_bodies_pass_in_both_directions(
    proxy: FaultProxy, client: requests.Session, server: NginxServer
) -> None:
    parts = [b"a" * 100_000, b"b", b"c" * 70_000]
    assert client.put(f"{proxy.url}/chunked", data=iter(parts)).status_code == 201
    assert (server.root / "chunked").read_bytes() == b"".join(parts)
    answer = client.get(f"{proxy.url}/")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "chunked" in {each["name"] for each in answer.json()}


def test_one_connection_serves_many_requests(proxy: FaultProxy, client: requests.Session) -> None:
    for method, path, status in (
        ("GET", "/content", 200),
        ("HEAD", "/content", 200),
        ("GET", "/missing", 404),
        ("MKCOL", "/kept/", 201),
        ("DELETE", "/kept/", 204),
        ("GET", "/", 200),
    ):
        assert client.request(method, proxy.url + path).status_code == status
    assert proxy.rules.connections == 1
    assert proxy.rules.count() == 6
    assert proxy.rules.count("GET", "^/(content|missing)$") == 2
    assert [request.method for request in proxy.rules.requests[:2]] == ["GET", "HEAD"]


def test_many_workers_are_served_at_once(proxy: FaultProxy, client: requests.Session) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get(f"{proxy.url}/content").content, range(40)))
    assert all(answer == CONTENT for answer in answers)
    assert proxy.rules.count() == 40


def test_requests_sent_ahead_are_answered_in_order(proxy: FaultProxy) -> None:
    received = talk(
        proxy,
        put_head("/ahead", "Content-Length: 5") + b"hello"
        b"GET /ahead HTTP/1.1\r\nHost: store\r\n\r\n"
        b"GET /missing HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n",
    )
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"201", b"200", b"404"]
    assert b"\r\n\r\nhelloHTTP/1.1 404" in received


def test_a_client_that_waits_for_the_go_ahead_gets_it(proxy: FaultProxy) -> None:
    address = urlsplit(proxy.url)
    fields = ("Content-Length: 5", "Expect: 100-continue", "Connection: close")
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(put_head("/go-ahead", *fields))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")


def test_a_client_that_waits_in_vain_gets_the_rejection(tmp_path: Path) -> None:
    fields = ("Content-Length: 5", "Expect: 100-continue")
    # Apache refuses before it asks for the body; nginx asks for it first.
    with (
        apache(tmp_path, credentials=Credentials("user", "password")) as server,
        fault_proxy(server.url) as proxy,
    ):
        received = talk(proxy, put_head("/refused", *fields))
    assert received.startswith(b"HTTP/1.1 401 ")
    assert b"Connection: close\r\n" in received


@pytest.mark.parametrize("seconds", [0.02, 0.06])
def test_a_round_trip_takes_as_long_as_told(
    proxy: FaultProxy, client: requests.Session, seconds: float
) -> None:
    url = f"{proxy.url}/missing"
    client.get(url)
    # The quickest of many: whatever else the machine does only ever adds to it.
    plain = min(elapsed(client, url) for _ in range(20))
    proxy.rules.set_round_trip(seconds)
    delayed = min(elapsed(client, url) for _ in range(20))
    assert seconds - 0.001 <= delayed - plain <= seconds + 0.003


def elapsed(client: requests.Session, url: str) -> float:
    start = time.perf_counter()
    client.get(url)
    return time.perf_counter() - start


def test_a_new_connection_costs_one_more_round_trip(
    proxy: FaultProxy, client: requests.Session
) -> None:
    proxy.rules.set_round_trip(0.1)
    assert elapsed(client, f"{proxy.url}/missing") >= 0.2


def test_the_bandwidth_is_shared_by_all_connections(
    proxy: FaultProxy, client: requests.Session
) -> None:
    proxy.rules.to_client.bandwidth = 8 * len(CONTENT)
    start = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.get(f"{proxy.url}/content").content, range(4)))
    assert 0.5 <= time.monotonic() - start < 10


def test_an_upload_obeys_its_own_bandwidth(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.rules.to_server.bandwidth = 5 * len(CONTENT)
    start = time.monotonic()
    client.put(f"{proxy.url}/slow", data=CONTENT)
    assert 0.2 <= time.monotonic() - start < 10


@pytest.mark.parametrize("after", [0, 1, 65_537, len(CONTENT)])
def test_an_upload_is_cut_and_the_server_stores_nothing(
    proxy: FaultProxy, client: requests.Session, server: NginxServer, after: int
) -> None:
    rule = proxy.rules.add(CutRequest(after=after), method="PUT")
    with pytest.raises(requests.ConnectionError):
        client.put(f"{proxy.url}/cut-{after}", data=CONTENT)
    assert rule.hits == 1
    if after < len(CONTENT):
        assert not (server.root / f"cut-{after}").exists()
    assert client.put(f"{proxy.url}/cut-{after}", data=CONTENT).ok


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("after", [0, 1, 100_000])
def test_a_download_is_cut_after_exactly_so_many_bytes(
    proxy: FaultProxy, client: requests.Session, after: int, reset: bool
) -> None:
    proxy.rules.add(CutAnswer(after=after, reset=reset))
    received = bytearray()

    def read_all() -> None:
        # Byte by byte: what came together with the failure would be dropped.
        while data := answer.raw.read(1):
            received.extend(data)

    with client.get(f"{proxy.url}/content", stream=True) as answer:
        assert answer.status_code == 200
        with pytest.raises(ProtocolError, match="ConnectionReset" if reset else "IncompleteRead"):
            read_all()
    assert received == CONTENT[:after]


def test_a_cut_chunked_answer_is_noticed(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.rules.add(CutAnswer(after=10, reset=False))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get(f"{proxy.url}/")


def test_a_lost_acknowledgement_leaves_the_server_with_the_file(
    proxy: FaultProxy, client: requests.Session, server: NginxServer
) -> None:
    proxy.rules.add(LoseAnswer(), method="PUT", path="^/lost$")
    with pytest.raises(requests.ConnectionError):
        client.put(f"{proxy.url}/lost", data=CONTENT)
    assert (server.root / "lost").read_bytes() == CONTENT
    assert client.put(f"{proxy.url}/lost", data=CONTENT).status_code == 204


@pytest.mark.parametrize("offset", [0, 65_536, len(CONTENT) - 1])
def test_one_byte_is_changed(proxy: FaultProxy, client: requests.Session, offset: int) -> None:
    proxy.rules.add(FlipByte(offset=offset))
    received = client.get(f"{proxy.url}/content").content
    assert [n for n in range(len(CONTENT)) if received[n] != CONTENT[n]] == [offset]
    assert client.get(f"{proxy.url}/content").content == CONTENT


def test_one_byte_of_a_chunked_answer_is_changed(
    proxy: FaultProxy, client: requests.Session
) -> None:
    whole = client.get(f"{proxy.url}/").content
    proxy.rules.add(FlipByte(offset=1))
    assert client.get(f"{proxy.url}/").content == whole[:1] + bytes([whole[1] ^ 255]) + whole[2:]


@pytest.mark.parametrize("path", ["/content", "/"])
def test_a_truncated_answer_looks_complete(
    proxy: FaultProxy, client: requests.Session, path: str
) -> None:
    whole = client.get(proxy.url + path).content
    proxy.rules.add(Truncate(keep=10))
    answer = client.get(proxy.url + path)
    assert answer.headers["Content-Length"] == "10"
    assert answer.content == whole[:10]
    assert client.get(proxy.url + path).content == whole
    assert proxy.rules.connections == 1


def test_an_answer_is_given_instead_of_the_servers(
    proxy: FaultProxy, client: requests.Session, server: NginxServer
) -> None:
    proxy.rules.add(AnswerInstead(503, {"Retry-After": "7"}, b"busy"), method="PUT")
    answer = client.put(f"{proxy.url}/instead", data=CONTENT)
    assert (answer.status_code, answer.headers["Retry-After"], answer.text) == (503, "7", "busy")
    assert not (server.root / "instead").exists()
    assert client.put(f"{proxy.url}/instead", data=CONTENT).status_code == 201
    assert proxy.rules.connections == 1


def test_a_fault_hits_the_requests_it_was_meant_for(
    proxy: FaultProxy, client: requests.Session
) -> None:
    rule = proxy.rules.add(AnswerInstead(500), method="GET", path="^/content", nth=2, times=2)
    client.head(f"{proxy.url}/content")
    client.get(f"{proxy.url}/missing")
    statuses = [client.get(f"{proxy.url}/content").status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]
    assert rule.hits == 2


def test_a_fault_without_end_holds_until_it_is_cleared(
    proxy: FaultProxy, client: requests.Session
) -> None:
    proxy.rules.add(AnswerInstead(429), times=None)
    assert {client.get(f"{proxy.url}/content").status_code for _ in range(4)} == {429}
    proxy.rules.clear()
    assert client.get(f"{proxy.url}/content").status_code == 200
    assert proxy.rules.count() == 1


def test_of_two_faults_the_first_holds_and_the_second_waits(
    proxy: FaultProxy, client: requests.Session
) -> None:
    proxy.rules.add(AnswerInstead(500))
    second = proxy.rules.add(AnswerInstead(502))
    assert [client.get(proxy.url).status_code for _ in range(3)] == [500, 502, 200]
    assert second.hits == 1


def test_a_server_that_is_gone_resets_the_client(client: requests.Session) -> None:
    with (
        fault_proxy(f"http://127.0.0.1:{unused_port()}") as proxy,
        pytest.raises(requests.ConnectionError),
    ):
        client.get(proxy.url)


def test_a_stopped_proxy_leaves_no_thread_and_no_connection(
    server: NginxServer, client: requests.Session
) -> None:
    before = set(threading.enumerate())
    with fault_proxy(server.url) as proxy:
        client.get(proxy.url)
    # Others' threads may end meanwhile.
    assert {each for each in threading.enumerate() if each.name != "watchdog"} <= before
    with pytest.raises(requests.ConnectionError):
        client.get(proxy.url)

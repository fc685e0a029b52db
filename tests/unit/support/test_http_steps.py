"""A process is killed, or its connection broken, exactly at the request that was named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.http_steps import count_requests, fail_at_request
from tests.support.serving import Reply, ScriptedServer, scripted_server

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import requests
from tests.support.http_steps import kill_self_at_request
session = requests.Session()
session.trust_env = False
steps = kill_self_at_request(int(sys.argv[3]))
for number in range(3):
    session.get(f"{sys.argv[2]}/{number}")
print(steps.count)
"""
BOTOCORE = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.support.http_steps import kill_self_at_request
from tests.support.servers.s3 import S3Server, s3_client
client = s3_client(S3Server(sys.argv[2], "", "key", "secret", "us-east-1"))
steps = kill_self_at_request(int(sys.argv[3]))
for number in range(3):
    client.get_object(Bucket="bucket", Key=str(number))["Body"].read()
print(steps.count)
"""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(Reply(body=b"x")) as running:
        yield running


def run(program: str, server: ScriptedServer, at: int) -> tuple[int, str]:
    command = [sys.executable, "-I", "-c", program, str(ROOT), server.url, str(at)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode, done.stdout.strip()


def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    return made


@pytest.mark.parametrize(("at", "made"), [(1, 0), (2, 1), (3, 2), (-1, 1), (-2, 2), (-3, 3)])
def test_a_process_is_killed_before_or_after_the_named_request(
    server: ScriptedServer, at: int, made: int
) -> None:
    assert run(PROGRAM, server, at) == (-9, "")
    assert [request.path for request in server.requests] == [f"/{n}" for n in range(made)]


@pytest.mark.parametrize("at", [0, 4, -4])
def test_a_process_that_is_not_killed_knows_how_many_requests_it_made(
    server: ScriptedServer, at: int
) -> None:
    assert run(PROGRAM, server, at) == (0, "3")


def test_botocores_requests_count_as_well(server: ScriptedServer) -> None:
    assert run(BOTOCORE, server, 0) == (0, "3")
    assert run(BOTOCORE, server, -2) == (-9, "")
    assert len(server.requests) == 5


def test_a_request_fails_before_it_is_made(server: ScriptedServer) -> None:
    with session() as client, fail_at_request(2) as steps:
        client.get(server.url)
        with pytest.raises(requests.ConnectionError):
            client.get(server.url)
        client.get(server.url)
    assert steps.count == 3
    assert len(server.requests) == 2


def test_a_request_fails_after_the_server_has_done_it(server: ScriptedServer) -> None:
    with session() as client, fail_at_request(-1):
        with pytest.raises(requests.ConnectionError):
            client.put(server.url, data=b"done")
        assert [request.body for request in server.requests] == [b"done"]


def test_nothing_is_counted_after_the_end(server: ScriptedServer) -> None:
    with session() as client:
        with count_requests() as steps:
            client.get(server.url)
        client.get(server.url)
    assert steps.count == 1
    assert len(server.requests) == 2

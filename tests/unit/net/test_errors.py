from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from ign_deploy.errors import NetworkError
from ign_deploy.net.errors import TransientFailure, explain_failure, parse_retry_after
from ign_deploy.net.session import open_http_session
from tests.support.serving import Reply, scripted_server, unused_port

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def failure_of(url: str, ca: Path | None = None) -> NetworkError:
    with open_http_session(ca=ca) as session, pytest.raises(NetworkError) as failure:
        session.request("GET", url, timeout=(5, 5))
    return failure.value


def test_a_refused_connection_says_so() -> None:
    failure = failure_of(f"http://127.0.0.1:{unused_port()}/")
    assert isinstance(failure, TransientFailure)
    assert "127.0.0.1 refused the connection" in failure.message
    assert "the server is running" in failure.hint


def test_an_unknown_host_says_so_and_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of a name server is made here: without a network there is none to ask."""

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failure = failure_of("http://no-such-host.invalid/path?token=s3cret")
    assert not isinstance(failure, TransientFailure)
    assert failure.message == "cannot resolve the host name no-such-host.invalid"
    assert "s3cret" not in failure.message + failure.hint


def test_a_name_server_that_fails_for_now_may_be_tried_again() -> None:
    cause = requests.ConnectionError(OSError())
    cause.__cause__ = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert isinstance(explain_failure("http://host/", cause), TransientFailure)


def test_a_broken_url_says_so() -> None:
    assert "failed" in failure_of("http://[::1/").message


def test_a_server_that_hangs_up_on_tls_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            accepted, _ = listener.accept()
            accepted.recv(1 << 16)
            accepted.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        failure = failure_of(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert isinstance(failure, TransientFailure)
    assert failure.message == "the connection to 127.0.0.1 broke"


def test_a_failure_says_whether_the_request_may_have_arrived() -> None:
    refused = failure_of(f"http://127.0.0.1:{unused_port()}/")
    assert isinstance(refused, TransientFailure)
    assert not refused.sent
    with scripted_server(Reply(reset=True)) as server:
        broken = failure_of(server.url)
    assert isinstance(broken, TransientFailure)
    assert broken.sent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        (" 0 ", 0.0),
        ("Sat, 31 Jan 2026 12:00:30 GMT", 30.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("Sat, 31 Jan 2026 12:00:30", 30.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1" * 400, None),
        ("Sat, 99 Jan 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, now=NOW) == seconds

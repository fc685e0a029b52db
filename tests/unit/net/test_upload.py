from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NetworkError, RepositoryError
from ign_deploy.net.credentials import token_auth
from ign_deploy.net.errors import TransientAnswer, TransientFailure
from ign_deploy.net.session import open_session
from ign_deploy.net.upload import Sent, Source, send_bytes, send_file
from tests.support.file_server import Fault, FileServer, file_server
from tests.support.transfers import Counter, FakeTime, Warnings

CONTENT = bytes(range(256)) * 12_345  # three blocks, the last one short
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as store:
        yield store


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "a.modl"
    path.write_bytes(CONTENT)
    return Source(path, len(CONTENT), DIGEST)


class Upload:
    """One upload with everything that can be looked at afterwards."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.reported = Warnings()
        self.counter = Counter()

    def __call__(self, server: FileServer, source: Source, **options: Any) -> Sent:
        options.setdefault("policy", self.time.policy())
        stall = options.pop("stall", 5.0)
        with open_session(stall=stall) as session:
            return send_file(
                session,
                "PUT",
                f"{server.url}/a.modl",
                source=source,
                title="uploading",
                reporter=self.reported,
                progress=self.counter,
                **options,
            )


@pytest.fixture
def upload() -> Upload:
    return Upload()


def test_a_file_arrives_whole_with_its_length(
    server: FileServer, source: Source, upload: Upload
) -> None:
    sent = upload(server, source, headers={"Content-Type": "application/zip"})
    assert (sent.status, sent.accepted, sent.settled) == (201, True, False)
    assert server.stored == {"/a.modl": DIGEST}
    headers = server.seen[0].headers
    assert headers["Content-Length"] == str(len(CONTENT))
    assert headers["Content-Type"] == "application/zip"
    assert "Transfer-Encoding" not in headers
    assert upload.counter.done == len(CONTENT)
    assert upload.reported.warnings == []


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_of_any_size_arrives(
    size: int, server: FileServer, tmp_path: Path, upload: Upload
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT[:size])
    digest = hashlib.sha256(CONTENT[:size]).hexdigest()
    assert upload(server, Source(path, size, digest)).accepted
    assert server.stored == {"/a.modl": digest}
    assert server.seen[0].headers["Content-Length"] == str(size)
    assert upload.counter.done == size


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut=0),
        Fault(cut=700_000),
        Fault(lost=True),
        Fault(status=503),
        Fault(status=429, headers={"Retry-After": "1"}),
        Fault(status=201, early=True),
        Fault(status=403, body=b"You have exceeded a secondary rate limit"),
    ],
)
def test_a_further_attempt_sends_the_whole_file_again(
    fault: Fault, server: FileServer, source: Source, upload: Upload
) -> None:
    server.faults = [fault, fault]
    assert upload(server, source).status == 201
    assert server.stored == {"/a.modl": DIGEST}
    assert [each.path for each in server.seen] == ["/a.modl"] * 3
    assert (server.seen[2].size, server.seen[2].sha256) == (len(CONTENT), DIGEST)
    assert len(upload.reported.warnings) == 2
    assert upload.counter.done == len(CONTENT)
    assert (upload.counter.least, upload.counter.most) == (0, len(CONTENT))


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("7", 7.0), ("21600", 60.0), ("Wed, 21 Oct 2099 07:28:00 GMT", 60.0)],
)
def test_the_wait_that_a_server_asks_for_is_kept_and_capped(
    asked: str, waited: float, server: FileServer, source: Source, upload: Upload
) -> None:
    server.faults = [Fault(status=429, headers={"Retry-After": asked})]
    upload(server, source)
    assert upload.time.slept == [waited]


@pytest.mark.parametrize("fault", [Fault(lost=True), Fault(status=502)])
def test_a_lost_acknowledgement_is_settled_by_asking(
    fault: Fault, server: FileServer, source: Source, upload: Upload
) -> None:
    server.faults = [fault]
    asked: list[str] = []

    def settle() -> bool:
        asked.append("once")
        return True

    sent = upload(server, source, settle=settle)
    assert sent == Sent(0, settled=True)
    assert sent.accepted
    assert asked == ["once"]
    assert len(server.seen) == 1
    assert upload.counter.done == len(CONTENT)


def test_what_did_not_arrive_is_sent_again(
    server: FileServer, source: Source, upload: Upload
) -> None:
    server.faults = [Fault(cut=5)]
    sent = upload(server, source, settle=lambda: "/a.modl" in server.stored)
    assert (sent.status, sent.settled) == (201, False)


def test_the_last_attempt_is_settled_too(
    server: FileServer, source: Source, upload: Upload
) -> None:
    server.faults = [Fault(status=500)] * 5
    with pytest.raises(TransientAnswer):
        upload(server, source, settle=lambda: False)
    server.faults = [Fault(status=500)] * 5
    answers = iter([False] * 4 + [True])
    assert upload(server, source, settle=lambda: next(answers)).settled


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 422])
def test_a_refusal_is_returned_at_once(
    status: int, server: FileServer, source: Source, upload: Upload
) -> None:
    server.faults = [Fault(status=status, body=b"no", headers={"X-Why": "so"})]
    sent = upload(server, source)
    assert (sent.status, sent.body, sent.headers["x-why"]) == (status, b"no", "so")
    assert not sent.accepted
    assert len(server.seen) == 1
    assert upload.counter.done == 0


def test_an_endless_error_page_is_cut_off(
    server: FileServer, source: Source, upload: Upload
) -> None:
    server.faults = [Fault(status=400, body=b"x" * (3 << 20))]
    assert len(upload(server, source).body) == 1 << 20


def changes() -> dict[str, tuple[Callable[[Path], object], str]]:
    return {
        "longer": (lambda path: path.write_bytes(CONTENT + b"x"), f"found {len(CONTENT) + 1}"),
        "shorter": (lambda path: path.write_bytes(CONTENT[:-1]), f"found {len(CONTENT) - 1}"),
        "other": (
            lambda path: path.write_bytes(CONTENT[:-1] + b"x"),
            f"read {len(CONTENT)} bytes with",
        ),
    }


@pytest.mark.parametrize("kind", changes())
def test_a_file_that_changed_before_is_never_stored(
    kind: str, server: FileServer, source: Source, upload: Upload
) -> None:
    change, observed = changes()[kind]
    change(source.path)
    with pytest.raises(RepositoryError) as refusal:
        upload(server, source)
    message = refusal.value.message
    assert f"{source.path} changed while it was being published: expected 3160320 bytes" in message
    assert observed in message
    assert "nothing was published" in refusal.value.hint
    assert server.stored == {}
    assert upload.counter.done == 0


@pytest.mark.parametrize("kind", changes())
def test_a_file_that_changes_meanwhile_is_never_stored(
    kind: str, server: FileServer, source: Source, upload: Upload
) -> None:
    change, _ = changes()[kind]
    seen = upload.counter

    def change_once(advance: int) -> None:
        if not seen.most:
            change(source.path)
        Counter.__call__(seen, advance)

    upload.counter = change_once  # type: ignore[assignment]
    with pytest.raises(RepositoryError, match="changed while it was being published"):
        upload(server, source)
    assert server.stored == {}
    assert seen.done == 0


def test_a_file_that_changes_between_attempts_is_never_stored(
    server: FileServer, source: Source, upload: Upload
) -> None:
    server.faults = [Fault(status=503, act=lambda: source.path.write_bytes(CONTENT[::-1]))]
    with pytest.raises(RepositoryError, match="changed while it was being published"):
        upload(server, source)
    assert server.stored == {}


def test_an_empty_file_with_another_digest_is_refused(
    server: FileServer, tmp_path: Path, upload: Upload
) -> None:
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(RepositoryError, match="changed while"):
        upload(server, Source(path, 0, DIGEST))
    assert server.seen == []


def test_what_cannot_be_read_is_no_network_failure(
    server: FileServer, tmp_path: Path, upload: Upload
) -> None:
    with pytest.raises(RepositoryError, match=r"cannot read .*none: No such file") as refusal:
        upload(server, Source(tmp_path / "none", 1, DIGEST))
    assert refusal.value.hint == "make the file again, then upload it."
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(RepositoryError, match="cannot read"):
            upload(server, Source(path, 1, DIGEST))
    assert server.seen == []


def test_a_read_error_in_the_middle_is_no_network_failure(
    server: FileServer, source: Source, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ConnectionResetError(104, "the share is gone")

    monkeypatch.setattr(os, "readv", broken)
    with pytest.raises(RepositoryError, match=r"cannot read .*the share is gone"):
        upload(server, source)
    assert upload.reported.warnings == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_upload_is_never_redirected(
    status: int, server: FileServer, source: Source, upload: Upload
) -> None:
    with file_server() as other:
        target = f"{other.url}/b?token=s3cret"
        server.faults = [Fault(status=status, headers={"Location": target})]
        with pytest.raises(RepositoryError) as refusal:
            upload(server, source)
        assert other.seen == []
        assert f"127.0.0.1 redirects uploads to {other.url}, " in refusal.value.message
        assert other.url in refusal.value.hint
    assert "s3cret" not in refusal.value.message + refusal.value.hint
    assert upload.counter.done == 0


def test_a_server_that_takes_nothing_more_stalls(source: Source, upload: Upload) -> None:
    """The sockets' buffers are full at some time, so the file has to be larger than they are."""
    import socket

    size = 64 << 20
    os.truncate(source.path, size)
    with socket.create_server(("127.0.0.1", 0)) as deaf, open_session(stall=0.3) as session:
        with pytest.raises(TransientFailure, match=r"127\.0\.0\.1 didn't answer in time"):
            send_file(
                session,
                "PUT",
                f"http://127.0.0.1:{deaf.getsockname()[1]}/",
                source=Source(source.path, size, DIGEST),
                title="uploading",
                reporter=upload.reported,
                progress=upload.counter,
                policy=upload.time.policy(attempts=2),
            )
        assert 0 < upload.counter.most < size
        assert upload.counter.done == 0


def test_an_upload_ends_at_its_deadline(server: FileServer, source: Source, upload: Upload) -> None:
    def slow(advance: int) -> None:
        upload.time.now += 100

    upload.counter = slow  # type: ignore[assignment]
    with pytest.raises(NetworkError, match="took longer than 300 s") as failure:
        upload(server, source)
    assert not isinstance(failure.value, TransientFailure)
    assert server.stored == {}


def test_the_deadline_grows_with_the_size() -> None:
    from ign_deploy.net.deadline import policy_for

    assert policy_for(0, None).deadline == 300
    assert policy_for(300_000_000, None).deadline == 3300
    given = FakeTime().policy(deadline=5)
    assert policy_for(1, given) is given


def test_small_bodies_have_the_same_rules(server: FileServer, upload: Upload) -> None:
    def send(data: bytes, **options: Any) -> Sent:
        return send_bytes(
            session,
            "PATCH",
            f"{server.url}/r",
            data=data,
            title="writing",
            reporter=upload.reported,
            policy=upload.time.policy(),
            **options,
        )

    with open_session(auth=token_auth("t0ken", url=server.url)) as session:
        server.faults = [Fault(cut=1), Fault(status=500)]
        assert send(b"{}", headers={"X": "1"}).status == 201
        assert [each.size for each in server.seen] == [1, 2, 2]
        assert server.seen[2].headers["X"] == "1"
        server.faults = [Fault(lost=True)]
        assert send(b"", settle=lambda: True).settled
        assert server.seen[3].headers["Content-Length"] == "0"
        server.faults = [Fault(status=307, headers={"Location": "/x"})]
        with pytest.raises(RepositoryError, match="redirects uploads"):
            send(b"{}")
        assert server.seen[-1].headers["Authorization"] == "Bearer t0ken"


def test_connections_are_used_again(server: FileServer, upload: Upload) -> None:
    with open_session() as session:
        for _ in range(5):
            send_bytes(
                session, "PUT", server.url, data=b"x", title="writing", reporter=upload.reported
            )
    assert server.connections == 1


CHILD = """
import re, sys
from pathlib import Path
from ign_deploy.net.session import open_session
from ign_deploy.net.upload import Source, send_file
from ign_deploy.report import SilentReporter
path, url, sha256 = sys.argv[1:]
source = Source(Path(path), Path(path).stat().st_size, sha256)
with open_session() as session:
    sent = send_file(session, "PUT", url, source=source, title="uploading",
                     reporter=SilentReporter(), progress=lambda advance: None)
# Not getrusage: a child begins with the peak of its parent there.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
print(sent.status, peak)
"""


def test_memory_stays_small(server: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 200 << 20)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), f"{server.url}/s", digest],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert child.returncode == 0, child.stderr
    status, megabytes = map(int, child.stdout.split())
    assert status == 201
    assert server.stored == {"/s": digest}
    assert megabytes < 80

from __future__ import annotations

import base64
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NetworkError, RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.errors import TransientFailure, TransientResponse
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.session import open_http_session
from ign_deploy.net.upload import UploadSource, split_source
from tests.support.file_server import Fault, FileServer, file_server
from tests.support.reporting import Recorder
from tests.support.transfers import Counter, FakeTime

CONTENT = bytes(range(256)) * 12_345  # three blocks, the last one short
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as store:
        yield store


@pytest.fixture
def source(tmp_path: Path) -> UploadSource:
    path = tmp_path / "a.modl"
    path.write_bytes(CONTENT)
    return UploadSource(path, len(CONTENT), DIGEST)


class Upload:
    """One upload with everything that can be looked at afterwards."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.recorder = Recorder()
        self.counter = Counter()

    def __call__(self, server: FileServer, source: UploadSource, **options: Any) -> Response:
        stall = options.pop("stall", 5.0)
        with Client(
            open_http_session(stall=stall), base=server.url, reporter=self.recorder,
            retry=options.pop("retry", self.time.policy()), error=RepositoryError,
        ) as client:  # fmt: skip
            return client.upload(
                "PUT", "/a.modl", source=source, title="uploading", progress=self.counter,
                expect=ANY_STATUS, **options,
            )  # fmt: skip


@pytest.fixture
def upload() -> Upload:
    return Upload()


def test_a_file_arrives_whole_with_its_length(
    server: FileServer, source: UploadSource, upload: Upload
) -> None:
    sent = upload(server, source, headers={"Content-Type": "application/zip"})
    assert (sent.status, sent.ok, sent.confirmed) == (201, True, False)
    assert server.stored == {"/a.modl": DIGEST}
    headers = server.seen[0].headers
    assert headers["Content-Length"] == str(len(CONTENT))
    assert headers["Content-Type"] == "application/zip"
    assert "Transfer-Encoding" not in headers
    assert upload.counter.done == len(CONTENT)
    assert upload.recorder.warnings == []


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_of_any_size_arrives(
    size: int, server: FileServer, tmp_path: Path, upload: Upload
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT[:size])
    digest = hashlib.sha256(CONTENT[:size]).hexdigest()
    assert upload(server, UploadSource(path, size, digest)).ok
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
    fault: Fault, server: FileServer, source: UploadSource, upload: Upload
) -> None:
    server.faults = [fault, fault]
    assert upload(server, source).status == 201
    assert server.stored == {"/a.modl": DIGEST}
    assert [each.path for each in server.seen] == ["/a.modl"] * 3
    assert (server.seen[2].size, server.seen[2].sha256) == (len(CONTENT), DIGEST)
    assert len(upload.recorder.warnings) == 2
    assert upload.counter.done == len(CONTENT)
    assert (upload.counter.least, upload.counter.most) == (0, len(CONTENT))


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("7", 7.0), ("21600", 60.0), ("Wed, 21 Oct 2099 07:28:00 GMT", 60.0)],
)
def test_the_wait_that_a_server_asks_for_is_kept_and_capped(
    asked: str, waited: float, server: FileServer, source: UploadSource, upload: Upload
) -> None:
    server.faults = [Fault(status=503, headers={"Retry-After": asked})]
    upload(server, source)
    assert upload.time.slept == [waited]


@pytest.mark.parametrize("fault", [Fault(lost=True), Fault(status=502)])
def test_a_lost_acknowledgement_is_confirmed(
    fault: Fault, server: FileServer, source: UploadSource, upload: Upload
) -> None:
    server.faults = [fault]
    asked: list[str] = []

    def confirm() -> bool:
        asked.append("once")
        return True

    sent = upload(server, source, confirm=confirm)
    assert (sent.status, sent.confirmed) == (0, True)
    assert sent.ok
    assert asked == ["once"]
    assert len(server.seen) == 1
    assert upload.counter.done == len(CONTENT)


def test_what_did_not_arrive_is_sent_again(
    server: FileServer, source: UploadSource, upload: Upload
) -> None:
    server.faults = [Fault(cut=5)]
    sent = upload(server, source, confirm=lambda: "/a.modl" in server.stored)
    assert (sent.status, sent.confirmed) == (201, False)


def test_the_last_attempt_is_confirmed_too(
    server: FileServer, source: UploadSource, upload: Upload
) -> None:
    server.faults = [Fault(status=500)] * 5
    with pytest.raises(TransientResponse):
        upload(server, source, confirm=lambda: False)
    server.faults = [Fault(status=500)] * 5
    answers = iter([False] * 4 + [True])
    assert upload(server, source, confirm=lambda: next(answers)).confirmed


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 422])
def test_a_rejection_is_returned_at_once(
    status: int, server: FileServer, source: UploadSource, upload: Upload
) -> None:
    server.faults = [Fault(status=status, body=b"no", headers={"X-Why": "so"})]
    sent = upload(server, source)
    assert (sent.status, sent.body, sent.headers["x-why"]) == (status, b"no", "so")
    assert not sent.ok
    assert len(server.seen) == 1
    assert upload.counter.done == 0


def test_an_endless_error_page_is_cut_off(
    server: FileServer, source: UploadSource, upload: Upload
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
    kind: str, server: FileServer, source: UploadSource, upload: Upload
) -> None:
    change, observed = changes()[kind]
    change(source.path)
    with pytest.raises(RepositoryError) as caught:
        upload(server, source)
    message = caught.value.message
    assert f"{source.path} changed while it was being sent: expected 3160320 bytes" in message
    assert observed in message
    assert "nothing else writes the file" in caught.value.hint
    assert server.stored == {}
    assert upload.counter.done == 0


@pytest.mark.parametrize("kind", changes())
def test_a_file_that_changes_in_the_meantime_is_never_stored(
    kind: str, server: FileServer, source: UploadSource, upload: Upload
) -> None:
    change, _ = changes()[kind]
    seen = upload.counter

    def change_once(advance: int) -> None:
        if not seen.most:
            change(source.path)
        Counter.__call__(seen, advance)

    upload.counter = change_once  # type: ignore[assignment]
    with pytest.raises(RepositoryError, match="changed while it was being sent"):
        upload(server, source)
    assert server.stored == {}
    assert seen.done == 0


def test_a_file_that_changes_between_attempts_is_never_stored(
    server: FileServer, source: UploadSource, upload: Upload
) -> None:
    server.faults = [Fault(status=503, act=lambda: source.path.write_bytes(CONTENT[::-1]))]
    with pytest.raises(RepositoryError, match="changed while it was being sent"):
        upload(server, source)
    assert server.stored == {}


def test_an_empty_file_with_another_digest_is_rejected(
    server: FileServer, tmp_path: Path, upload: Upload
) -> None:
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(RepositoryError, match="changed while"):
        upload(server, UploadSource(path, 0, DIGEST))
    assert server.seen == []


def test_what_cannot_be_read_is_no_network_failure(
    server: FileServer, tmp_path: Path, upload: Upload
) -> None:
    with pytest.raises(RepositoryError, match=r"cannot read .*none: No such file") as caught:
        upload(server, UploadSource(tmp_path / "none", 1, DIGEST))
    assert caught.value.hint == "build the file again, then upload it."
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(RepositoryError, match="cannot read"):
            upload(server, UploadSource(path, 1, DIGEST))
    assert server.seen == []


def test_a_read_error_in_the_middle_is_no_network_failure(
    server: FileServer, source: UploadSource, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ConnectionResetError(104, "the share is gone")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(RepositoryError, match=r"cannot read .*the share is gone"):
        upload(server, source)
    assert upload.recorder.warnings == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_upload_is_never_redirected(
    status: int, server: FileServer, source: UploadSource, upload: Upload
) -> None:
    with file_server() as other:
        target = f"{other.url}/b?token=s3cret"
        server.faults = [Fault(status=status, headers={"Location": target})]
        with pytest.raises(RepositoryError) as caught:
            upload(server, source)
        assert other.seen == []
        assert f"127.0.0.1 redirects to {other.url}, " in caught.value.message
        assert other.url in caught.value.hint
    assert "s3cret" not in caught.value.message + caught.value.hint
    assert upload.counter.done == 0


def test_a_server_that_takes_nothing_more_stalls(source: UploadSource, upload: Upload) -> None:
    """The sockets' buffers are full at some time, so the file has to be larger than they are."""
    import socket

    size = 64 << 20
    os.truncate(source.path, size)
    with socket.create_server(("127.0.0.1", 0)) as deaf, open_http_session(stall=0.3) as session:
        client = Client(session, retry=upload.time.policy(attempts=2))
        with pytest.raises(TransientFailure, match=r"127\.0\.0\.1 didn't respond in time"):
            client.upload(
                "PUT",
                f"http://127.0.0.1:{deaf.getsockname()[1]}/",
                source=UploadSource(source.path, size, DIGEST),
                title="uploading",
                progress=upload.counter,
            )
        assert 0 < upload.counter.most < size
        assert upload.counter.done == 0


def test_an_upload_ends_at_its_deadline(
    server: FileServer, source: UploadSource, upload: Upload
) -> None:
    def slow(advance: int) -> None:
        upload.time.now += 100

    upload.counter = slow  # type: ignore[assignment]
    with pytest.raises(NetworkError, match="took longer than 300 s") as failure:
        upload(server, source)
    assert not isinstance(failure.value, TransientFailure)
    assert server.stored == {}


def test_the_deadline_grows_with_the_size() -> None:
    assert RetryPolicy.for_size(0).deadline == 300
    assert RetryPolicy.for_size(300_000_000).deadline == 3300


CHILD = """
import re, sys
from pathlib import Path
from ign_deploy.net.client import Client
from ign_deploy.net.session import open_http_session
from ign_deploy.net.upload import UploadSource, split_source
path, url, sha256 = sys.argv[1:]
source = UploadSource(Path(path), Path(path).stat().st_size, sha256)
with Client(open_http_session()) as client:
    sent = client.upload("PUT", url, source=source, title="uploading",
                         progress=lambda advance: None)
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


def test_a_file_is_sent_in_parts(server: FileServer, source: UploadSource, upload: Upload) -> None:
    parts = split_source(source, length=1_500_000, error=RepositoryError)
    assert [(part.offset, part.size) for part in parts] == [
        (0, 1_500_000), (1_500_000, 1_500_000), (3_000_000, 160_320),
    ]  # fmt: skip
    for part in parts:
        upload(server, part)
        content = CONTENT[part.offset : part.offset + part.size]
        assert server.stored["/a.modl"] == hashlib.sha256(content).hexdigest()
    assert upload.counter.done == len(CONTENT)
    with source.path.open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(RepositoryError, match="changed while it was being sent"):
        upload(server, parts[0])


def test_parts_are_made_of_the_file_of_the_record_only(source: UploadSource) -> None:
    source.path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(RepositoryError, match="changed while it was being sent"):
        split_source(source, length=1_500_000, error=RepositoryError)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_001])
def test_base64_is_one_text_with_a_known_length(
    server: FileServer, tmp_path: Path, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    path = tmp_path / "x"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    Upload()(server, UploadSource(path, size, digest, as_base64=True))
    text = base64.b64encode(data)
    assert server.stored == {"/a.modl": hashlib.sha256(text).hexdigest()}
    assert server.seen[0].headers["Content-Length"] == str(len(text))

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ign_deploy.errors import NetworkError, RepositoryError, VerificationError
from ign_deploy.net.download import receive
from ign_deploy.net.errors import TransientFailure, TransientResponse
from ign_deploy.net.response import Response
from ign_deploy.net.session import open_http_session
from tests.support.file_server import Fault, FileServer, file_server
from tests.support.reporting import Recorder
from tests.support.transfers import Counter, FakeTime

CONTENT = bytes(range(256)) * 12_345
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OTHER = CONTENT[:-1] + b"x"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as store:
        store.files["/a.modl"] = CONTENT
        yield store


class Pipe(io.RawIOBase):
    """A target that can't seek, and takes less than it is given."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data[:1000])
        self.data += part
        return len(part)


@dataclass(frozen=True)
class File:
    """What a record says."""

    name: str
    size: int
    sha256: str


class Download:
    """One download with everything that can be looked at afterwards."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.recorder = Recorder()
        self.counter = Counter()
        self.to = io.BytesIO()

    def __call__(self, server: FileServer, **options: Any) -> bytes:
        to: BinaryIO = options.pop("to", self.to)
        size, sha256 = options.pop("size", len(CONTENT)), options.pop("sha256", DIGEST)
        with open_http_session(stall=options.pop("stall", 5.0)) as session:
            receive(
                session,
                f"{server.url}/a.modl",
                File("a.modl", size, sha256),
                **{
                    "to": to,
                    "reporter": self.recorder,
                    "progress": self.counter,
                    "policy": self.time.policy(),
                    "error": RepositoryError,
                    **options,
                },
            )
        return self.to.getvalue()


@pytest.fixture
def download() -> Download:
    return Download()


def ranges(server: FileServer) -> list[str | None]:
    return [each.headers.get("Range") for each in server.seen]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("declared", [False, True])
def test_a_file_arrives_whole(
    chunked: bool, declared: bool, server: FileServer, download: Download
) -> None:
    server.chunked, server.declared = chunked, declared
    assert download(server, headers={"X": "1"}) == CONTENT
    assert download.counter.done == len(CONTENT)
    assert server.seen[0].headers["Accept-Encoding"] == "identity"
    assert server.seen[0].headers["X"] == "1"
    assert download.recorder.warnings == []


def test_an_empty_file_arrives(server: FileServer, download: Download) -> None:
    server.files["/a.modl"] = b""
    assert download(server, size=0, sha256=hashlib.sha256().hexdigest()) == b""


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("validator", ["strong", "date"])
def test_a_broken_download_is_resumed(
    chunked: bool, validator: str, server: FileServer, download: Download
) -> None:
    server.chunked, server.validator = chunked, validator
    server.faults = [Fault(cut=1_000_000), Fault(status=503), Fault(cut=1_000_000)]
    assert download(server) == CONTENT
    assert ranges(server) == [None, "bytes=1000000-", "bytes=1000000-", "bytes=2000000-"]
    assert server.seen[1].headers["If-Range"]
    assert download.counter.done == len(CONTENT)
    assert download.counter.least == 0
    assert len(download.recorder.warnings) == 3


def test_a_connection_that_ends_early_without_a_length_is_resumed(
    server: FileServer, download: Download
) -> None:
    server.declared = False
    server.files["/a.modl"] = CONTENT[:1000]
    server.validator = "none"

    def repair() -> None:
        server.files["/a.modl"] = CONTENT

    server.faults = [Fault(), Fault(act=repair)]
    assert download(server) == CONTENT
    assert "ended after 1000 of 3160320 bytes" in download.recorder.warnings[0]


@pytest.mark.parametrize(
    ("ranged", "validator"), [(False, "strong"), (True, "weak"), (True, "none")]
)
def test_without_ranges_it_starts_over(
    ranged: bool, validator: str, server: FileServer, download: Download
) -> None:
    server.ranges, server.validator = ranged, validator
    server.faults = [Fault(cut=1_000_000)]
    download.to.write(b"before")
    assert download(server) == b"before" + CONTENT
    assert download.counter.done == len(CONTENT)
    assert ranges(server) == [None, "bytes=1000000-" if validator == "strong" else None]


def test_a_target_that_cannot_seek_gets_each_byte_once(
    server: FileServer, download: Download
) -> None:
    server.validator = "none"
    server.faults = [Fault(cut=1_000_000), Fault(cut=300_000), Fault(cut=2_000_000)]
    pipe = Pipe()
    download(server, to=pipe)
    assert pipe.data == CONTENT
    assert download.counter.done == len(CONTENT)


@pytest.mark.parametrize("validator", ["strong", "none"])
def test_a_target_that_cannot_seek_gets_no_mixture(
    validator: str, server: FileServer, download: Download
) -> None:
    server.validator = validator
    server.files["/a.modl"] = b"x" + CONTENT[1:]

    def change() -> None:
        server.files["/a.modl"] = CONTENT

    server.faults = [Fault(cut=1_000_000), Fault(act=change)]
    pipe = Pipe()
    with pytest.raises(VerificationError, match="two attempts got different bytes"):
        download(server, to=pipe)
    assert len(pipe.data) == 1_000_000


@pytest.mark.parametrize("shorter", [False, True])
def test_a_file_that_changed_in_the_meantime_is_received_from_its_start(
    shorter: bool, server: FileServer, download: Download
) -> None:
    server.files["/a.modl"] = OTHER

    def change() -> None:
        server.files["/a.modl"] = CONTENT[:1000] if shorter else CONTENT

    server.faults = [Fault(cut=1_000_000), Fault(act=change)]
    size = 1000 if shorter else len(CONTENT)
    if shorter:
        # More than is wanted has come by then, so no second attempt is made.
        with pytest.raises(VerificationError, match="read 1001 bytes"):
            download(server, size=size, sha256=hashlib.sha256(CONTENT[:1000]).hexdigest())
        return
    assert download(server) == CONTENT
    assert ranges(server) == [None, "bytes=1000000-"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=416),
        Fault(status=206, body=b"x" * 10),
        Fault(status=206, headers={"Content-Range": "bytes 0-9/10"}, body=b"x" * 10),
        Fault(status=206, headers={"Content-Range": "bytes 999999-3160319/3160320"}, body=b"x"),
        Fault(status=206, headers={"Content-Range": "items 1000000-2/3"}, body=b"x"),
        Fault(
            status=206,
            headers={"Content-Range": "bytes 1000000-3160319/3160320", "ETag": '"other"'},
            body=b"x",
        ),
    ],
)
def test_a_wrong_response_to_a_range_leads_to_a_new_start(
    fault: Fault, server: FileServer, download: Download
) -> None:
    server.faults = [Fault(cut=1_000_000), fault]
    assert download(server) == CONTENT
    assert ranges(server) == [None, "bytes=1000000-", None]
    assert "can't resume a.modl at byte 1000000" in download.recorder.warnings[1]


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 416])
def test_a_rejection_says_its_status_at_once(
    status: int, server: FileServer, download: Download
) -> None:
    server.faults = [Fault(status=status)]
    with pytest.raises(RepositoryError, match=rf"127\.0\.0\.1 returned {status}"):
        download(server)
    assert len(server.seen) == 1
    assert download.to.getvalue() == b""


def test_a_server_that_stays_down_is_a_network_failure(
    server: FileServer, download: Download
) -> None:
    server.faults = [Fault(status=503)] * 5
    with pytest.raises(TransientResponse):
        download(server)
    assert len(server.seen) == 5


@pytest.mark.parametrize(
    ("content", "observed"),
    [
        (OTHER, f"read {len(OTHER)} bytes with {hashlib.sha256(OTHER).hexdigest()}"),
        (CONTENT[:-1], f"read {len(CONTENT) - 1} bytes"),
        (CONTENT + b"x" * (2 << 20), f"read {len(CONTENT) + 1} bytes"),
        (b"", "read 0 bytes"),
    ],
)
def test_other_bytes_than_recorded_are_rejected(
    content: bytes, observed: str, server: FileServer, download: Download
) -> None:
    server.files["/a.modl"] = content
    with pytest.raises(VerificationError) as caught:
        download(server)
    assert "a.modl isn't what its record says: expected 3160320 bytes" in caught.value.message
    assert observed in caught.value.message
    (finding,) = caught.value.findings
    assert (finding.code, finding.location) == ("digest-mismatch", "a.modl")
    assert len(server.seen) == 1


def test_a_compressed_response_is_rejected(server: FileServer, download: Download) -> None:
    server.faults = [Fault(status=200, headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b")]
    with pytest.raises(RepositoryError, match="sent the encoding gzip, expected plain bytes"):
        download(server)
    server.faults = [Fault(status=200, headers={"Content-Encoding": "identity"}, body=CONTENT)]
    assert download(server) == CONTENT


def test_an_error_of_the_target_is_no_network_failure(
    server: FileServer, download: Download
) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise BrokenPipeError(32, "the reader is gone")

    with pytest.raises(BrokenPipeError):
        download(server, to=Full())
    assert len(server.seen) == 1
    assert download.recorder.warnings == []


def test_a_silent_server_is_retried(server: FileServer, download: Download) -> None:
    server.faults = [Fault(drip=1.0)]
    assert download(server, stall=0.3) == CONTENT
    assert "127.0.0.1 didn't respond in time" in download.recorder.warnings[0]
    assert ranges(server) == [None, "bytes=1-"]


def test_a_server_that_drips_is_cut_off_at_the_deadline(
    server: FileServer, download: Download
) -> None:
    server.faults = [Fault(drip=0.02)]

    def pass_time(advance: int) -> None:
        download.time.now += advance

    with pytest.raises(NetworkError, match="took longer than 10 s") as failure:
        download(server, progress=pass_time, policy=download.time.policy(deadline=10))
    assert not isinstance(failure.value, TransientFailure)
    assert len(server.seen) == 1


def test_a_server_that_drips_headers_is_cut_off(server: FileServer, download: Download) -> None:
    server.faults = [Fault(drip_head=0.05)]
    assert download(server, stall=0.2) == CONTENT
    assert len(server.seen) == 2
    assert "127.0.0.1 didn't respond in time" in download.recorder.warnings[0]


CHILD = """
import re, sys
from pathlib import Path
from types import SimpleNamespace
from ign_deploy.net.session import open_http_session
from ign_deploy.net.download import receive
from ign_deploy.report import SilentReporter
url, size, sha256 = sys.argv[1:]
with open_http_session() as session, open("/dev/null", "wb", buffering=0) as to:
    file = SimpleNamespace(name="s", size=int(size), sha256=sha256)
    receive(session, url, file, to=to,
            reporter=SilentReporter(), progress=lambda advance: None)
# Not getrusage: a child begins with the peak of its parent there.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
print(peak)
"""


def test_memory_stays_small(server: FileServer) -> None:
    content = bytes(200 << 20)
    server.files["/s"] = content
    digest = hashlib.sha256(content).hexdigest()
    child = subprocess.run(
        [sys.executable, "-c", CHILD, f"{server.url}/s", str(len(content)), digest],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) < 80


def test_a_rejection_is_explained_by_the_caller(server: FileServer, download: Download) -> None:
    def explain(response: Response) -> RepositoryError:
        return RepositoryError(f"{response.title}: {response.status} {response.body.decode()}")

    server.faults = [Fault(status=403, body=b"no")]
    with pytest.raises(RepositoryError, match=r"downloading a\.modl: 403 no"):
        download(server, error_for_response=explain)
    server.faults = [Fault(status=410)]
    with pytest.raises(RepositoryError) as gone:
        download(server, error_for_response=explain)
    assert "restore the file from a backup" in gone.value.hint


def test_breaks_after_progress_count_for_nothing(server: FileServer, download: Download) -> None:
    server.faults = [Fault(cut=1000)] * 4
    with pytest.raises(TransientFailure):  # too little to count as progress
        download(server, policy=download.time.policy(attempts=4))
    content = CONTENT * 4
    server.files["/a.modl"] = content
    server.seen.clear()
    server.faults = [Fault(cut=1 << 20)] * 7
    again = Download()
    got = again(
        server,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        policy=again.time.policy(attempts=3),
    )
    assert got == content
    assert ranges(server)[-1] == f"bytes={7 << 20}-"
    assert all("attempt 2 of 3" in warning for warning in again.recorder.warnings)


@pytest.mark.parametrize("validator", ["strong", "none"])
def test_what_an_earlier_run_received_is_not_requested_again(
    validator: str, server: FileServer, download: Download
) -> None:
    server.validator = validator
    server.faults = [Fault(cut=1_000_000)]
    download.to.write(b"before" + CONTENT[:500_000])
    download.to.seek(len(b"before"))
    assert download(server) == b"before" + CONTENT
    assert ranges(server) == ["bytes=500000-", "bytes=1500000-"]
    assert download.counter.done == len(CONTENT)


def test_what_an_earlier_run_received_completely_is_only_compared(
    server: FileServer, download: Download
) -> None:
    download.to.write(CONTENT + b"more")
    download.to.seek(0)
    assert download(server) == CONTENT
    assert ranges(server) == []


@pytest.mark.parametrize("size", [500_000, len(CONTENT)])
@pytest.mark.parametrize("has_ranges", [True, False])
def test_another_beginning_is_received_anew(
    size: int, has_ranges: bool, server: FileServer, download: Download
) -> None:
    server.ranges = has_ranges
    download.to.write(b"x" * size)
    download.to.seek(0)
    assert download(server) == CONTENT
    assert ranges(server)[-1] is None or not has_ranges
    assert download.counter.done == len(CONTENT)


def test_another_file_is_refused_also_after_an_earlier_run(
    server: FileServer, download: Download
) -> None:
    server.files["/a.modl"] = OTHER
    download.to.write(CONTENT[:500_000])
    download.to.seek(0)
    with pytest.raises(VerificationError):
        download(server)

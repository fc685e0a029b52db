"""Files to a bucket: whole or in parts, compared, and cleaned up."""

from __future__ import annotations

import io
import os
from datetime import timedelta
from pathlib import Path

import pytest

from ign_deploy.errors import NetworkError, RepositoryError
from ign_deploy.repositories.backends.s3 import upload
from ign_deploy.repositories.backends.s3.client import S3Client
from ign_deploy.repositories.record import ReleaseFile
from tests.support.faults import AnswerInstead, CutRequest, LoseAnswer
from tests.support.transfers import Counter
from tests.unit.repositories.backends.s3.conftest import BucketEnv, file_of, s3_error

PART = 5 << 20  # the least that S3 takes
MEGABYTE = 1 << 20
LARGE = os.urandom(2 * PART + 12345)


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "LARGEST_SINGLE", PART)
    monkeypatch.setattr(upload, "SMALLEST_PART", PART)


def open_uploads(bucket: BucketEnv) -> int:
    return len(bucket.direct.list_multipart_uploads(Bucket=bucket.name).get("Uploads", ()))


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5000])
def test_a_file_is_sent_and_received(bucket: BucketEnv, tmp_path: Path, content: bytes) -> None:
    path, expected = file_of(tmp_path, content)
    sent, received = Counter(), Counter()
    objects = bucket.objects()
    objects.send("a/thing.modl", path, expected=expected, progress=sent)
    assert bucket.read("a/thing.modl") == content
    stream = io.BytesIO()
    objects.receive("a/thing.modl", to=stream, expected=expected, progress=received)
    assert stream.getvalue() == content
    assert sent.done == received.done == len(content)


def test_a_stored_file_is_not_sent_again(bucket: BucketEnv, tmp_path: Path) -> None:
    path, expected = file_of(tmp_path, b"x" * MEGABYTE)
    objects = bucket.objects()
    for _ in range(2):
        counter = Counter()
        objects.send("a", path, expected=expected, progress=counter)
        assert counter.done == MEGABYTE
    assert bucket.proxy.rules.count("PUT", "/a$") == 1
    path, expected = file_of(tmp_path, b"y" * MEGABYTE)
    objects.send("a", path, expected=expected, progress=Counter())
    assert bucket.read("a") == b"y" * MEGABYTE


def test_a_small_file_costs_one_request(bucket: BucketEnv, tmp_path: Path) -> None:
    path, expected = file_of(tmp_path, b"content")
    objects = bucket.objects()
    objects.probe()
    bucket.proxy.rules.clear()
    objects.send("a", path, expected=expected, progress=Counter())
    assert [each.method for each in bucket.proxy.rules.requests] == ["PUT"]


@pytest.mark.usefixtures("_small_parts")
def test_a_large_file_is_sent_in_parts_each_retried_alone(
    bucket: BucketEnv, tmp_path: Path
) -> None:
    path, expected = file_of(tmp_path, LARGE)
    rules = bucket.proxy.rules
    cut = rules.add(CutRequest(1_000_000), path="partNumber=2")
    lost = rules.add(LoseAnswer(), path="partNumber=3")
    counter = Counter()
    bucket.objects().send("a", path, expected=expected, progress=counter)
    assert (cut.hits, lost.hits) == (1, 1)
    assert [rules.count("PUT", f"partNumber={number}") for number in (1, 2, 3)] == [1, 2, 2]
    assert bucket.read("a") == LARGE
    assert counter.done == counter.most == len(LARGE)
    assert open_uploads(bucket) == 0


def interrupted(bucket: BucketEnv, path: Path, expected: ReleaseFile) -> None:
    """Send a file, and lose the network in its last part."""
    bucket.proxy.rules.add(CutRequest(1000), path="partNumber=3", times=None)
    counter = Counter()
    with pytest.raises(NetworkError):
        bucket.objects().send("a", path, expected=expected, progress=counter)
    assert counter.done == 0
    assert open_uploads(bucket) == 1
    bucket.proxy.rules.clear()


@pytest.mark.usefixtures("_small_parts")
def test_an_upload_that_broke_off_is_continued_by_the_next_run(
    bucket: BucketEnv, tmp_path: Path
) -> None:
    path, expected = file_of(tmp_path, LARGE)
    interrupted(bucket, path, expected)
    counter = Counter()
    bucket.objects().send("a", path, expected=expected, progress=counter)
    rules = bucket.proxy.rules
    assert [rules.count("PUT", f"partNumber={number}") for number in (1, 2, 3)] == [0, 0, 1]
    assert counter.done == len(LARGE)
    assert bucket.read("a") == LARGE
    assert open_uploads(bucket) == 0


@pytest.mark.usefixtures("_small_parts")
def test_only_the_same_parts_of_an_earlier_run_are_used(bucket: BucketEnv, tmp_path: Path) -> None:
    path, expected = file_of(tmp_path, LARGE)
    interrupted(bucket, path, expected)
    other = LARGE[: PART + 5] + b"x" + LARGE[PART + 6 :]
    path, expected = file_of(tmp_path, other)
    bucket.objects().send("a", path, expected=expected, progress=Counter())
    rules = bucket.proxy.rules
    assert [rules.count("PUT", f"partNumber={number}") for number in (1, 2, 3)] == [0, 1, 1]
    assert bucket.read("a") == other


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("query", ["uploads", "uploadId=.*"], ids=["uploads", "parts"])
def test_without_the_right_to_list_parts_everything_is_sent(
    bucket: BucketEnv, tmp_path: Path, query: str
) -> None:
    path, expected = file_of(tmp_path, LARGE)
    interrupted(bucket, path, expected)
    denied = bucket.proxy.rules.add(
        s3_error(403, "AccessDenied"), method="GET", path=query, times=None
    )
    bucket.objects().send("a", path, expected=expected, progress=Counter())
    assert denied.hits == 1
    assert bucket.read("a") == LARGE


@pytest.mark.usefixtures("_small_parts")
def test_an_upload_that_another_run_discarded_is_begun_again(
    bucket: BucketEnv, tmp_path: Path
) -> None:
    path, expected = file_of(tmp_path, LARGE)
    interrupted(bucket, path, expected)
    bucket.proxy.rules.add(s3_error(404, "NoSuchUpload"), method="PUT", path="partNumber=3")
    counter = Counter()
    bucket.objects().send("a", path, expected=expected, progress=counter)
    assert bucket.read("a") == LARGE
    assert counter.done == len(LARGE)


@pytest.mark.usefixtures("_small_parts")
def test_what_killed_runs_left_for_a_day_is_discarded(
    bucket: BucketEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = bucket.direct.create_multipart_upload
    for key in ("modules/com.acme.x/1.0.0/x.modl", "notes/of/others/x", "modules/readme"):
        begin(Bucket=bucket.name, Key=f"team/{key}")
    begun = max(
        each["Initiated"]
        for each in bucket.direct.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    )
    path, expected = file_of(tmp_path, LARGE)
    monkeypatch.setattr(S3Client, "now", lambda _: begun + timedelta(hours=23))
    bucket.objects().send("a", path, expected=expected, progress=Counter())
    assert open_uploads(bucket) == 3
    monkeypatch.setattr(S3Client, "now", lambda _: begun + timedelta(hours=25))
    bucket.objects().send("b", path, expected=expected, progress=Counter())
    left = bucket.direct.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert sorted(each["Key"] for each in left) == ["team/modules/readme", "team/notes/of/others/x"]


@pytest.mark.usefixtures("_small_parts")
def test_a_completion_whose_response_got_lost_counts(bucket: BucketEnv, tmp_path: Path) -> None:
    path, expected = file_of(tmp_path, LARGE)
    rule = bucket.proxy.rules.add(LoseAnswer(), method="POST", path="uploadId=")
    bucket.objects().send("a", path, expected=expected, progress=Counter())
    assert rule.hits == 1
    assert bucket.read("a") == LARGE


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "partNumber=2"), ("POST", "uploadId=")], ids=["part", "completion"]
)
def test_a_refused_upload_in_parts_is_aborted(
    bucket: BucketEnv, tmp_path: Path, method: str, path: str
) -> None:
    source, expected = file_of(tmp_path, LARGE)
    bucket.proxy.rules.add(s3_error(403, "AccessDenied"), method=method, path=path, times=None)
    counter = Counter()
    with pytest.raises(RepositoryError, match="lack s3:PutObject"):
        bucket.objects().send("a", source, expected=expected, progress=counter)
    assert open_uploads(bucket) == 0
    assert bucket.stored() == []


@pytest.mark.usefixtures("_small_parts")
def test_parts_that_cannot_be_discarded_are_reported(bucket: BucketEnv, tmp_path: Path) -> None:
    source, expected = file_of(tmp_path, LARGE)
    bucket.proxy.rules.add(s3_error(400, "EntityTooLarge"), path="partNumber=1", times=None)
    bucket.proxy.rules.add(s3_error(403, "AccessDenied"), method="DELETE", times=None)
    with pytest.raises(RepositoryError, match="no space"):
        bucket.objects().send("a", source, expected=expected, progress=Counter())
    assert "s3:AbortMultipartUpload" in bucket.reporter.warnings[-1]
    assert open_uploads(bucket) == 1


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("content", [b"one", LARGE], ids=["whole", "parts"])
def test_a_file_that_changed_is_never_sent_whole(
    bucket: BucketEnv, tmp_path: Path, content: bytes
) -> None:
    path, expected = file_of(tmp_path, content)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    counter = Counter()
    with pytest.raises(RepositoryError, match="changed while it was being sent"):
        bucket.objects().send("a", path, expected=expected, progress=counter)
    path.write_bytes(content + b"x")
    with pytest.raises(RepositoryError, match="changed while it was being sent"):
        bucket.objects().send("a", path, expected=expected, progress=counter)
    assert bucket.stored() == []
    assert open_uploads(bucket) == 0


def test_a_folder_or_a_pipe_is_not_sent(bucket: BucketEnv, tmp_path: Path) -> None:
    _, expected = file_of(tmp_path, b"x")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        with pytest.raises(RepositoryError, match="cannot read"):
            bucket.objects().send("a", path, expected=expected, progress=Counter())


def test_an_upload_that_left_something_else_is_rejected(bucket: BucketEnv, tmp_path: Path) -> None:
    path, expected = file_of(tmp_path, b"content")
    bucket.proxy.rules.add(AnswerInstead(200, {"ETag": '"x"'}), method="PUT", times=None)
    with pytest.raises(RepositoryError, match="is missing after its upload"):
        bucket.objects().send("a", path, expected=expected, progress=Counter())

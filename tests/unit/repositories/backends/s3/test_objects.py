"""Objects in a bucket: documents, claims, listings and downloads."""

from __future__ import annotations

import io
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ign_deploy.errors import NotInRepository, RepositoryError, VerificationError
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.backends.s3.objects import S3ObjectStore
from ign_deploy.repositories.store import Document
from tests.support.faults import AnswerInstead, CutAnswer, LoseAnswer
from tests.support.transfers import Counter
from tests.unit.repositories.backends.s3.conftest import PROBE, BucketEnv, file_of, s3_error

CLAIM = "modules/com.acme/1.0.0/claim-0.json"


@pytest.mark.parametrize("is_conditional", [True, False], ids=["conditional", "ordered"])
def test_of_many_claims_exactly_one_wins(bucket: BucketEnv, is_conditional: bool) -> None:
    if not is_conditional:
        refused = s3_error(501, "NotImplemented")
        bucket.proxy.rules.add(refused, path=PROBE, header="if-none-match", times=None)
    writers = [bucket.objects() for _ in range(6)]
    for writer in writers:
        writer.probe()
    outcomes: dict[bytes, bool] = {}
    start = threading.Barrier(len(writers))

    def claim(number: int) -> None:
        start.wait()
        data = b"%d" % number
        outcomes[data] = writers[number].create(CLAIM, data)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(len(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == len(writers)
    winners = [data for data, won in outcomes.items() if won]
    assert len(winners) == 1
    assert {writer.created(CLAIM) for writer in writers} == {winners[0]}
    assert not bucket.objects().create(CLAIM, b"late")
    name = Name("claim-0.json", is_folder=not is_conditional)
    assert bucket.objects().names("modules/com.acme/1.0.0") == [name]
    writers[0].delete(CLAIM)
    assert bucket.objects().names("modules/com.acme/1.0.0") == []


def test_each_attempt_at_an_ordered_claim_writes_its_own_object(bucket: BucketEnv) -> None:
    rules = bucket.proxy.rules
    refused = s3_error(501, "NotImplemented")
    rules.add(refused, path=PROBE, header="if-none-match", times=None)
    lost = rules.add(LoseAnswer(), method="PUT", path="claim-0")
    objects = bucket.objects()
    assert objects.create(CLAIM, b"1")
    assert lost.hits == 1
    assert objects.created(CLAIM) == b"1"
    # The lost one may arrive late: it must not replace the other, whose time is known.
    assert len([key for key in bucket.stored() if "claim-0" in key]) == 2


@pytest.mark.parametrize("is_overwritten", [False, True])
def test_a_claim_in_a_bucket_with_versions_is_read_back(
    bucket: BucketEnv, is_overwritten: bool
) -> None:
    """Ceph lets two writers at once create an object there; the last one has the claim."""
    bucket.direct.put_bucket_versioning(
        Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if is_overwritten:
            bucket.direct.put_object(Bucket=bucket.name, Key=f"team/{CLAIM}", Body=b"other")

    objects = S3ObjectStore(bucket.client(), wait_policy=WaitPolicy(sleep=sleep))
    assert objects.create(CLAIM, b"1") is not is_overwritten
    assert slept == [3.0]
    assert not objects.create(CLAIM, b"2")
    assert slept == [3.0]


def test_a_conflict_of_conditional_writes_is_retried(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    objects.probe()
    rule = bucket.proxy.rules.add(s3_error(409, "ConditionalRequestConflict"), method="PUT")
    assert objects.create(CLAIM, b"1")
    assert rule.hits == 1


def test_a_document_is_swapped_only_for_what_was_read(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    assert objects.get("index.json", limit=100) is None
    assert objects.put("index.json", b"1", replaces=None)
    read = objects.get("index.json", limit=100)
    assert read is not None
    assert read.data == b"1"
    assert objects.put("index.json", b"2", replaces=read)
    assert not objects.put("index.json", b"3", replaces=read)
    assert bucket.read("index.json") == b"2"
    objects.delete("index.json")
    assert not objects.put("index.json", b"4", replaces=read)
    objects.delete("index.json")


def test_what_a_run_wrote_itself_is_swapped_without_reading_it(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    assert objects.put("index.json", b"1", replaces=None)
    assert objects.put("index.json", b"2", replaces=Document(b"1"))
    assert not objects.put("index.json", b"3", replaces=Document(b"1"))
    assert not bucket.objects().put("index.json", b"3", replaces=Document(b"2"))


def test_a_swap_whose_acknowledgement_got_lost_counts(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    objects.put("index.json", b"1", replaces=None)
    read = objects.get("index.json", limit=100)
    bucket.proxy.rules.add(LoseAnswer(), method="PUT", path=r"index\.json")
    assert objects.put("index.json", b"2", replaces=read)
    assert bucket.read("index.json") == b"2"


def test_no_more_of_a_document_is_read_than_requested(bucket: BucketEnv) -> None:
    bucket.direct.put_object(Bucket=bucket.name, Key="team/large", Body=b"x" * 1_000_000)
    found = bucket.objects().get("large", limit=1000)
    assert found is not None
    assert len(found.data) == 1001


def test_names_are_listed_and_strange_ones_skipped(bucket: BucketEnv) -> None:
    for key in ("a b.json", "ü.json", "sub/x", "sub/y", "//x", "../x", "c\x01", ""):
        bucket.direct.put_object(Bucket=bucket.name, Key=f"team/d/{key}", Body=b"1")
    bucket.direct.put_object(Bucket=bucket.name, Key="other/d/z", Body=b"1")
    found = bucket.objects().names("d")
    assert sorted(found) == [Name("a b.json", False), Name("sub", True), Name("ü.json", False)]
    assert bucket.objects().names("nothing") == []


def test_a_listing_of_several_pages_is_read_to_its_end(bucket: BucketEnv) -> None:
    page = "<ListBucketResult><IsTruncated>{}</IsTruncated>{}<Contents><Key>team/d/{}</Key>"
    page += "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"
    token = "<NextContinuationToken>t</NextContinuationToken>"
    first = AnswerInstead(200, {}, page.format("true", token, "a").encode())
    bucket.proxy.rules.add(first, nth=1)
    bucket.direct.put_object(Bucket=bucket.name, Key="team/d/b", Body=b"1")
    last = AnswerInstead(200, {}, page.format("false", "", "b").encode())
    bucket.proxy.rules.add(last, path="continuation-token=t")
    assert bucket.objects().names("d") == [Name("a", False), Name("b", False)]
    bucket.proxy.rules.clear()
    bucket.proxy.rules.add(first, times=None)
    with pytest.raises(RepositoryError, match="without a new continuation token"):
        bucket.objects().names("d")


def test_a_listing_without_an_end_is_given_up(
    bucket: BucketEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ign_deploy.repositories.backends.s3.client._MOST_PAGES", 20)
    page = "<ListBucketResult><IsTruncated>true</IsTruncated>{}</ListBucketResult>"
    token = "<NextContinuationToken>{}</NextContinuationToken>"
    # A new token each time.
    for number in range(1, 40):
        data = page.format(token.format(number)).encode()
        bucket.proxy.rules.add(AnswerInstead(200, {}, data), nth=1)
    with pytest.raises(RepositoryError, match="more than 20 pages"):
        bucket.objects().names("d")
    bucket.proxy.rules.clear()
    # Two that lead to each other.
    for here, there in (("continuation-token=t", "u"), ("prefix", "t")):
        data = page.format(token.format(there)).encode()
        bucket.proxy.rules.add(AnswerInstead(200, {}, data), path=here, times=None)
    with pytest.raises(RepositoryError, match="without a new continuation token"):
        bucket.objects().names("d")


def test_an_encoded_listing_is_decoded(bucket: BucketEnv) -> None:
    page = b"""<ListBucketResult><EncodingType>url</EncodingType>
    <Contents><Key>team%2Fd%2Fa+b%2Bc</Key></Contents>
    <CommonPrefixes><Prefix>team%2Fd%2Fsub%2F</Prefix></CommonPrefixes></ListBucketResult>"""
    bucket.proxy.rules.add(AnswerInstead(200, {}, page))
    assert bucket.objects().names("d") == [Name("a b+c", False), Name("sub", True)]


def test_the_time_is_the_stores(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    assert abs(objects.now() - datetime.now(UTC)) < timedelta(minutes=1)
    date = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
    bucket.proxy.rules.add(AnswerInstead(404, date), method="GET")
    with pytest.raises(RepositoryError):
        bucket.client().call("GetObject", "x")
    bucket.proxy.rules.add(AnswerInstead(200, date, b"{}"), method="GET")
    assert objects.get("x", limit=10) is not None
    assert objects.now() - datetime(2026, 1, 1, tzinfo=UTC) < timedelta(minutes=1)


@pytest.mark.parametrize("early", [True, False], ids=["reset", "early end"])
def test_a_download_resumes_where_it_broke(bucket: BucketEnv, tmp_path: Path, early: bool) -> None:
    content = os.urandom(3_000_000)
    path, expected = file_of(tmp_path, content)
    bucket.objects().send("a", path, expected=expected, progress=Counter())
    bucket.proxy.rules.add(CutAnswer(1_500_000, reset=early), method="GET")
    stream = io.BytesIO()
    counter = Counter()
    bucket.objects().receive("a", to=stream, expected=expected, progress=counter)
    assert stream.getvalue() == content
    assert counter.done == len(content)
    again = dict(bucket.proxy.rules.requests[-1].headers)
    assert again["Range"].startswith("bytes=")
    assert "If-Range" in again


def test_a_file_that_changed_between_two_attempts_is_read_again(
    bucket: BucketEnv, tmp_path: Path
) -> None:
    content = os.urandom(1_000_000)
    _, expected = file_of(tmp_path, content)
    bucket.direct.put_object(Bucket=bucket.name, Key="team/a", Body=b"y" * 1_000_000)

    class Replacing(io.BytesIO):
        def write(self, data: object) -> int:
            if not self.tell():
                bucket.direct.put_object(Bucket=bucket.name, Key="team/a", Body=content)
            return super().write(data)  # type: ignore[arg-type]

    bucket.proxy.rules.add(CutAnswer(500_000), method="GET")
    stream = Replacing()
    bucket.objects().receive("a", to=stream, expected=expected, progress=Counter())
    assert stream.getvalue() == content


def test_a_file_that_is_not_its_records_is_refused(bucket: BucketEnv, tmp_path: Path) -> None:
    _, expected = file_of(tmp_path, b"content")
    for there in (b"CONTENT", b"contentcontent", b"c"):
        bucket.direct.put_object(Bucket=bucket.name, Key="team/a", Body=there)
        with pytest.raises(VerificationError, match="isn't what its record says") as caught:
            bucket.objects().receive("a", to=io.BytesIO(), expected=expected, progress=Counter())
        assert caught.value.findings[0].code == "digest-mismatch"


def test_a_file_that_is_gone_is_not_found(bucket: BucketEnv, tmp_path: Path) -> None:
    _, expected = file_of(tmp_path, b"content")
    with pytest.raises(NotInRepository, match=f"s3://{bucket.name}/team/a is missing"):
        bucket.objects().receive("a", to=io.BytesIO(), expected=expected, progress=Counter())

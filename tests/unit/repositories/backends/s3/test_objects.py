"""ObjectStore in a bucket: documents, claims, listings, and what the store is found to keep."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.store import Document
from tests.support.faults import AnswerInstead, LoseAnswer
from tests.unit.repositories.backends.s3.conftest import BucketEnv, refusal

PROBE = r"/\.ign-deploy/probe-"
CLAIM = "modules/com.acme/1.0.0/claim-0.json"


def test_what_the_store_keeps_is_found_out_once_and_leaves_nothing(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    found = objects.probe()
    assert (found.create_once, found.compare_and_swap, found.writable) == (True, True, True)
    assert found.location == f"s3://{bucket.name}/team"
    assert found.remarks == ()
    objects.probe()
    assert objects.create(CLAIM, b"1")
    assert bucket.proxy.rules.count("PUT", PROBE) == 3
    assert bucket.proxy.rules.count("DELETE", PROBE) == 1
    assert bucket.keys() == [f"team/{CLAIM}"]


def test_a_claim_finds_it_out_by_itself(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(AnswerInstead(200), method="PUT", path=PROBE, times=None)
    objects = bucket.objects()
    assert objects.create(CLAIM, b"1")
    assert not objects.create(CLAIM, b"2")
    assert objects.created(CLAIM) == b"1"
    assert bucket.proxy.rules.count("PUT", PROBE) == 2


@pytest.mark.parametrize(
    "answer",
    [
        AnswerInstead(200),
        refusal(501, "NotImplemented"),
        refusal(400, "InvalidArgument"),
    ],
    ids=["ignored", "not implemented", "not understood"],
)
def test_a_store_without_conditions_is_never_trusted_with_them(
    bucket: BucketEnv, answer: AnswerInstead
) -> None:
    bucket.proxy.rules.add(answer, method="PUT", path=PROBE, times=None)
    objects = bucket.objects()
    found = objects.probe()
    assert (found.create_once, found.compare_and_swap, found.writable) == (False, False, True)
    assert "conditional writes" in found.remarks[0]
    assert objects.create(CLAIM, b"1")
    assert objects.put("index.json", b"1", replaces=Document(b"0", '"0"'))
    conditional = [
        each
        for each in bucket.proxy.rules.requests
        if "probe-" not in each.path
        and {name.lower() for name, _ in each.headers} & {"if-match", "if-none-match"}
    ]
    assert conditional == []


def test_a_lost_answer_to_the_probe_changes_nothing(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(LoseAnswer(), method="PUT", path=PROBE, nth=1)
    assert bucket.objects().probe().create_once


def test_a_store_that_keeps_only_if_none_match_says_so(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(AnswerInstead(200), method="PUT", path=PROBE, nth=3)
    found = bucket.objects().probe()
    assert (found.create_once, found.compare_and_swap) == (True, False)
    assert "If-Match" in found.remarks[0]


def test_credentials_that_only_read_are_found_out(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(refusal(403, "AccessDenied"), method="PUT", times=None)
    found = bucket.objects().probe()
    assert not found.writable
    assert "lack s3:PutObject" in found.obstacle


def test_credentials_that_do_not_delete_are_remarked(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(refusal(403, "AccessDenied"), method="DELETE", times=None)
    found = bucket.objects().probe()
    assert found.writable
    assert found.create_once
    assert "s3:DeleteObject" in found.remarks[0]


@pytest.mark.parametrize("keeps", [True, False], ids=["conditional", "tickets"])
def test_of_many_claims_exactly_one_holds(bucket: BucketEnv, keeps: bool) -> None:
    if not keeps:
        refused = refusal(501, "NotImplemented")
        bucket.proxy.rules.add(refused, method="PUT", path=PROBE, times=None)
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
    winners = [data for data, holds in outcomes.items() if holds]
    assert len(winners) == 1
    assert {writer.created(CLAIM) for writer in writers} == {winners[0]}
    assert not bucket.objects().create(CLAIM, b"late")
    assert bucket.objects().names("modules/com.acme/1.0.0") == [Name("claim-0.json", not keeps)]
    writers[0].delete(CLAIM)
    assert bucket.objects().names("modules/com.acme/1.0.0") == []


def test_a_ticket_whose_acknowledgement_got_lost_is_ours(bucket: BucketEnv) -> None:
    rules = bucket.proxy.rules
    rules.add(refusal(501, "NotImplemented"), method="PUT", path=PROBE, times=None)
    lost = rules.add(LoseAnswer(), method="PUT", path="claim-0")
    objects = bucket.objects()
    assert objects.create(CLAIM, b"1")
    assert lost.hits == 1
    assert objects.created(CLAIM) == b"1"


def test_a_conflict_of_conditional_writes_is_tried_again(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    objects.probe()
    rule = bucket.proxy.rules.add(refusal(409, "ConditionalRequestConflict"), method="PUT")
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


def test_a_swap_whose_acknowledgement_got_lost_counts(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    objects.put("index.json", b"1", replaces=None)
    read = objects.get("index.json", limit=100)
    bucket.proxy.rules.add(LoseAnswer(), method="PUT", path=r"index\.json")
    assert objects.put("index.json", b"2", replaces=read)
    assert bucket.read("index.json") == b"2"


def test_no_more_of_a_document_is_read_than_asked_for(bucket: BucketEnv) -> None:
    bucket.direct.put_object(Bucket=bucket.name, Key="team/large", Body=b"x" * 1_000_000)
    found = bucket.objects().get("large", limit=1000)
    assert found is not None
    assert len(found.data) == 1001


def test_names_are_listed_and_strange_ones_left_out(bucket: BucketEnv) -> None:
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

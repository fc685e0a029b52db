"""What a probe finds out about stores that speak S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.s3 import upload
from ign_deploy.repositories.store import Document
from tests.support.faults import AnswerInstead, LoseAnswer
from tests.support.transfers import Counter
from tests.unit.repositories.backends.s3.conftest import PROBE, BucketEnv, file_of, s3_error

CLAIM = "modules/com.acme/1.0.0/claim-0.json"


def test_conditions_are_probed_once_and_nothing_is_left_behind(bucket: BucketEnv) -> None:
    objects = bucket.objects()
    found = objects.probe()
    assert (found.create_once, found.compare_and_swap, found.writable) == (True, True, True)
    assert found.location == f"s3://{bucket.name}/team"
    assert found.remarks == ()
    objects.probe()
    assert objects.create(CLAIM, b"1")
    assert bucket.proxy.rules.count("PUT", PROBE) == 6  # four at once, a wrong tag, the right one
    assert bucket.proxy.rules.count("DELETE", PROBE) == 1
    assert bucket.stored() == [f"team/{CLAIM}"]


def test_a_claim_probes_the_store_first(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(AnswerInstead(200), method="PUT", path=PROBE, times=None)
    objects = bucket.objects()
    assert objects.create(CLAIM, b"1")
    assert not objects.create(CLAIM, b"2")
    assert objects.created(CLAIM) == b"1"
    assert bucket.proxy.rules.count("PUT", PROBE) == 4


@pytest.mark.parametrize(
    "reply",
    [
        AnswerInstead(200),
        s3_error(501, "NotImplemented"),
        s3_error(400, "InvalidArgument"),
        s3_error(412, "PreconditionFailed"),
    ],
    ids=["ignored", "not implemented", "not understood", "the right one refused"],
)
def test_a_store_without_conditions_is_never_trusted_with_them(
    bucket: BucketEnv, reply: AnswerInstead
) -> None:
    bucket.proxy.rules.add(reply, method="PUT", path=PROBE, header="if-none-match", times=None)
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


def test_a_lost_response_to_the_probe_changes_nothing(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(LoseAnswer(), method="PUT", path=PROBE, nth=1)
    assert bucket.objects().probe().create_once


def test_a_store_that_honours_only_if_none_match_is_not_trusted_to_swap(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(AnswerInstead(200), method="PUT", path=PROBE, header="if-match")
    objects = bucket.objects()
    found = objects.probe()
    assert (found.create_once, found.compare_and_swap, found.remarks) == (True, False, ())
    assert objects.put("index.json", b"1", replaces=Document(b"0", '"0"'))
    assert "if-match" not in {name.lower() for name, _ in bucket.proxy.rules.requests[-1].headers}


def test_read_only_credentials_are_detected(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(s3_error(403, "AccessDenied"), method="PUT", times=None)
    found = bucket.objects().probe()
    assert not found.writable
    assert "lack s3:PutObject" in found.obstacle


def test_credentials_that_cannot_delete_are_remarked(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(s3_error(403, "AccessDenied"), method="DELETE", times=None)
    found = bucket.objects().probe()
    assert found.writable
    assert found.create_once
    assert "s3:DeleteObject" in found.remarks[0]


def test_a_store_that_refuses_the_right_tag_is_not_trusted_to_swap(bucket: BucketEnv) -> None:
    """Ceph's gateway compares If-Match without the quotes that every ETag has."""
    refused = s3_error(412, "PreconditionFailed")
    bucket.proxy.rules.add(refused, header='if-match: "', times=None)
    objects = bucket.objects()
    found = objects.probe()
    assert (found.create_once, found.compare_and_swap, found.remarks) == (True, False, ())
    assert objects.put("index.json", b"1", replaces=None)
    assert not objects.put("index.json", b"2", replaces=None)
    assert objects.put("index.json", b"2", replaces=objects.get("index.json", limit=9))
    assert bucket.read("index.json") == b"2"


def test_a_store_that_lets_two_writers_at_once_win_creates_nothing_once(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(AnswerInstead(200), method="PUT", path=PROBE)
    objects = bucket.objects()
    found = objects.probe()
    assert (found.create_once, found.compare_and_swap) == (False, False)
    assert "lets several of them succeed" in found.remarks[0]
    assert objects.create(CLAIM, b"1")
    assert not objects.create(CLAIM, b"2")
    assert f"team/{CLAIM}" not in bucket.stored()  # an object of its own each


@pytest.mark.parametrize("number", [1, 4])
def test_a_store_that_is_busy_is_probed_all_the_same(bucket: BucketEnv, number: int) -> None:
    """Of writers at once, some are asked to come again: whose condition held is seen anyway."""
    bucket.proxy.rules.add(
        s3_error(409, "ConditionalRequestConflict"), method="PUT", path=PROBE, times=number
    )
    found = bucket.objects().probe()
    # Without any that went through, nothing is promised.
    assert found.create_once == (number < 4)
    assert found.writable


def test_a_store_that_refuses_checksums_gets_none(
    bucket: BucketEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backblaze B2 does: without the probe it would show at the first upload."""
    monkeypatch.setattr(upload, "LARGEST_SINGLE", 5 << 20)
    monkeypatch.setattr(upload, "SMALLEST_PART", 5 << 20)
    refused = s3_error(400, "InvalidArgument")
    bucket.proxy.rules.add(refused, header="x-amz-(sdk-)?checksum", times=None)
    objects = bucket.objects()
    found = objects.probe()
    assert (found.writable, found.create_once, found.compare_and_swap) == (True, True, True)
    assert not found.server_digest
    for size in (10, 2 << 20, 6 << 20):
        path, expected = file_of(tmp_path, b"x" * size)
        objects.send("a.modl", path, expected=expected, progress=Counter())
        assert len(bucket.read("a.modl")) == size
    assert bucket.stored() == ["team/a.modl"]


def test_a_store_that_refuses_every_write_says_why(bucket: BucketEnv) -> None:
    bucket.proxy.rules.add(s3_error(400, "InvalidArgument"), method="PUT", times=None)
    with pytest.raises(RepositoryError, match=r"400 \(InvalidArgument\) .*: so {says} the store$"):
        bucket.objects().probe()

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ign_deploy.module.certificates import describe
from ign_deploy.module.expiry import days_left, expiry_warning
from tests.support.identities import self_signed

END = datetime(2027, 3, 31, 12, 0, tzinfo=UTC)
INFO = describe(self_signed("Pump\u202eMaker", not_after=END)[1])


@pytest.mark.parametrize(
    ("left", "when"),
    [
        (timedelta(days=89, hours=23), "in 89 days"),
        (timedelta(days=2), "in 2 days"),
        (timedelta(days=1, hours=1), "tomorrow"),
        (timedelta(seconds=1), "today"),
    ],
)
def test_the_warning_has_the_days_and_the_date(left: timedelta, when: str) -> None:
    found = expiry_warning(INFO, now=END - left, days=90)
    assert found is not None
    assert found.message.endswith(f"expires {when}, on 2027-03-31")
    assert found.message.isprintable()
    assert found.hint


@pytest.mark.parametrize(
    ("left", "days"),
    [(timedelta(days=90), 90), (timedelta(days=1), 0), (timedelta(seconds=-1), 90)],
)
def test_there_is_none_long_before_and_after(left: timedelta, days: int) -> None:
    assert expiry_warning(INFO, now=END - left, days=days) is None


def test_an_expired_certificate_has_negative_days() -> None:
    assert days_left(END, END + timedelta(hours=1)) == -1

"""The guard of a store with marks: which runs compare what they wrote with a listing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from ign_deploy.repositories.index_guard import ListingGuard, MarkGuard
from ign_deploy.repositories.store import Key

NOTED_FOR = timedelta(minutes=10)


@dataclass
class Marks:
    """Marks in memory, and the store's time."""

    texts: dict[str, str] = field(default_factory=dict)
    time: datetime = datetime(2026, 1, 31, tzinfo=UTC)

    def read(self, name: str) -> str:
        return self.texts.get(name, "")

    def write(self, name: str, text: str) -> None:
        self.texts[name] = text

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def marks() -> Marks:
    return Marks()


@pytest.fixture
def guard(marks: Marks) -> MarkGuard:
    return MarkGuard(ListingGuard(list, may_have_lost=lambda: True), marks, marks.now)


def publishes(guard: MarkGuard) -> bool:
    """Publish without another run; return whether the indexes were compared with a listing."""
    with guard.session([Key("a", "1.0.0")]) as session:
        is_compared = bool(session.others({}))
        assert not session.others({})
    return is_compared


def test_runs_one_after_the_other_list_nothing(guard: MarkGuard) -> None:
    assert [publishes(guard) for _ in range(3)] == [False] * 3


def test_the_end_of_one_run_does_not_hide_another_that_may_write_yet(
    guard: MarkGuard, marks: Marks
) -> None:
    killed = guard.session([Key("b", "1.0.0")])
    with guard.session([Key("a", "1.0.0")]) as session:
        killed.__enter__()
        assert session.others({})
        assert not session.others({})
    # It overwrites the indexes now, and is killed before it looks.
    assert publishes(guard)
    assert publishes(guard)
    marks.time += NOTED_FOR
    assert publishes(guard)
    assert not publishes(guard)


def test_a_mark_from_the_future_holds_no_longer_than_others(guard: MarkGuard, marks: Marks) -> None:
    marks.texts["indexes"] = f"99990101T000000Z {'0' * 32}"
    assert publishes(guard)
    marks.time += NOTED_FOR
    assert publishes(guard)
    assert not publishes(guard)


@pytest.mark.parametrize("text", ["x", f"99999999T999999Z {'0' * 32}"])
def test_any_other_text_means_one_comparison(guard: MarkGuard, marks: Marks, text: str) -> None:
    marks.texts["indexes"] = text
    assert publishes(guard)
    assert not publishes(guard)

"""map_parallel: results in order, one exception, nothing begun after it."""

from __future__ import annotations

import threading
import time

import pytest

from ign_deploy.module.parallel import (
    in_thread,
    iterate_parallel,
    map_parallel,
    sharing_processors,
    usable_processors,
)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_come_in_the_items_order(workers: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number * number

    items = list(range(50))
    assert map_parallel(work, items, workers=workers) == [number**2 for number in items]


def test_no_items_give_no_results() -> None:
    assert map_parallel(str, [], workers=4) == []


def test_items_are_worked_on_at_the_same_time() -> None:
    barrier = threading.Barrier(3, timeout=10)
    assert len(map_parallel(lambda _: barrier.wait(), [1, 2, 3], workers=3)) == 3


@pytest.mark.parametrize("workers", [1, 4])
def test_the_first_exception_is_raised_and_stops_the_rest(workers: int) -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise ValueError(number)
        time.sleep(0.001)

    with pytest.raises(ValueError, match="3"):
        map_parallel(work, range(10_000), workers=workers)
    assert len(begun) < 5000


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_what_is_yielded_in_order_is_done_only_a_little_ahead(workers: int) -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return number

    found: list[int] = []
    for number in iterate_parallel(work, range(200), workers=workers):
        found.append(number)
        assert len(begun) - len(found) < 2 * workers
    assert found == list(range(200))


def test_what_fails_is_raised_after_what_was_done_before() -> None:
    def work(number: int) -> int:
        if number == 50:
            raise ValueError(number)
        return number

    found = iterate_parallel(work, range(1000), workers=2)
    with pytest.raises(ValueError, match="50"):
        list(found)


def test_no_thread_remains() -> None:
    before = threading.active_count()
    map_parallel(str, range(100), workers=8)
    assert threading.active_count() == before


def test_there_is_a_processor() -> None:
    assert usable_processors() >= 1


def test_threads_that_share_processors_get_equal_parts_and_at_least_one() -> None:
    everything = usable_processors()
    with sharing_processors(1):
        assert usable_processors() == everything
    with sharing_processors(everything):
        assert usable_processors() == 1
    with sharing_processors(1000):
        assert usable_processors() == 1
    assert usable_processors() == everything


def test_a_stop_ends_work_that_is_under_way_and_wins_over_other_failures() -> None:
    stopped = threading.Event()
    begun = threading.Barrier(2, timeout=60)

    def work(item: str) -> None:
        begun.wait()
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        assert stopped.wait(timeout=60)
        raise ValueError(item)

    with pytest.raises(KeyboardInterrupt):
        map_parallel(work, ["a", "b", "c"], workers=2, interrupt=stopped.set)
    assert stopped.is_set()


def test_after_a_stop_work_that_does_not_end_is_abandoned() -> None:
    ended = threading.Event()
    begun = threading.Barrier(2, timeout=60)

    def work(_: str) -> None:
        begun.wait()
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        assert ended.wait(timeout=60)

    asked: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        map_parallel(
            work, ["a", "b"], workers=2, interrupt=lambda: asked.append("to end"), grace=0.0
        )
    assert asked
    assert not ended.is_set()
    ended.set()


def test_work_in_a_thread_is_done_meanwhile() -> None:
    barrier = threading.Barrier(2, timeout=10)
    with in_thread(lambda: barrier.wait() + 1) as result:
        barrier.wait()
    assert result() in (1, 2)


def test_what_is_raised_in_a_thread_is_raised_where_its_result_is_wanted() -> None:
    with in_thread(lambda: int("x")) as result:
        pass
    with pytest.raises(ValueError, match="invalid literal"):
        result()


def test_a_thread_has_ended_when_its_context_is_left() -> None:
    ended: list[int] = []

    def work() -> None:
        time.sleep(0.02)
        ended.append(1)

    with pytest.raises(KeyboardInterrupt), in_thread(work):
        raise KeyboardInterrupt
    assert ended

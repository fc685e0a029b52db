from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ign_deploy.deployment.gateway import Timing, parse_shown
from ign_deploy.module.version import ModuleVersion
from tests.support.gateway import VirtualTime
from tests.support.gateway.modl import gateway_display

NUMBERS = st.integers(0, 2**31 - 1)
STAGES = st.one_of(
    st.just(""), st.just("-SNAPSHOT"), NUMBERS.map("-rc{}".format), NUMBERS.map("-beta{}".format)
)


@pytest.mark.parametrize(
    ("shown", "version", "build", "full"),
    [
        ("1.2.3 (b45)", "1.2.3", "45", "1.2.3.45"),
        ("1.2.3 (b0)", "1.2.3", "0", "1.2.3"),
        ("1.2.3", "1.2.3", "", "1.2.3"),
        ("1.2.3-rc1 (b45)", "1.2.3-rc1", "45", "1.2.3.45-rc1"),
        ("8.3.8 (b2026071409)", "8.3.8", "2026071409", "8.3.8.2026071409"),
        ("dev", "dev", "", "dev"),
        ("0.1.0-PROOF-OF-CONCEPT (b0)", "0.1.0-PROOF-OF-CONCEPT", "0", "0.1.0-PROOF-OF-CONCEPT"),
        ("", "", "", ""),
        (" (b3)", "", "3", ""),
    ],
)
def test_a_shown_version_is_parsed(shown: str, version: str, build: str, full: str) -> None:
    found = parse_shown(shown)
    assert (found.version, found.build, found.full) == (version, build, full)
    assert found.is_version(full)
    assert found.is_version(shown)


@given(st.lists(NUMBERS, min_size=3, max_size=4), STAGES)
def test_a_version_is_recognised_as_a_gateway_displays_it(numbers: list[int], stage: str) -> None:
    text = ".".join(map(str, numbers)) + stage
    version = ModuleVersion.parse(text)
    assert parse_shown(gateway_display(version)).is_version(text)
    other = ".".join(map(str, [*numbers[:2], numbers[2] + 1, *numbers[3:]])) + stage
    assert not parse_shown(gateway_display(version)).is_version(other)


@pytest.mark.parametrize("stage", ["", "-rc1"])
def test_another_build_number_is_another_version(stage: str) -> None:
    """A version that was signed again differs from the one before in nothing else."""
    shown = parse_shown(gateway_display(ModuleVersion.parse(f"1.2.3.1{stage}")))
    assert shown.is_version(f"1.2.3.1{stage}")
    assert not shown.is_version(f"1.2.3{stage}")
    assert not shown.is_version(f"1.2.3.2{stage}")


@given(st.text())
def test_any_text_is_accepted(text: str) -> None:
    found = parse_shown(text)
    assert found.shown == text
    assert found.is_version(text)


@example(start=134217726.0, poll=0.01, seconds=37.8699698070887)
@given(start=st.floats(0, 1e9), poll=st.floats(0.01, 100), seconds=st.floats(0, 100))
def test_polls_end_when_the_time_has_passed_after_one_last_poll(
    start: float, poll: float, seconds: float
) -> None:
    clock = VirtualTime(start)
    looks = list(Timing(poll=poll, clock=clock, sleep=clock.sleep).polls(seconds))
    assert looks[0] == 0
    assert looks == sorted(looks)
    assert abs(looks[-1] - seconds) < 1e-5
    # One each at the beginning, the floor and the end; late on the clock, each wait is rounded.
    assert len(looks) <= seconds / poll * (1 + 1e-5) + 4


def test_the_time_that_a_poll_takes_counts() -> None:
    clock = VirtualTime()
    looks = []
    for passed in Timing(poll=2, floor=0, clock=clock, sleep=clock.sleep).polls(10):
        looks.append(passed)
        clock.sleep(4)
    assert looks == [0, 6]


def test_one_poll_is_at_the_floor() -> None:
    """A gateway that came up before is seen then, not a poll later."""
    clock = VirtualTime()
    timing = Timing(poll=2, floor=5, clock=clock, sleep=clock.sleep)
    assert [*timing.polls(10)] == [0, 2, 4, 5, 7, 9, 10]


def test_polls_before_the_floor_can_be_more_frequent() -> None:
    clock = VirtualTime()
    timing = Timing(poll=2, floor=1, clock=clock, sleep=clock.sleep)
    assert [*timing.polls(4, early=0.5)] == [0, 0.5, 1, 3, 4]

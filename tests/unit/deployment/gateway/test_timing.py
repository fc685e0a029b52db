from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.deployment.gateway import Timing
from tests.support.gateway import VirtualTime


@given(start=st.floats(0, 1e9), poll=st.floats(0.01, 100), seconds=st.floats(0, 100))
def test_looks_end_when_the_time_has_passed_and_look_once_more_then(
    start: float, poll: float, seconds: float
) -> None:
    clock = VirtualTime(start)
    looks = list(Timing(poll=poll, clock=clock, sleep=clock.sleep).looks(seconds))
    assert looks[0] == 0
    assert looks == sorted(looks)
    assert abs(looks[-1] - seconds) < 1e-5
    assert len(looks) <= seconds / poll + 3


def test_the_time_that_a_look_takes_counts() -> None:
    clock = VirtualTime()
    looks = []
    for passed in Timing(poll=2, clock=clock, sleep=clock.sleep).looks(10):
        looks.append(passed)
        clock.sleep(4)
    assert looks == [0, 6]

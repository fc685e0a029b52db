"""Damage for fuzz tests: bytes changed, cut out, repeated or put in, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Draw one of the seeds damaged at one to four positions."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.sampled_from((0, 1, 1, 1, 2, 4, 20)))
        kind = draw(st.sampled_from(("replace", "replace", "insert", "cut", "repeat", "end")))
        if kind == "end":
            data = data[:at]
        elif kind == "cut":
            data = data[:at] + data[at + size :]
        elif kind == "repeat":
            data = data[: at + size] + data[at:]
        else:
            piece = draw(st.binary(min_size=size, max_size=size))
            data = data[:at] + piece + data[at + (size if kind == "replace" else 0) :]
    return data

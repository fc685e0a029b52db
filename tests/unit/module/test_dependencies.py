"""The order of modules by their dependencies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import VerificationError
from ign_deploy.module.dependencies import Needs, dependency_order
from ign_deploy.module.descriptor import Dependency, ModuleDescriptor


def needs(**required: str) -> dict[str, Needs]:
    return {name: Needs(frozenset(others)) for name, others in required.items()}


def test_each_comes_after_those_it_needs() -> None:
    assert dependency_order(needs(a="bc", b="c", c="")) == ["c", "b", "a"]


def test_without_dependencies_the_given_order_stays() -> None:
    assert dependency_order(needs(c="", a="", b="")) == ["c", "a", "b"]


def test_what_is_not_there_counts_for_nothing() -> None:
    assert dependency_order(needs(a="x", b="a")) == ["a", "b"]


def test_a_circle_is_named_in_the_order_of_need() -> None:
    with pytest.raises(VerificationError) as caught:
        dependency_order(needs(a="b", b="c", c="a", d=""))
    message = caught.value.message
    assert any(way in message for way in ("a → b → c → a", "b → c → a → b", "c → a → b → c"))
    assert [finding.code for finding in caught.value.findings] == ["dependency-cycle"]


def test_an_optional_dependency_gives_order_but_no_circle() -> None:
    optional = {"a": Needs(optional=frozenset("b")), "b": Needs()}
    assert dependency_order(optional) == ["b", "a"]
    optional["b"] = Needs(required=frozenset("a"))
    assert dependency_order(optional) == ["a", "b"]


def test_a_module_needs_what_it_requires_and_never_itself() -> None:
    descriptor = ModuleDescriptor(
        id="me",
        depends=(
            Dependency("old", "G"),
            Dependency("sure", "G", required=True),
            Dependency("maybe", "G", required=False),
            Dependency("both", "G", required=False),
            Dependency("both", "D", required=True),
            Dependency("me", "G"),
        ),
    )
    found = Needs.of(descriptor)
    assert found.required == {"old", "sure", "both"}
    assert found.optional == {"maybe"}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_every_order_respects_every_edge(edges: list[tuple[int, int]]) -> None:
    acyclic = [(str(max(edge)), str(min(edge))) for edge in edges if edge[0] != edge[1]]
    graph = {
        str(number): Needs(frozenset(low for high, low in acyclic if high == str(number)))
        for number in range(10)
    }
    order = dependency_order(graph)
    assert sorted(order) == sorted(graph)
    assert all(order.index(low) < order.index(high) for high, low in acyclic)

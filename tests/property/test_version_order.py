from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.repositories.index import index_bytes, merge_module, parse_module_index
from ign_deploy.repositories.record import make_release
from ign_deploy.repositories.root_index import module_entry
from ign_deploy.repositories.versions import is_final, newest, newest_of_sorted, version_key
from tests.support.releases import release_fields

NUMBERS = st.lists(st.integers(0, 12), min_size=3, max_size=4).map(
    lambda parts: ".".join(map(str, parts))
)
STAGES = st.sampled_from(["", "", "-rc1", "-rc2", "-beta10", "-beta9", "-SNAPSHOT"])
VERSIONS = st.builds("{}{}".format, NUMBERS, STAGES) | st.sampled_from(["dev", "1.0", "latest"])
SETS = st.sets(VERSIONS, max_size=70)


@given(SETS)
def test_the_order_is_total_and_stable(versions: set[str]) -> None:
    ordered = sorted(versions, key=version_key)
    backwards = ordered[::-1]
    assert sorted(backwards, key=version_key) == ordered
    assert len({version_key(version) for version in versions}) == len(versions)


@given(SETS)
def test_the_newest_is_final_if_there_is_one(versions: set[str]) -> None:
    found = newest(versions)
    if not versions:
        assert found is None
        return
    assert found is not None
    rivals = {each for each in versions if is_final(each)} or versions
    assert found == max(rivals, key=version_key)
    assert newest_of_sorted(sorted(versions, key=version_key)) == found


@given(SETS, SETS, SETS)
def test_an_index_built_in_steps_equals_one_built_at_once(
    first: set[str], second: set[str], removed: set[str]
) -> None:
    records = {
        version: make_release(**release_fields(version=version), description=f"of {version}")
        for version in first | second
    }
    before = merge_module(None, module_id="com.acme.thing", present=first, read=records.get)
    present = (first | second) - removed
    grown = merge_module(before, module_id="com.acme.thing", present=present, read=records.get)
    at_once = merge_module(None, module_id="com.acme.thing", present=present, read=records.get)
    assert grown == at_once
    if grown is None:
        assert not present
        return
    assert grown["latest"] == newest(present)
    assert grown["description"] == f"of {grown['latest']}"
    assert grown["versions"] == sorted(present, key=version_key)
    assert parse_module_index(index_bytes(grown)) == grown
    assert module_entry(grown)["count"] == len(present)

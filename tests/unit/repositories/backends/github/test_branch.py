from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document
from tests.support.github.server import GitHub, github_simulator
from tests.support.github.state import blob_sha
from tests.support.serving import Fault
from tests.unit.repositories.backends.github.opening import store_of

RULES = {"message": "Repository rule violations found\n\nChanges must be made by pull request."}


@pytest.fixture
def simulator() -> Iterator[GitHub]:
    with github_simulator() as running:
        yield running


def test_the_branch_is_made_without_a_parent_at_the_first_use(simulator: GitHub) -> None:
    store = store_of(simulator)
    assert store.documents.read("index.json") is None
    assert store.documents.names("ledger/status-events/x") == []
    assert "refs/heads/ign-deploy" not in simulator.repository.refs
    assert store.documents.write("index.json", b"{}", replaces=None)
    repository = simulator.repository
    head = repository.commits[repository.refs["refs/heads/ign-deploy"]]
    (first,) = head.parents
    assert repository.commits[first].parents == ()
    assert set(head.files) == {"README.md", "index.json"}
    messages = [head.message, repository.commits[first].message]
    assert all(m.startswith("chore(ign-deploy): ") and "[skip ci]" in m for m in messages)
    assert set(repository.commits[repository.refs["refs/heads/main"]].files) == {"README.md"}


def test_a_document_is_only_replaced_by_whoever_has_read_it(simulator: GitHub) -> None:
    store = store_of(simulator)
    assert store.documents.write("index.json", b"one", replaces=None)
    assert not store.documents.write("index.json", b"two", replaces=None)
    first = store.documents.read("index.json")
    assert first is not None
    assert (first.data, first.tag) == (b"one", blob_sha(b"one"))
    assert store.documents.write("index.json", b"three", replaces=first)
    assert not store.documents.write("index.json", b"four", replaces=first)
    assert not store.documents.write(
        "index.json", b"three", replaces=first
    )  # another's, for all it knows
    again = store.documents.read("index.json")
    assert again is not None
    assert again.data == b"three"


def test_what_a_run_wrote_itself_is_replaced_without_reading_it(simulator: GitHub) -> None:
    store = store_of(simulator)
    assert store.documents.write("index.json", b"one", replaces=None)
    assert store.documents.write("index.json", b"two", replaces=Document(b"one"))
    assert not store.documents.write("index.json", b"three", replaces=Document(b"one"))


def test_adding_the_same_again_is_no_error_but_another_is(simulator: GitHub) -> None:
    store = store_of(simulator)
    store.documents.add("ledger/status-events/a/x.json", b"event")
    store.documents.add("ledger/status-events/a/x.json", b"event")
    with pytest.raises(RepositoryError, match="with another content"):
        store.documents.add("ledger/status-events/a/x.json", b"other")


def test_documents_above_a_megabyte_are_read_and_written_whole(simulator: GitHub) -> None:
    store = store_of(simulator)
    data = bytes(range(256)) * 8192
    assert store.documents.write("index.json", data, replaces=None)
    found = store.documents.read("index.json")
    assert found is not None
    assert found.data == data


def test_a_document_that_is_too_long_is_rejected(
    simulator: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_DOCUMENT_SIZE > 1 << 20
    monkeypatch.setattr("ign_deploy.repositories.backends.github.branch.MAX_DOCUMENT_SIZE", 10)
    store = store_of(simulator)
    store.documents.add("x.json", b"0123456789")
    store.documents.add("y.json", b"0123456789x")
    assert store.documents.read("x.json") is not None
    with pytest.raises(RepositoryError, match="more than 10 bytes"):
        store.documents.read("y.json")


def test_only_files_directly_in_a_folder_are_named(simulator: GitHub) -> None:
    store = store_of(simulator)
    for path in ("a/b/1.json", "a/b/2+x.json", "a/b/c/3.json", "a/b.json"):
        store.documents.add(path, b"x")
    assert sorted(store.documents.names("a/b")) == ["1.json", "2+x.json"]
    assert store.documents.names("a/b.json") == []
    assert store.documents.names("a/x") == []


def test_a_folder_that_the_contents_api_cuts_off_is_named_whole(simulator: GitHub) -> None:
    store = store_of(simulator)
    store.documents.add("a/b/first.json", b"x")
    repository = simulator.repository
    head = repository.commits[repository.refs["refs/heads/ign-deploy"]]
    head.files.update({f"a/b/{number:04}.json": b"x" for number in range(1500)})
    head.files["a/b/c/inner.json"] = b"x"
    names = store.documents.names("a/b")
    assert len(names) == len(set(names)) == 1501
    assert "inner.json" not in names


@pytest.mark.parametrize("race", [0.0, 0.01])
def test_concurrent_writers_lose_nothing(race: float) -> None:
    with github_simulator(race=race) as simulator:
        start = threading.Barrier(8)

        def write(number: int) -> bool:
            store = store_of(simulator)
            start.wait()
            store.documents.add(f"events/{number}.json", b"%d" % number)
            while True:
                document = store.documents.read("counter")
                count = 0 if document is None else int(document.data)
                if store.documents.write("counter", b"%d" % (count + 1), replaces=document):
                    return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(write, range(8)))
        store = store_of(simulator)
        counter = store.documents.read("counter")
        assert counter is not None
        assert counter.data == b"8"
        assert len(store.documents.names("events")) == 8
        roots = [each for each in simulator.repository.commits.values() if "begin" in each.message]
        assert roots
        assert simulator.repository.files("ign-deploy")["README.md"]


def test_of_several_writers_of_one_new_file_one_wins() -> None:
    with github_simulator(race=0.01) as simulator:
        start = threading.Barrier(8)

        def write(number: int) -> bool:
            store = store_of(simulator)
            start.wait()
            return store.documents.write("claim", b"%d" % number, replaces=None)

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(write, range(8)))
        assert won.count(True) == 1
        assert simulator.repository.files("ign-deploy")["claim"] == b"%d" % won.index(True)


@pytest.mark.parametrize("status", [409, 422, 403])
def test_rules_that_keep_us_off_the_branch_are_explained_at_once(
    simulator: GitHub, status: int
) -> None:
    simulator.faults = [Fault("PUT ", status=status, document=RULES, times=9)]
    with pytest.raises(RepositoryError, match="must be made by pull request") as caught:
        store_of(simulator).documents.write("index.json", b"{}", replaces=None)
    assert "exempt the branch" in caught.value.hint
    assert simulator.faults[0].times == 8


@pytest.mark.parametrize("protection", ["classic", "ruleset"])
@pytest.mark.parametrize("is_new", [True, False], ids=["no branch yet", "branch exists"])
def test_the_branch_that_is_protected_is_named_with_what_to_allow(
    simulator: GitHub, protection: str, is_new: bool
) -> None:
    store = store_of(simulator)
    if not is_new:
        store.documents.add("x.json", b"x")
    simulator.repository.protection = protection
    simulator.requests.clear()
    with pytest.raises(RepositoryError) as caught:
        store.documents.write("index.json", b"{}", replaces=None)
    assert caught.value.message.endswith("a rule of the repository protects the branch ign-deploy")
    assert "to push to it without a pull request" in caught.value.hint
    assert len(simulator.requests) <= 5


def test_a_branch_that_always_moves_is_given_up(
    simulator: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ign_deploy.repositories.backends.github.branch._LONGEST_WAIT", 0.0)
    conflict = {"message": "is at a but expected b"}
    simulator.faults = [Fault("PUT ", status=409, document=conflict, times=99)]
    with pytest.raises(RepositoryError, match="is at a but expected b"):
        store_of(simulator).documents.write("index.json", b"{}", replaces=None)


@pytest.mark.parametrize(
    "body",
    [{"x": 1}, [{"name": 1}], [{"name": "x", "path": "x", "type": "file"}], "text"],
)
def test_a_response_that_isn_t_github_s_is_rejected_without_its_values(
    simulator: GitHub, body: object
) -> None:
    simulator.checker.response_problems = lambda *_, **__: []  # type: ignore[method-assign]
    simulator.faults = [Fault("GET .*/git/trees", status=200, document=body),
                        Fault("GET .*/matching-refs", status=200, document=body)]  # fmt: skip
    store = store_of(simulator)
    with pytest.raises(RepositoryError, match="unexpected response") as caught:
        list(store.versions.versions())
    assert "text" not in caught.value.message

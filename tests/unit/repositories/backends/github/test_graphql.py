from __future__ import annotations

from collections.abc import Iterator

import pytest

from ign_deploy.repositories.store import Document, Store
from tests.support.github import graphql
from tests.support.github.graphql import PATH, InvalidQuery, answer
from tests.support.github.server import GitHub, github_simulator
from tests.support.github.state import blob_sha
from tests.support.serving import Fault
from tests.unit.repositories.backends.github.opening import store_of

PATHS = ["index.json", "modules/com.acme.thing/index.json", "missing.json"]
WHOLE = [b'{"name": "Gr\xc3\xb6\xc3\x9fe"}', b"{}", None]


@pytest.fixture
def simulator() -> Iterator[GitHub]:
    with github_simulator() as running:
        yield running


def written(simulator: GitHub, *, token: str = "") -> Store:
    """Write the documents, and open the store as another run."""
    store = store_of(simulator)
    for path, data in zip(PATHS, WHOLE, strict=True):
        if data is not None:
            store.documents.write(path, data, replaces=None)
    simulator.requests.clear()
    return store_of(simulator, token=token) if token else store_of(simulator)


def read(store: Store, *paths: str) -> list[Document | None]:
    assert store.read_together is not None
    return list(store.read_together(paths))


def test_several_documents_are_one_request(simulator: GitHub) -> None:
    store = written(simulator)
    root, module, missing = read(store, *PATHS)
    assert simulator.seen == ["POST /graphql"]
    assert (root, missing) == (Document(WHOLE[0] or b"", blob_sha(WHOLE[0] or b"")), None)
    # What was read so is replaced as what was read by itself.
    assert store.documents.write(PATHS[1], b"[]", replaces=module)
    assert not store.documents.write(PATHS[1], b"[1]", replaces=module)


def test_what_does_not_come_whole_is_read_by_itself(
    simulator: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = written(simulator)
    monkeypatch.setattr(graphql, "LONGEST_TEXT", 10)
    simulator.repository.files("ign-deploy")["binary"] = b"\xff"
    found = read(store, *PATHS, "binary")
    assert [each and each.data for each in found] == [*WHOLE, b"\xff"]
    rest = [line.partition("/contents/")[2] for line in simulator.seen[1:]]
    assert rest == ["index.json", "binary"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(PATH, status=403, times=9),
        Fault(PATH, status=200, document={"errors": [{"type": "RATE_LIMITED"}]}, times=9),
        Fault(PATH, status=200, document={"data": {"repository": {"file0": {"oid": 1}}}}, times=9),
        Fault(PATH, status=200, body=b"<html>", times=9),
        None,
    ],
)
def test_without_it_each_document_is_read_by_itself(fault: Fault | None) -> None:
    with github_simulator(graphql=fault is not None) as simulator:
        store = written(simulator)
        simulator.faults += [fault] if fault else []
        for _ in range(2):
            found = read(store, *PATHS)
            assert [each and each.data for each in found] == WHOLE
        # Once is enough to know.
        assert simulator.seen.count(f"POST {PATH}") == 1


def test_the_query_that_is_not_github_s_is_noticed(simulator: GitHub) -> None:
    sound = "query($o: String!, $n: String!) { repository(owner: $o, name: $n) { "
    inner = "object(expression: $n) { ... on Blob { oid } } } }"
    values = '"variables": {"o": "acme", "n": "modules"}'
    good = answer(f'{{"query": "{sound}{inner}", {values}}}'.encode(), simulator.repository)
    assert good.status == 200
    for wrong in (
        inner.replace("oid", "sha"),
        inner.replace("Blob", "Nothing"),
        inner.replace("$n", "$x"),
        inner.replace("{ oid }", ""),
        "} }",
        f"{inner} }}",
    ):
        with pytest.raises(InvalidQuery):
            answer(f'{{"query": "{sound}{wrong}", {values}}}'.encode(), simulator.repository)

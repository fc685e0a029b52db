"""Long lists are written while they are read, and are whole documents nevertheless."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from ign_deploy.cli.listing import Row, answer_list
from ign_deploy.cli.session import open_bare_session
from ign_deploy.errors import RepositoryError
from ign_deploy.repositories import CatalogueEntry, Repository
from ign_deploy.repositories.search import ListFilter
from tests.support.cli import CliWorkspace, Result

SECRET = "tok-12345678"


def entries(module: int, versions: int) -> list[CatalogueEntry]:
    """Return the versions of a module; one has a name that needs care in JSON, and a secret."""
    return [
        CatalogueEntry(
            id=f"com.example.m{module}",
            name=f'"Pump" ##[x] grün {SECRET}\n\x1b[2J' if number == 1 else "Pump",
            version=f"1.0.{number}",
            description="",
            tags=("a", "b") if number % 2 else (),
            requires_ignition="8.3.0",
            published_at="2026-01-31T12:00:00Z",
            yanked="bad" if number == 2 else None,
            versions=versions,
        )
        for number in range(versions)
    ]


class Listing:
    """Modules as ``iterate_modules`` yields them; ``read`` counts them."""

    def __init__(self, *groups: Sequence[CatalogueEntry], problem: bool = False) -> None:
        self.groups = groups
        self.problem = problem
        self.read = 0

    def __call__(
        self, repository: Repository, selected: ListFilter
    ) -> Iterator[Sequence[CatalogueEntry]]:
        del repository, selected
        return self.modules()

    def modules(self) -> Iterator[Sequence[CatalogueEntry]]:
        """Yield the groups one by one."""
        for group in self.groups:
            self.read += 1
            yield group
        if self.problem:
            raise RepositoryError("the index of m9 is gone", hint="run it again.")


def listed(
    listing: Listing, *arguments: str, workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> Result:
    monkeypatch.setattr("ign_deploy.repositories.search.iterate_modules", listing)
    secret = {"REPOSITORY_API_TOKEN": SECRET}
    return workspace.call("list-modules", "--all-versions", *arguments, env=secret)


@pytest.fixture
def workspace(tmp_path: Path) -> CliWorkspace:
    return CliWorkspace(tmp_path)


@pytest.mark.parametrize("sizes", [(), (0, 0), (1,), (3, 0, 1), (0, 250, 7, 30)])
def test_a_streamed_document_is_what_json_dumps_makes(
    sizes: tuple[int, ...], workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [entries(module, count) for module, count in enumerate(sizes)]
    result = listed(Listing(*groups), "--json", workspace=workspace, monkeypatch=monkeypatch).must(
        0
    )
    whole = json.dumps(result.document, indent=2).replace("##", "\\u0023\\u0023")
    assert result.stdout == f"{whole}\n"
    found = [(each["id"], each["version"]) for each in result.document["modules"]]
    assert found == [(each.id, each.version) for group in groups for each in group]
    assert SECRET not in result.stdout


def test_a_table_has_every_row_in_order_redacted_and_on_one_line(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [entries(1, 150), [], entries(2, 150), entries(123456789, 20)]
    result = listed(Listing(*groups), workspace=workspace, monkeypatch=monkeypatch).must(0)
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["MODULE", "VERSION", "IGNITION", "PUBLISHED", "NAME"]
    found = [tuple(line.split()[:2]) for line in lines]
    assert found == [(each.id, each.version) for group in groups for each in group]
    assert "1.0.2 (yanked)" in lines[2]
    assert lines[0].index("8.3.0") == header.index("IGNITION")
    assert SECRET not in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("before", [0, 3, 400])
def test_a_failure_while_reading_ends_the_document_with_the_error(
    before: int, workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (("--json",), ()):
        listing = Listing(entries(1, before), problem=True)
        result = listed(listing, *arguments, workspace=workspace, monkeypatch=monkeypatch).must(6)
        assert "the index of m9 is gone" in result.stderr
    result = listed(listing, "--json", workspace=workspace, monkeypatch=monkeypatch)
    assert len(result.document.get("modules", ())) == before
    assert (result.document["result"], result.document["error"]["exit_code"]) == ("failed", 6)
    output = workspace.folder / "output"
    output.touch()
    on_host = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output)}
    workspace.call("list-modules", "--json", env=on_host).must(6)
    assert "failed" in output.read_text()


class Stream(io.StringIO):
    """Notes how many modules were read when the first line came; ``gone``: its reader left then."""

    def __init__(self, listing: Listing, spare: BinaryIO, *, gone: bool = False) -> None:
        super().__init__()
        self.listing = listing
        self.spare = spare
        self.gone = gone
        self.read_first = 0

    def write(self, text: str) -> int:
        """Write, or fail as a closed pipe does."""
        self.read_first = self.read_first or self.listing.read
        if self.gone and len(self.getvalue()) > 100:
            raise BrokenPipeError
        return super().write(text)

    def fileno(self) -> int:
        """Return a descriptor that may be replaced."""
        return self.spare.fileno()


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("gone", [False, True])
def test_output_begins_before_the_last_module_was_read_and_reading_ends_with_its_reader(
    as_json: bool, gone: bool, tmp_path: Path
) -> None:
    listing = Listing(*(entries(module, 100) for module in range(50)))
    with (tmp_path / "spare").open("wb") as spare:
        stream = Stream(listing, spare, gone=gone)
        session = replace(open_bare_session({}, as_json=as_json), out=stream)
        answer_list(
            session,
            ([Row({"id": each.id}, (each.id,)) for each in group] for group in listing.modules()),
            about={},
            name="modules",
            header=("MODULE",),
            nothing="none",
        )
    assert stream.read_first <= 3
    assert listing.read < 10 if gone else listing.read == 50

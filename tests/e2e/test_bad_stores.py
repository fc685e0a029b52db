"""Hostile contents of a store are harmless, or a clear error, through the command line.

Each case runs against a folder and against the same files behind a real WebDAV server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import KEY, MODULE, CliWorkspace, Result, make_workspace
from tests.support.servers import nginx

ID, VERSION = "com.example.pump", "1.2.3"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "x\n::error::owned\n##[error]owned\n##vso[task.setvariable variable=a]b",
    "\x1b[31mred\x1b]0;title\x07\x9b2J\r\bgone",
    "\u202egnp.exe \u2066 \u200f",
    "a" * 150_000,
)


@dataclass(frozen=True)
class Stocked:
    """A store with one published module, and where its files are on this machine."""

    workspace: CliWorkspace
    url: str
    root: Path

    def call(self, *arguments: str, env: dict[str, str] | None = None) -> Result:
        return self.workspace.call(*arguments, "--repository-url", self.url, env=env)

    @property
    def record(self) -> Path:
        return self.root / "modules" / ID / VERSION / "release.json"

    def forge(self, **fields: Any) -> None:
        """Change fields of the published record, as anyone with write access could."""
        self.record.write_text(json.dumps(json.loads(self.record.read_text()) | fields))

    def download(self, exit_code: int) -> Result:
        """Download, which fails with that code: nothing may be handed over."""
        result = self.call("download", ID, "-v", VERSION, "-o", "back").must(exit_code)
        back = self.workspace.folder / "back"
        assert not back.exists() or not list(back.iterdir())
        assert "hint: " in result.stderr or "error[record-" in result.stderr
        return result


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A signed module; the key is that of every workspace."""
    return make_workspace(tmp_path_factory.mktemp("signed")).signed().read_bytes()


@pytest.fixture(params=["folder", "web server"])
def store(
    request: pytest.FixtureRequest, workspace: CliWorkspace, signed: bytes, tmp_path: Path
) -> Iterator[Stocked]:
    (tmp_path / "pump.modl").write_bytes(signed)
    if request.param == "folder":
        stocked = Stocked(workspace, str(tmp_path / "store"), tmp_path / "store")
        stocked.call("upload", "pump.modl").must(0)
        yield stocked
        return
    with nginx(tmp_path / "server") as server:
        stocked = Stocked(workspace, f"{server.url}/store", server.root / "store")
        stocked.call("upload", "pump.modl").must(0)
        yield stocked


def harmless(result: Result) -> None:
    """Assert that no terminal and no CI host would obey what was written."""
    for text in (result.stdout, result.stderr):
        assert not CONTROL.search(text), CONTROL.search(text)
        lines = [line.strip() for line in text.splitlines()]
        assert not [line for line in lines if line.startswith("::") and "owned" in line]
        assert not re.search(r"##(?:vso)?\[", text)


def file_of(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(record: dict[str, Any]) -> dict[str, Any]:
        return {"files": [record["files"][0] | changes, *record["files"][1:]]}

    return change


RUBBISH = {
    "not JSON": b"<html>503</html>",
    "empty": b"",
    "not UTF-8": b'{"id": "\xff"}',
    "a list": b"[1, 2]",
    "null": b"null",
    "lacks everything": b"{}",
    "too deep": b"[" * 100_000,
    "too long": b'{"a": "' + b"a" * (2 << 20) + b'"}',
}
WRONG: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "out of its folder": file_of(name="../../../../etc/passwd"),
    "absolute": file_of(name="/etc/passwd"),
    "to another host": file_of(name="http://evil.example/x.modl"),
    "on a drive": file_of(name="C:\\x.modl"),
    "another digest": file_of(sha256="0" * 64),
    "another size": file_of(size=1),
    "enormous size": file_of(size=2**63 - 1),
    "another signer": lambda record: {"certificate": record["certificate"] | {"sha256": "0" * 64}},
    "another id": lambda _: {"id": "com.example.other"},
    "another version": lambda _: {"version": "9.9.9"},
    "no file": lambda _: {"files": []},
    "wrong types": lambda _: {"files": "pump.modl", "tags": 3},
}


@pytest.mark.parametrize("case", RUBBISH)
def test_what_is_no_record_is_rejected(store: Stocked, case: str) -> None:
    store.record.write_bytes(RUBBISH[case])
    harmless(store.download(6))
    # And it is never overwritten.
    harmless(store.call("upload", "pump.modl").must(6))
    assert store.record.read_bytes() == RUBBISH[case]


@pytest.mark.parametrize("case", WRONG)
def test_a_record_that_lies_hands_nothing_over(store: Stocked, case: str) -> None:
    store.forge(**WRONG[case](json.loads(store.record.read_text())))
    result = store.call("download", ID, "-v", VERSION, "-o", "back")
    assert result.exit_code in (5, 6)
    harmless(store.download(result.exit_code))


def test_fields_of_newer_versions_are_kept_by_a_mirror(store: Stocked, tmp_path: Path) -> None:
    store.forge(schema_version=7, from_the_future={"a": [1, None]})
    target = tmp_path / "offline"
    store.workspace.call("mirror", store.url, "--repository-url", target).must(0)
    copy = json.loads((target / "modules" / ID / VERSION / "release.json").read_text())
    assert copy == json.loads(store.record.read_text())


@pytest.mark.parametrize("text", HOSTILE, ids=["html", "commands", "escapes", "bidi", "long"])
def test_hostile_texts_are_harmless_wherever_they_are_shown(store: Stocked, text: str) -> None:
    store.forge(name=text, description=text, notes=text, tags=[text], commit=text)
    store.call("reindex").must(0)
    for arguments in (
        ("list-modules",),
        ("list-modules", "--all-versions"),
        ("download", ID, "-o", "out"),
        ("download", text.replace("\0", "")[:1000], "-o", "out"),
        ("yank", ID, "-v", VERSION, "--reason", text[:500]),
        ("list-modules", "--include-yanked"),
    ):
        result = store.call(*arguments)
        assert "Traceback" not in result.stderr
        assert "internal" not in result.stderr
        harmless(result)
    listed = store.call("list-modules", "--include-yanked", "--json").must(0)
    (module,) = listed.document["modules"]
    # The list of all modules has the beginning of a long one.
    name = module["name"]
    assert name == text or (len(name) >= 80 and text.startswith(name.removesuffix("…")))


def broken_indexes(root: Path) -> dict[str, Callable[[], None]]:
    index, top = root / "modules" / ID / "index.json", root / "index.json"

    def change(path: Path, **fields: Any) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    def ghost() -> None:
        known = json.loads(index.read_text())
        line = known["files"][0] | {"version": "7.7.7"}
        change(index, files=[*known["files"], line], versions=[VERSION, "7.7.7"], latest="7.7.7")
        modules = json.loads(top.read_text())["modules"]
        change(top, modules=[modules[0] | {"latest": "7.7.7", "count": 2}])

    def both(data: bytes) -> Callable[[], None]:
        def write() -> None:
            index.write_bytes(data)
            top.write_bytes(data)

        return write

    def gone() -> None:
        index.unlink()
        top.unlink()

    def latest_of_nothing() -> None:
        change(index, latest="8.8.8")
        top.unlink()

    return {
        "corrupt": both(b'{"files": ['),
        "other types": both(b'{"files": 3, "modules": {"a": 1}, "versions": null}'),
        "a list": both(b"[]"),
        "gone": gone,
        "lists what isn't there": ghost,
        "lacks all": lambda: change(index, files=[], versions=[], latest=""),
        "root lacks the module": lambda: change(top, modules=[]),
        "hostile id": lambda: change(
            top, modules=[json.loads(top.read_text())["modules"][0] | {"id": "../../etc"}]
        ),
        "latest isn't listed": latest_of_nothing,
        "100 MB": both(b" " * (100 << 20)),
    }


@pytest.mark.parametrize("case", broken_indexes(Path()))
def test_an_index_that_is_wrong_is_harmless_and_repaired(store: Stocked, case: str) -> None:
    broken_indexes(store.root)[case]()
    for arguments in (
        ("list-modules",),
        ("list-modules", "--all-versions"),
        ("download", ID, "-o", "out"),
        ("download", ID, "-v", ">=1", "-o", "out"),
    ):
        result = store.call(*arguments)
        assert result.exit_code in (0, 6), result.stderr
        assert "internal" not in result.stderr
        assert result.exit_code == 0 or "hint: " in result.stderr
    # An exact version needs no index.
    store.call("download", ID, "-v", VERSION, "-o", "exact").must(0)
    store.call("reindex").must(0)
    listed = store.call("list-modules", "--all-versions", "--json").must(0)
    assert [each["version"] for each in listed.document["modules"]] == [VERSION]


@pytest.mark.parametrize(
    "event",
    [
        b"not JSON",
        b"[" * 50_000,
        json.dumps({"kind": "removed", "id": "com.example.other"}).encode(),
        b" " * (1 << 20),
        json.dumps({"kind": "explode", "id": ID, "version": VERSION}).encode(),
    ],
    ids=["rubbish", "deep", "another's", "long", "unknown kind"],
)
def test_a_hostile_status_event_is_skipped_with_a_warning(store: Stocked, event: bytes) -> None:
    folder = store.root / "ledger" / "status-events" / ID
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "20260101T000000Z-evil.json").write_bytes(event)
    result = store.call("reindex").must(0)
    harmless(result)
    assert "is skipped" in result.stderr + result.stdout
    store.call("download", ID, "-o", "out").must(0)


def mirrored(store: Stocked, *names: str) -> Result:
    return store.workspace.call("mirror", store.url, *names, "--repository-url", "target")


@pytest.mark.parametrize("name", ["x y?.json", "\u00e9.json", "a (1).json", "..json"])
def test_a_file_that_is_not_named_like_a_status_event_hides_no_module(
    store: Stocked, name: str
) -> None:
    folder = store.root / "ledger" / "status-events" / ID
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"{}")
    listed = store.call("list-modules", "--json").must(0).document["modules"]
    assert [each["id"] for each in listed] == [ID]
    assert f"published: {ID} {VERSION}" in mirrored(store).must(0).stdout


def test_a_mirror_without_something_that_cannot_be_read_is_not_a_success(store: Stocked) -> None:
    folder = store.root / "ledger" / "status-events" / ID
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "20260101T000000Z-000000000000.json").write_bytes(b"not JSON")
    for names in ((), (ID,), ("Pump@1.2.3",)):
        result = mirrored(store, *names).must(6)
        assert f"{ID} {VERSION}" in result.stdout
        assert "is incomplete: 1 of its modules" in result.stderr
        assert result.stderr.count("is skipped: ") == 1
    document = (
        store.workspace.call("mirror", store.url, "--repository-url", "target", "--json")
        .must(6)
        .document
    )
    assert (document["result"], len(document["versions"])) == ("failed", 1)


@pytest.mark.parametrize("damage", ["record", "module folder"])
def test_a_mirror_of_a_folder_with_a_damaged_version_is_not_a_success(
    workspace: CliWorkspace, signed: bytes, tmp_path: Path, damage: str
) -> None:
    (tmp_path / "pump.modl").write_bytes(signed)
    store = Stocked(workspace, str(tmp_path / "store"), tmp_path / "store")
    store.call("upload", "pump.modl").must(0)
    other = store.root / "modules" / "com.example.other"
    if damage == "record":
        (other / "1.0.0").mkdir(parents=True)
        (other / "1.0.0" / "release.json").write_bytes(b"{}")
    else:
        other.symlink_to(store.root)
    for _ in range(2):
        result = mirrored(store).must(6)
        assert f"{ID} {VERSION}" in result.stdout
    mirrored(store, ID).must(0)


@pytest.mark.parametrize(
    "claim", [b"{}", b"not JSON", b"\xff" * 100, b"[" * 50_000], ids=["{}", "text", "bytes", "deep"]
)
def test_a_hostile_claim_stops_no_one_for_good(store: Stocked, claim: bytes) -> None:
    folder = store.root / "modules" / ID / "2.0.0"
    folder.mkdir(parents=True)
    (folder / "claim-0.json").write_bytes(claim)
    (folder / "claim-999999999.json").write_bytes(claim)
    harmless(store.call("list-modules").must(0))
    store.call("reindex").must(0)
    store.call("download", ID, "-o", "out").must(0)


SECRET = "s3cr3t-in-the-url"


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@127.0.0.1/x",
        f"http://{SECRET}@127.0.0.1/x",
        f"gopher://user:{SECRET}@127.0.0.1/x",
        f"https://127.0.0.1/x?token={SECRET}",
        f"https://127.0.0.1/x#{SECRET}",
        f"https://127.0.0.1/x\x1b[31m{SECRET}",
        f"https://127.0.0.1/x\n::error::{SECRET}",
        f"https://[::1/{SECRET}",
        f"https://127.0.0.1:99999/{SECRET}",
        f"https://127.0.0.1:port/{SECRET}",
        f"https:///{SECRET}",
        f"file://[{SECRET}/x",
        f"file://host/{SECRET}",
        f"github://user:{SECRET}@owner/name",
        f"gitlab://user:{SECRET}@gitlab.example/group/project",
        f"oci://user:{SECRET}@127.0.0.1/x",
        f"https://127.0.0.1/../{SECRET}",
        f"https://127.0.0.1/%2e%2e/{SECRET}",
    ],
)
def test_a_bad_repository_url_is_rejected_without_showing_it(
    workspace: CliWorkspace, url: str
) -> None:
    for arguments in (("list-modules",), ("module", MODULE, *KEY)):
        result = workspace.call(*arguments, "--repository-url", url).must(2)
        assert "hint: " in result.stderr
        assert SECRET not in result.stdout + result.stderr
        harmless(result)
    assert not (workspace.folder / "dist" / "pump.modl").exists()


def test_credentials_never_travel_over_http_to_another_machine(workspace: CliWorkspace) -> None:
    for env in (
        {"REPOSITORY_API_TOKEN": SECRET},
        {"REPOSITORY_USERNAME": "me", "REPOSITORY_PASSWORD": SECRET},
    ):
        result = workspace.call(
            "list-modules", "--repository-url", "http://192.0.2.1/x", env=env
        ).must(2)
        assert "https" in result.stderr
        assert SECRET not in result.stdout + result.stderr


def test_a_missing_ca_file_is_said_before_anything_is_asked(workspace: CliWorkspace) -> None:
    url = ("--repository-url", "https://127.0.0.1:9/x")
    result = workspace.call("list-modules", *url, "--repository-ca", "nowhere.pem").must(2)
    assert "nowhere.pem" in result.stderr
    assert "hint: " in result.stderr

"""Bad input gets a clear error and loses nothing; the rows of a table, through the command line."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest

from tests.support.builds import fake_java, gradle_wrapper
from tests.support.cli import KEY, MODULE, CliWorkspace, Result
from tests.support.modules import (
    RawEntry,
    build_module,
    jar,
    module_files,
    module_xml,
    raw_zip,
    zip_bytes,
)

SOUND = [RawEntry(name, data) for name, data in module_files().items()]
ENTITIES = """<!DOCTYPE modules [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>"""


def with_entries(*entries: RawEntry) -> bytes:
    """Return a sound module with these entries besides."""
    return raw_zip([*SOUND, *entries])


def with_descriptor(xml: bytes) -> bytes:
    return zip_bytes({**module_files(), "module.xml": xml})


def with_doctype(doctype: str, name: str = "Pump") -> bytes:
    xml = module_xml().decode().replace("<modules>", f"{doctype}<modules>")
    return with_descriptor(xml.replace("<name>Pump", f"<name>{name}").encode())


def bomb() -> bytes:
    """Return a module with an entry of 64 MiB that is nothing but a thousandth of that."""
    data = bytes(64 << 20)
    return with_entries(RawEntry("doc/zeros.html", data))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"

# What the file is → its bytes, words of the message, and the exit code of `module`.
ROWS: dict[str, tuple[Callable[[], bytes], tuple[str, ...], int]] = {
    "empty": (lambda: b"", ("bad.modl", "empty"), 5),
    "not a zip": (lambda: b"<html>not found</html>" * 99, ("bad.modl", "ZIP"), 5),
    "truncated": (lambda: raw_zip(SOUND)[:-30], ("bad.modl",), 5),
    "cut in the middle": (lambda: raw_zip(SOUND)[:900], ("bad.modl",), 5),
    "bytes before the zip": (lambda: raw_zip(SOUND, prefix=b"#!/bin/sh\n"), ("precede",), 5),
    "bytes before, counted": (
        lambda: raw_zip(SOUND, counted_prefix=b"#!/bin/sh\n"),
        ("precede",),
        5,
    ),
    "bytes after the zip": (lambda: raw_zip(SOUND, trailing=b"more"), ("bad.modl",), 5),
    "duplicate name": (lambda: with_entries(RawEntry("pump.jar", b"evil")), ("pump.jar",), 5),
    "absolute name": (lambda: with_entries(RawEntry("/etc/cron.d/x")), ("/etc/cron.d/x",), 5),
    "drive letter": (lambda: with_entries(RawEntry("C:/x.html")), ("C:/x.html",), 5),
    "name with ..": (lambda: with_entries(RawEntry("doc/../../x")), ("doc/../../x",), 5),
    "symlink": (
        lambda: with_entries(RawEntry("doc/link", b"/etc/passwd", mode=0o120777)),
        ("doc/link", "link"),
        5,
    ),
    "encrypted": (lambda: with_entries(RawEntry("doc/secret", flags=1)), ("doc/secret",), 5),
    "unsupported compression": (
        lambda: with_entries(RawEntry("doc/lzma", b"x", method=14, stored=b"x")),
        ("doc/lzma", "14"),
        5,
    ),
    "orphan local entry": (
        lambda: with_entries(RawEntry("doc/hidden", b"smuggled", orphan=True)),
        ("bad.modl",),
        5,
    ),
    "wrong checksum": (lambda: with_entries(RawEntry("doc/x", crc32=1)), ("doc/x",), 5),
    "zip bomb": (bomb, ("doc/zeros.html",), 5),
    "lying about its size": (
        lambda: with_entries(RawEntry("doc/x", b"a" * 9, stored=zlib.compress(b"a" * 99999)[2:-4])),
        ("doc/x",),
        5,
    ),
    "no module.xml": (lambda: zip_bytes({"a.jar": jar()}), ("module.xml",), 5),
    "broken module.xml": (lambda: with_descriptor(b"<modules><module>"), ("module.xml",), 5),
    "document type": (
        lambda: with_doctype('<!DOCTYPE modules SYSTEM "file:///etc/passwd">'),
        ("module.xml", "DTD"),
        5,
    ),
    "entities": (lambda: with_doctype(ENTITIES, "&b;"), ("module.xml", "DTD"), 5),
    "external entity": (
        lambda: with_doctype('<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
        ("module.xml", "DTD"),
        5,
    ),
    "10 MB of text": (
        lambda: with_descriptor(module_xml(texts={"description": "ha" * (5 << 20)})),
        ("module.xml",),
        5,
    ),
    "Git LFS pointer": (lambda: LFS, ("Git LFS pointer", "git lfs pull"), 3),
    "version of no gateway": (
        lambda: zip_bytes(module_files(texts={"version": "1.0.0-alpha.1"})),
        ("1.0.0-alpha.1", "install"),
        5,
    ),
}


def lost_nothing(workspace: CliWorkspace, before: dict[str, bytes | None]) -> None:
    """Assert that all is as before, but for the report of the run."""
    report = "dist/ign-deploy-result.json"
    after = {name: data for name, data in workspace.tree().items() if name not in ("dist", report)}
    assert after == before


def explained(result: Result, *words: str) -> None:
    """Assert that the message names the thing and says what to do."""
    for word in words:
        assert word in result.stderr
    assert "hint: " in result.stderr
    assert "internal" not in result.stderr


@pytest.mark.parametrize("row", ROWS)
def test_a_bad_module_is_explained_and_nothing_is_made_of_it(
    workspace: CliWorkspace, row: str
) -> None:
    content, words, exit_code = ROWS[row]
    (workspace.folder / "bad.modl").write_bytes(content())
    before = workspace.tree()
    explained(workspace.call("module", "bad.modl", *KEY).must(exit_code), *words)
    lost_nothing(workspace, before)
    # A bad version doesn't prevent signing, and only `package` detects a pointer.
    if row not in ("version of no gateway", "Git LFS pointer"):
        explained(workspace.call("sign", "bad.modl", *KEY).must(5), *words)
    lost_nothing(workspace, before)


@pytest.mark.parametrize("command", ["verify", "inspect", "upload", "package"])
@pytest.mark.parametrize("row", ["not a zip", "truncated", "name with ..", "entities"])
def test_every_command_that_reads_a_module_explains_it(
    workspace: CliWorkspace, command: str, row: str
) -> None:
    content, words, exit_code = ROWS[row]
    (workspace.folder / "bad.modl").write_bytes(content())
    before = workspace.tree()
    explained(workspace.call(command, "bad.modl").must(exit_code), *words)
    lost_nothing(workspace, before)


@pytest.mark.parametrize("command", ["verify", "inspect", "upload", "package", "sign", "module"])
def test_a_missing_file_and_a_folder_are_no_modules(workspace: CliWorkspace, command: str) -> None:
    (workspace.folder / "empty").mkdir()
    key = KEY if command in ("sign", "module") else ()
    for path in ("nowhere.modl", "empty"):
        result = workspace.call(command, path, *key)
        assert result.exit_code in (3, 5)
        explained(result.must(result.exit_code), path)


def test_an_unsigned_module_is_neither_verified_nor_published(workspace: CliWorkspace) -> None:
    before = workspace.tree()
    for command in (("verify",), ("upload",), ("module", "--skip-signing")):
        result = workspace.call(command[0], MODULE, *command[1:]).must(5)
        explained(result, MODULE, "not signed")
        lost_nothing(workspace, before)


def test_two_modules_with_one_id_are_rejected_before_signing(workspace: CliWorkspace) -> None:
    project = workspace.folder / "project"
    build_module(project / "a.unsigned.modl")
    build_module(project / "b.unsigned.modl", files={"doc/b.html": b"b"})
    before = workspace.tree()
    result = workspace.release(path="project").must(5)
    explained(result, "a.unsigned.modl", "b.unsigned.modl", "com.example.pump")
    lost_nothing(workspace, before)


def test_two_files_that_would_become_one_are_not_signed(workspace: CliWorkspace) -> None:
    build_module(workspace.folder / "other" / MODULE)
    before = workspace.tree()
    result = workspace.call("sign", MODULE, f"other/{MODULE}", *KEY).must(4)
    explained(result, "dist/pump.modl")
    lost_nothing(workspace, before)


def test_signing_never_writes_over_its_input(workspace: CliWorkspace) -> None:
    (workspace.folder / MODULE).rename(workspace.folder / "pump.modl")
    before = workspace.tree()
    explained(workspace.call("sign", "pump.modl", *KEY, "-o", ".").must(4), "pump.modl")
    explained(workspace.release("-o", ".", path="pump.modl").must(4), "pump.modl")
    after = {name: data for name, data in workspace.tree().items() if "result" not in name}
    assert after == before


@pytest.mark.parametrize(
    ("build", "words"),
    [
        ("echo nothing to do", ("made no .modl file",)),
        ("mkdir -p build; echo oops > build/pump.modl", ("pump.modl",)),
        ("echo '> Could not find method zipModule()'; exit 1", ("exit code 1",)),
        ("kill -9 $$", ("exit code 137",)),
    ],
    ids=["nothing", "rubbish", "failure", "killed"],
)
def test_a_build_that_makes_no_module_is_a_failure(
    workspace: CliWorkspace, build: str, words: tuple[str, ...]
) -> None:
    java = fake_java(workspace.folder / "java", "17.0.1")
    project = gradle_wrapper(workspace.folder / "project", build)
    result = workspace.release(path=project, env={"JAVA_HOME": str(java)})
    assert result.exit_code in (3, 5)
    explained(result.must(result.exit_code), *words)
    assert not list((workspace.folder / "dist").glob("*.modl"))
    assert not workspace.repository.exists()


def test_an_old_module_is_not_taken_for_what_the_build_made(workspace: CliWorkspace) -> None:
    java = fake_java(workspace.folder / "java", "17.0.1")
    project = gradle_wrapper(workspace.folder / "project", "exit 0")
    build_module(project / "build" / "pump.unsigned.modl")
    result = workspace.release(path=project, env={"JAVA_HOME": str(java)}).must(3)
    explained(result, "is from an earlier build")


@pytest.mark.parametrize("host", [{"CI": "true"}, {"GITLAB_CI": "true"}])
def test_a_ci_job_with_a_secret_too_short_to_redact_is_refused(
    workspace: CliWorkspace, host: dict[str, str]
) -> None:
    env = {**host, "MODULE_SIGNING_PASSWORD": "m"}
    result = workspace.call("inspect", MODULE, env=env).must(2)
    assert "MODULE_SIGNING_PASSWORD is shorter than 4 characters" in result.stderr
    proxy = {**host, "https_proxy": "http://me:abc@proxy.example"}
    assert "password of a proxy" in workspace.call("inspect", MODULE, env=proxy).must(2).stderr


def test_a_short_secret_garbles_no_output(workspace: CliWorkspace) -> None:
    """A password of one letter turned every ``com.example`` into ``co***.exa***ple``."""
    result = workspace.call("inspect", MODULE, env={"MODULE_SIGNING_PASSWORD": "m"}).must(0)
    assert "com.example" in result.stdout
    assert "***" not in result.stdout + result.stderr

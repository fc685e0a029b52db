"""The commands verify and inspect: the first line, and what an auditor is told to do."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest

from ign_deploy.module.signature import CERTIFICATES_NAME, SIGNATURES_NAME
from ign_deploy.pipeline import context
from tests.support.cli import KEY, MODULE, CliWorkspace, make_workspace
from tests.support.identities import pem_certificates, self_signed
from tests.support.modules import RawEntry, build_module, module_files, module_xml, write_zip
from tests.support.signing import content, rewritten

ANCHOR = ("--trust-anchor", "signing.cert.pem")


@pytest.fixture
def workspace(tmp_path: Path) -> CliWorkspace:
    """A working folder with a key, a signed module, and another vendor's certificate."""
    made = make_workspace(tmp_path)
    made.call("sign", MODULE, *KEY, "-o", "signed").must(0)
    _, other = self_signed("Other Vendor")
    (tmp_path / "other.pem").write_bytes(pem_certificates(other))
    return made


def tampered(workspace: CliWorkspace) -> Path:
    return rewritten(
        workspace.folder / "signed/pump.modl",
        lambda files: {**files, "pump.jar": files["pump.jar"] + b"x"},
    )


CASES = [
    ((), 0, "intact", "✓ intact; the signer was not checked (give --trust-anchor)"),
    (ANCHOR, 0, "trusted", "✓ intact, signed by CN=Test Vendor (trusted: signing.cert.pem)"),
    (
        ("--trust-anchor", "other.pem"),
        5,
        "untrusted",
        "✗ UNTRUSTED SIGNER: CN=Test Vendor doesn't lead to the trust anchor (other.pem)",
    ),
]


@pytest.mark.parametrize(("options", "exit_code", "status", "line"), CASES)
def test_the_first_line_says_whether_it_is_intact_and_who_signed_it(
    workspace: CliWorkspace, options: tuple[str, ...], exit_code: int, status: str, line: str
) -> None:
    arguments = ("signed/pump.modl", *options)
    assert workspace.call("verify", *arguments).must(exit_code).stdout.startswith(f"{line}\n")
    assert workspace.call("inspect", *arguments).must(0).stdout.startswith(f"{line}\n")
    document = workspace.call("verify", *arguments, "--json").must(exit_code).document
    assert document["result"] == status
    (module,) = document["modules"]
    assert (module["status"], module["verdict"]) == (status, line)
    assert module["trust_anchor"] == ("signing.cert.pem" if options == ANCHOR else None)


def test_an_auditor_of_a_changed_file_is_never_told_to_sign_it(workspace: CliWorkspace) -> None:
    changes = (
        lambda files: {**files, "pump.jar": b"x"},
        lambda files: {**files, "more.jar": b"x"},
        lambda files: {name: files[name] for name in files if name != "pump.jar"},
        lambda files: {name: files[name] for name in files if name != SIGNATURES_NAME},
        lambda files: {**files, SIGNATURES_NAME: b"/a=\\u"},
        lambda files: {**files, SIGNATURES_NAME: files[SIGNATURES_NAME] + b"pump.jar=x\n"},
        lambda files: {**files, SIGNATURES_NAME: files[SIGNATURES_NAME] * 2},
        lambda files: {
            name: data if name == SIGNATURES_NAME or "p7b" in name else data + b" "
            for name, data in files.items()
        },
    )
    for change in changes:
        file = rewritten(workspace.folder / "signed/pump.modl", change)
        document = workspace.call("verify", file, *ANCHOR, "--json").must(5).document
        (module,) = document["modules"]
        assert module["status"] == document["result"] == "changed"
        assert module["verdict"].startswith("✗ CHANGED: ")
        for finding in module["findings"]:
            assert "sign" not in finding["hint"], finding
            if finding["severity"] == "error" and not finding["code"].startswith("archive"):
                assert finding["hint"].startswith("don't install this module"), finding


def test_unsigned_and_unreadable_files_are_named_as_such(workspace: CliWorkspace) -> None:
    (workspace.folder / "junk.modl").write_bytes(b"junk")
    result = workspace.call("verify", MODULE, "junk.modl", "signed/pump.modl").must(5)
    first, second, third = (each.splitlines()[0] for each in result.stdout.split("\n\n"))
    assert first == "✗ NOT SIGNED"
    assert second.startswith("✗ NOT A VALID MODULE: ")
    assert third.startswith("✓ intact")
    document = workspace.call("verify", MODULE, "junk.modl", "--json").must(5).document
    assert document["result"] == "invalid"
    assert [each["status"] for each in document["modules"]] == ["unsigned", "invalid"]


def test_an_action_s_summary_and_outputs_say_it_too(
    workspace: CliWorkspace, tmp_path: Path
) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary"
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    workspace.call("verify", tampered(workspace), *ANCHOR, env=env).must(5)
    assert "changed" in output.read_text().splitlines()
    assert summary.read_text("utf-8").startswith("## ❌ CHANGED: pump.jar was changed after")
    summary.unlink()
    workspace.call("verify", "signed/pump.modl", *ANCHOR, env=env).must(0)
    assert "trusted" in output.read_text().splitlines()
    page = summary.read_text("utf-8")
    assert page.startswith("## ✅ intact, signed by CN=Test Vendor &#40;trusted: signing.cert.pem")


def test_an_expired_signer_is_trusted_only_when_that_is_allowed(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2199, 1, 1, tzinfo=tz)

    monkeypatch.setattr(context, "datetime", Later)
    result = workspace.call("verify", "signed/pump.modl", *ANCHOR).must(5)
    assert result.stdout.startswith("✗ UNTRUSTED SIGNER: CN=Test Vendor expired on 2120-01-01")
    allowed = workspace.call("verify", "signed/pump.modl", *ANCHOR, "--allow-expired").must(0)
    assert allowed.stdout.startswith("✓ intact, signed by CN=Test Vendor")


def test_what_only_contains_a_certificate_is_not_a_trust_anchor(workspace: CliWorkspace) -> None:
    certificate = (workspace.folder / "signing.cert.pem").read_bytes()
    for name, data in (("text.pem", b"\n" + certificate), ("a.modl", b"PK\x03\x04" + certificate)):
        (workspace.folder / name).write_bytes(data)
        result = workspace.call("verify", "signed/pump.modl", "--trust-anchor", name).must(2)
        assert f"the trust anchor {name} doesn't begin with a certificate" in result.stderr


HOSTILE = {
    "signature lines": (SIGNATURES_NAME, b"".join(b"%x\n" % number for number in range(170_000))),
    "one line again and again": (SIGNATURES_NAME, b"a\n" * (1 << 19)),
    "blank lines": (SIGNATURES_NAME, b"\n" * (1 << 20)),
    "continued lines": (SIGNATURES_NAME, b"\\\n" * (1 << 19)),
    "certificates": (CERTIFICATES_NAME, b"0\x00" * (1 << 19)),
    "hooks": ("module.xml", b"<hook scope='G'>a</hook>" * 40_000),
    "jars": ("module.xml", b"<jar scope='G'>a.jar</jar>" * 38_000),
    "dependencies": ("module.xml", b"<depends scope='G'>a</depends>" * 33_000),
    "unknown elements": ("module.xml", b"<x/>" * 240_000),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_megabyte_of_anything_takes_little_memory_and_output(
    workspace: CliWorkspace, kind: str, command: str
) -> None:
    name, data = HOSTILE[kind]
    if name == "module.xml":
        data = module_xml().replace(b"</module>", data + b"</module>", 1)
    file = rewritten(workspace.folder / "signed/pump.modl", lambda files: {**files, name: data})
    code = "import sys; from ign_deploy.cli import run_cli; run_cli(['x', *sys.argv[1:]], {})\n"
    code += "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    child = subprocess.run(
        [sys.executable, "-I", "-c", code, command, str(file), "--json"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0
    assert int(child.stderr.split()[-1]) < 160 << 10, "KiB"
    assert len(child.stdout) + len(child.stderr) < 200_000


def test_a_missing_file_is_named_once(workspace: CliWorkspace) -> None:
    result = workspace.call("verify", "nothing.modl").must(5)
    assert "error[file-unreadable]: cannot open nothing.modl: No such file" in result.stderr
    assert "NOT CHECKED: cannot open nothing.modl" in result.stdout


def test_an_unsigned_file_is_named_once(workspace: CliWorkspace) -> None:
    result = workspace.call("verify", MODULE).must(5)
    assert f"error[unsigned]: {MODULE} is not signed" in result.stderr


def test_inspect_lists_fifty_files_and_counts_the_rest(workspace: CliWorkspace) -> None:
    names = [f"doc/{number:03}.html" for number in range(60)]
    module = build_module(workspace.folder / "many.modl", files=dict.fromkeys(names, b"x"))
    result = workspace.call("inspect", module).must(0)
    found = workspace.call("inspect", module, "--json").must(0).document["files"]
    assert {each["name"] for each in found} > set(names)
    listed = result.stdout.partition("Files (bytes):\n")[2].splitlines()
    assert len(listed) == 51
    assert listed[-1] == f"  and {len(found) - 50} more (--json lists all)"


def test_inspect_reads_one_file_only(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signature and the list of files are of the same bytes, also if the file is replaced."""
    from ign_deploy.signing import verifier

    inspect_archive = verifier.inspect_archive
    path = workspace.folder / "signed/pump.modl"
    other = tampered(workspace)

    def inspect_then_replace(*arguments: Any, **options: Any) -> Any:
        report = inspect_archive(*arguments, **options)
        other.replace(path)
        return report

    monkeypatch.setattr(verifier, "inspect_archive", inspect_then_replace)
    expected = len(content(path)["pump.jar"])
    files = workspace.call("inspect", path, "--json").must(0).document["files"]
    assert {each["name"]: each["size"] for each in files}["pump.jar"] == expected


def test_files_are_counted_without_folders_and_shown_by_their_names(
    workspace: CliWorkspace,
) -> None:
    entries = [RawEntry(name, data) for name, data in module_files().items()]
    entries += [RawEntry("doc/", b"", stored=b"", mode=0o040755), RawEntry("doc/Grüße.html", b"x")]
    write_zip(workspace.folder / "odd.modl", entries)
    shown = workspace.call("inspect", "odd.modl").must(0)
    files = len(entries) - 1
    assert f"files:          {files}\n" in shown.stdout
    assert "  doc/Grüße.html\n" in shown.stdout
    document = workspace.call("inspect", "odd.modl", "--json").must(0).document
    assert document["file_count"] == len(document["files"]) == files

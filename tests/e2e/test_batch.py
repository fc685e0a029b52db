"""Batches through the command line: order, parallel work, failures, and their reports."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.support.builds import gradle_wrapper
from tests.support.cli import KEY, CliWorkspace, Result
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.modules import build_module
from tests.support.releases import tree
from tests.support.runner import Runner


def module_id(name: str) -> str:
    return f"com.example.{name}"


def prebuilt(workspace: CliWorkspace, name: str, *needs: str, sound: bool = True) -> str:
    """Make a module file that depends on the named ones; return its path. ``?x``: not required."""
    depends = "".join(
        f'<depends scope="G" required="{str(not need.startswith("?")).lower()}">'
        f"{module_id(need.lstrip('?'))}</depends>"
        for need in needs
    )
    path = f"{name}.unsigned.modl"
    build_module(
        workspace.folder / path,
        texts={"id": module_id(name), "name": name.title()},
        jars=(("G", "pump.jar" if sound else "gone.jar"),),
        extra=depends,
    )
    return path


def batch(workspace: CliWorkspace, *arguments: str | Path, **more: dict[str, str]) -> Result:
    return workspace.call("batch", *arguments, *KEY, **more)


def published(workspace: CliWorkspace) -> list[str]:
    """Return the ids in the repository."""
    return sorted(path.name for path in (workspace.repository / "modules").glob("*"))


def results(document: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {each["id"].rpartition(".")[2]: each["result"] for each in document["modules"]}


def uploads(result: Result) -> list[str]:
    """Return the names of the published modules in the order of the log."""
    lines = [line.split() for line in result.stderr.splitlines() if " is published: " in line]
    return [words[0].rpartition(".")[2] for words in lines]


def test_uploads_follow_the_dependencies_whatever_the_order_given(workspace: CliWorkspace) -> None:
    paths = [prebuilt(workspace, "a", "b"), prebuilt(workspace, "b", "c"), prebuilt(workspace, "c")]
    result = batch(workspace, *paths).must(0)
    assert uploads(result) == ["c", "b", "a"]
    table = [line.split() for line in result.stdout.splitlines()]
    assert table == [
        ["result:", "uploaded"],
        *([module_id(name), "1.2.3", "uploaded", f"dist/{name}.modl"] for name in "abc"),
    ]
    for name in "abc":
        workspace.call("verify", f"dist/{name}.modl", "--trust-anchor", "signing.cert.pem").must(0)


def test_the_same_batch_again_is_unchanged(workspace: CliWorkspace) -> None:
    paths = [prebuilt(workspace, name) for name in "ab"]
    batch(workspace, *paths).must(0)
    before = tree(workspace.repository)
    document = batch(workspace, *paths, "--json").must(0).document
    assert document["result"] == "unchanged"
    assert results(document) == {"a": "unchanged", "b": "unchanged"}
    assert tree(workspace.repository) == before


def test_a_batch_makes_the_same_files_as_one_after_another(workspace: CliWorkspace) -> None:
    paths = [prebuilt(workspace, name) for name in "abcd"]
    for path in paths:
        workspace.release("-o", "alone", path=path).must(0)
    batch(workspace, *paths, "--max-parallel", "4", "-o", "together").must(0)
    for name in "abcd":
        alone, together = (
            workspace.folder / kind / f"{name}.modl" for kind in ("alone", "together")
        )
        assert alone.read_bytes() == together.read_bytes()


def test_all_problems_of_all_paths_are_found_before_the_start(workspace: CliWorkspace) -> None:
    (workspace.folder / "empty").mkdir()
    before = workspace.tree()
    good = prebuilt(workspace, "a")
    result = batch(workspace, good, "empty", "gone", "--version", "x.y", "--json").must(2)
    messages = [each["message"] for each in result.document["error"]["findings"]]
    assert len(messages) == 3
    assert any("x.y" in text for text in messages)
    assert any("empty" in text for text in messages)
    assert any("gone" in text for text in messages)
    assert {*workspace.tree()} - {*before} <= {good, "dist", "dist/ign-deploy-result.json"}


def test_a_path_given_twice_is_rejected(workspace: CliWorkspace) -> None:
    path = prebuilt(workspace, "a")
    assert "given twice" in batch(workspace, path, path).must(2).stderr
    assert "are the same path" in batch(workspace, path, workspace.folder / path).must(2).stderr


def test_after_a_failure_nothing_is_uploaded_and_nothing_new_begun(workspace: CliWorkspace) -> None:
    paths = [
        prebuilt(workspace, "a"),
        prebuilt(workspace, "b", sound=False),
        prebuilt(workspace, "c"),
    ]
    result = batch(workspace, *paths, "--max-parallel", "1", "--json").must(5)
    assert not published(workspace)
    document = result.document
    assert document["result"] == "failed"
    assert results(document) == {"a": "skipped", "b": "failed"}
    first, second, third = document["paths"]
    assert first["reason"] == f"not uploaded, because {paths[1]} failed"
    assert "gone.jar" in second["reason"]
    assert third == {
        "path": paths[2],
        "result": "skipped",
        "reason": f"not started, because {paths[1]} failed",
        "modules": [],
        "stages": [],
    }
    assert not (workspace.folder / "dist" / "c.modl").exists()


def test_going_on_leaves_out_only_what_depends_on_the_failed(workspace: CliWorkspace) -> None:
    paths = [
        prebuilt(workspace, "top", "middle"),
        prebuilt(workspace, "middle", "broken"),
        prebuilt(workspace, "broken", sound=False),
        prebuilt(workspace, "loose", "?broken"),
        prebuilt(workspace, "other"),
    ]
    result = batch(workspace, *paths, "--continue-on-error", "--json").must(5)
    assert published(workspace) == [module_id("loose"), module_id("other")]
    reasons = {each["id"].rpartition(".")[2]: each["reason"] for each in result.document["modules"]}
    assert "gone.jar" in reasons["broken"]
    assert reasons["middle"] == f"it depends on {module_id('broken')}, which failed"
    assert reasons["top"] == f"it depends on {module_id('middle')}, which was skipped"
    assert reasons["loose"] == reasons["other"] == ""
    fixed = [prebuilt(workspace, "broken") if "broken" in path else path for path in paths]
    again = batch(workspace, *fixed, "--json").must(0)
    assert again.document["result"] == "uploaded"
    assert len(published(workspace)) == 5


def test_a_file_that_is_no_module_fails_on_its_own_path(workspace: CliWorkspace) -> None:
    (workspace.folder / "bad.modl").write_bytes(b"no zip at all")
    result = batch(workspace, "bad.modl", prebuilt(workspace, "a"), "--continue-on-error").must(5)
    assert published(workspace) == [module_id("a")]
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        [module_id("a"), "1.2.3"],
        ["bad.modl", "failed"],
    ]


def test_a_conflict_at_the_upload_stops_or_spares_the_rest(workspace: CliWorkspace) -> None:
    workspace.release(path=prebuilt(workspace, "a")).must(0)
    build_module(workspace.folder / "a.unsigned.modl", texts={"id": module_id("a"), "name": "New"})
    paths = ["a.unsigned.modl", prebuilt(workspace, "b"), prebuilt(workspace, "c", "a")]
    stopped = batch(workspace, *paths, "--json").must(6)
    assert published(workspace) == [module_id("a")]
    assert results(stopped.document) == {"a": "failed", "b": "skipped", "c": "skipped"}
    went_on = batch(workspace, *paths, "--continue-on-error", "--json").must(6)
    assert published(workspace) == [module_id("a"), module_id("b")]
    assert results(went_on.document) == {"a": "failed", "b": "uploaded", "c": "skipped"}


def test_different_failures_end_with_the_code_of_the_first_path_given(
    workspace: CliWorkspace,
) -> None:
    broken = prebuilt(workspace, "b", sound=False)
    project = gradle_wrapper(workspace.folder / "project", "echo 'it is the moon'; exit 7")
    assert batch(workspace, project, broken, "--continue-on-error").must(3)
    assert batch(workspace, broken, project, "--continue-on-error").must(5)


def test_two_modules_with_one_id_are_rejected_before_anything_is_built(
    workspace: CliWorkspace,
) -> None:
    first = prebuilt(workspace, "a")
    build_module(workspace.folder / "b.unsigned.modl", texts={"id": module_id("a")})
    result = batch(workspace, first, "b.unsigned.modl", "--continue-on-error").must(5)
    assert "module-id-repeated" in result.stderr
    assert "two lines of Ignition, give each its own version" in result.stderr
    assert not published(workspace)
    assert not list(workspace.folder.glob("dist/*.modl"))


def test_two_builds_that_make_one_id_are_rejected_before_any_upload(
    workspace: CliWorkspace,
) -> None:
    prebuilt(workspace, "a")
    projects = [
        gradle_wrapper(
            workspace.folder / name,
            f"mkdir -p build; cp ../a.unsigned.modl build/{name}.unsigned.modl",
        )
        for name in ("one", "two")
    ]
    result = batch(workspace, *projects, prebuilt(workspace, "c"), "--continue-on-error").must(5)
    assert "share the id" in result.stderr
    assert not published(workspace)


def test_two_paths_that_become_one_file_are_rejected(workspace: CliWorkspace) -> None:
    for folder in ("x", "y"):
        path = workspace.folder / folder / "pump.unsigned.modl"
        build_module(path, texts={"id": module_id(folder)})
    result = batch(workspace, "x/pump.unsigned.modl", "y/pump.unsigned.modl").must(5)
    assert "would both become pump.modl" in result.stderr
    assert not published(workspace)


def test_a_circle_is_named_and_nothing_is_uploaded(workspace: CliWorkspace) -> None:
    paths = [prebuilt(workspace, "a", "b"), prebuilt(workspace, "b", "a"), prebuilt(workspace, "c")]
    result = batch(workspace, *paths, "--continue-on-error").must(5)
    assert "com.example.a → com.example.b → com.example.a" in result.stderr
    assert not published(workspace)


def test_logs_of_modules_that_run_at_once_do_not_mix_and_hide_secrets(
    workspace: CliWorkspace,
) -> None:
    """Two builds print in turn, each waiting for the other's line, one of them a secret."""
    prebuilt(workspace, "a")
    prebuilt(workspace, "b")
    projects: list[Path] = []
    for mine, other in (("a", "b"), ("b", "a")):
        lines = [
            "for number in 1 2 3 4 5; do",
            f'  echo "{mine} says $number, hunter22hunter22"',
            f"  touch ../{mine}$number",
            f"  for _ in $(seq 600); do [ -e ../{other}$number ] && break; sleep 0.1; done",
            f"  [ -e ../{other}$number ]",
            "done",
            f"mkdir -p build; cp ../{mine}.unsigned.modl build/",
        ]
        projects.append(gradle_wrapper(workspace.folder / f"project-{mine}", *lines))
    secret = {"MODULE_SIGNING_PASSWORD": "hunter22hunter22", "GITHUB_ACTIONS": "true"}
    files = {
        name: str(workspace.folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    }
    result = batch(workspace, *projects, "--max-parallel", "2", env={**secret, **files}).must(0)
    said = [line.split()[0] for line in result.stderr.splitlines() if " says " in line]
    assert said in (["a"] * 5 + ["b"] * 5, ["b"] * 5 + ["a"] * 5)
    unmasked = [line for line in result.stderr.splitlines() if "add-mask" not in line]
    assert not [line for line in unmasked if "hunter22" in line]
    groups = [line for line in result.stderr.splitlines() if line.startswith("::group::")]
    assert len(groups) == 4, "preflight, two paths, upload"
    assert result.stderr.count("::endgroup::") == 4
    outputs = (workspace.folder / "GITHUB_OUTPUT").read_text()
    assert f"{module_id('a')}\n{module_id('b')}\n" in outputs
    summary = (workspace.folder / "GITHUB_STEP_SUMMARY").read_text()
    assert summary.startswith("## ✅ Released A 1.2.3, B 1.2.3")


def test_a_failed_batch_tells_later_steps_only_of_what_they_may_use(
    workspace: CliWorkspace,
) -> None:
    files = {
        name: str(workspace.folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    }
    paths = [prebuilt(workspace, "a"), prebuilt(workspace, "b", sound=False)]
    env = {"GITHUB_ACTIONS": "true", **files}
    batch(workspace, *paths, "--continue-on-error", env=env).must(5)
    outputs = (workspace.folder / "GITHUB_OUTPUT").read_text()
    assert module_id("a") in outputs
    assert module_id("b") not in outputs
    summary = (workspace.folder / "GITHUB_STEP_SUMMARY").read_text()
    assert "Batch: 1 failed, 1 uploaded" in summary
    assert "| failed | " in summary


@pytest.mark.parametrize("host", [{}, {"GITLAB_CI": "true"}])
def test_a_success_is_one_line_and_a_failure_is_all(
    workspace: CliWorkspace, host: dict[str, str]
) -> None:
    paths = [prebuilt(workspace, "a"), prebuilt(workspace, "b", sound=False)]
    result = batch(workspace, *paths, "--continue-on-error", "--max-parallel", "1", env=host).must(
        5
    )
    counted = re.findall(r"\[\d/2\] .*", result.stderr)
    assert [line.split()[0] for line in counted] == ["[1/2]", "[2/2]"]
    assert counted[0].endswith(f"{module_id('a')} 1.2.3, verified")
    assert "failed" in counted[1]
    assert f"{module_id('a')} 1.2.3 is valid" not in result.stderr
    detailed = batch(workspace, paths[0], "--verbose", env=host).must(0)
    assert f"{module_id('a')} 1.2.3 is valid" in detailed.stderr


def test_a_path_that_was_not_started_is_counted(workspace: CliWorkspace) -> None:
    paths = [prebuilt(workspace, "a", sound=False), prebuilt(workspace, "b")]
    result = batch(workspace, *paths, "--max-parallel", "1").must(5)
    assert "[2/2]" in result.stderr.partition("[1/2]")[2]
    assert f"[2/2] {paths[1]}: skipped" in result.stderr


def test_twelve_modules_are_a_short_log(workspace: CliWorkspace) -> None:
    result = batch(workspace, *[prebuilt(workspace, name) for name in "abcdefghijkl"]).must(0)
    assert sum(f"[{n}/12] " in result.stderr for n in range(1, 13)) == 12
    assert len(result.stderr.splitlines()) < 40


def test_a_dry_run_only_checks(workspace: CliWorkspace) -> None:
    paths = [prebuilt(workspace, name) for name in "ab"]
    before = workspace.tree()
    assert batch(workspace, *paths, "--dry-run").must(0).stdout.startswith("result: dry-run")
    assert workspace.tree() == before


@pytest.mark.parametrize("sound", [True, False])
def test_a_rehearsal_leaves_nothing(workspace: CliWorkspace, sound: bool) -> None:
    paths = [prebuilt(workspace, "a"), prebuilt(workspace, "b", sound=sound)]
    before = workspace.tree()
    result = batch(workspace, *paths, "--rehearsal", "--continue-on-error", "--json")
    document = result.must(0 if sound else 5).document
    assert document["result"] == ("rehearsed" if sound else "failed")
    assert results(document) == {"a": "rehearsed", "b": "rehearsed" if sound else "failed"}
    assert [each["result"] for each in document["paths"]] == list(results(document).values())
    assert {*workspace.tree()} - {*before} <= {"dist", "dist/ign-deploy-result.json"}


def test_without_upload_everything_ends_verified(workspace: CliWorkspace) -> None:
    paths = [prebuilt(workspace, "a", "b"), prebuilt(workspace, "b")]
    document = batch(workspace, *paths, "--skip-upload", "--json").must(0).document
    assert document["result"] == "verified"
    assert results(document) == {"a": "verified", "b": "verified"}
    report = json.loads((workspace.folder / "dist/ign-deploy-result.json").read_text())
    assert report == document


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_stopped_by_a_signal_it_ends_all_builds_and_leaves_nothing(
    workspace: CliWorkspace, number: signal.Signals, exit_code: int
) -> None:
    private = workspace.folder / "tmp"
    private.mkdir()
    names = ("a", "b", "c")
    projects = [
        gradle_wrapper(
            workspace.folder / name,
            f"echo $$ > ../{name}.new",
            f"mv ../{name}.new ../{name}.pid",
            "sleep 60",
        )
        for name in names
    ]
    pids = [workspace.folder / f"{name}.pid" for name in names]
    env = {"TMPDIR": str(private)}
    limit = ("--max-parallel", "2")
    result = workspace.interrupt(number, "batch", *projects, *KEY, *limit, once=pids[:2], env=env)
    assert result.must(exit_code).stdout == ""
    assert list(private.iterdir()) == []
    assert not pids[2].exists(), "nothing new is begun"
    for path in pids[:2]:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)


def test_the_action_takes_several_paths_and_folds_each_ones_log(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "runner", secrets=("hunter22-hunter22",))
    runner.workspace.mkdir(parents=True)
    key, certificate = self_signed()
    (runner.workspace / "signing.cert.pem").write_bytes(pem_certificates(certificate))
    (runner.workspace / "signing.key.pem").write_bytes(pem_key(key, password="hunter22-hunter22"))
    hostile = "::set-output name=module-id::evil"
    for name in ("a", "b"):
        made = build_module(runner.folder / f"{name}.modl", texts={"id": module_id(name)})
        lines = [f"echo '{hostile}'", "mkdir -p build", f"cp {made} build/{name}.unsigned.modl"]
        gradle_wrapper(runner.workspace / name, *lines)
    result = runner.run(
        {
            "command": "batch",
            "path": "a\nb\n",
            "max-parallel": "2",
            "continue-on-error": "true",
            "key-path": "signing.key.pem",
            "cert-path": "signing.cert.pem",
            "signing-password": "hunter22-hunter22",
        }
    )
    assert result.succeeded, (result.problems, result.log)
    assert result.leaked == ()
    assert result.outputs["module-id"].split() == [module_id("a"), module_id("b")]
    assert result.outputs["module-file"].split() == ["dist/a.modl", "dist/b.modl"]
    assert result.groups[0] == "preflight"
    counts, titles = zip(*(title.split(" ", 1) for title in result.groups[1:3]), strict=True)
    assert counts == ("[1/2]", "[2/2]")
    assert sorted(titles) == [f"{name}: {module_id(name)} 1.2.3, verified" for name in ("a", "b")]
    assert result.groups[3:] == ("upload",)
    assert not [command for command in result.commands if command.name == "set-output"]
    assert result.summary.count("uploaded") >= 2

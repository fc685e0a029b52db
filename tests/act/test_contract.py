"""What the action has from a runner and gives to it, in act's reading of GitHub's rules.

One workflow with three jobs is run once; the tests read its log. Where act is laxer than GitHub or
differs, only the emulated runner (tests/support/runner.py, runner_log.py) has the rule:

- a legacy command ``##[x]`` anywhere in a line (act: only at its beginning)
- commands after spaces, and lines that end at a carriage return
- each line of a masked value is masked, not only the whole value
- ten annotations of a type, 4096 characters each; data and properties unescaped
- a summary of at most 1 MiB
- the step fails for ``set-env``, ``add-path`` (act only says so), for an empty mask and for a
  forbidden token of ``stop-commands``; ``set-output`` in the log is gone
- the workspace is ``/github/workspace``, whatever its path on the runner's machine, and it belongs
  to another user, who gets back what was written (act: one path for both, all of root's)
- HOME and RUNNER_TEMP are mounts (act: in the container)

The action names the image, as a release does: act builds nothing from the Dockerfile.

The other way round, act rejects empty lines in the files of outputs, which GitHub skips. Neither
has GitHub's checks of ``on:`` filters, ``permissions``, ``environment``, ``concurrency`` and
unknown inputs, nor its masking of secrets in a job's outputs. In act, ``strategy.job-index`` is
empty, and an index behind an array's end isn't equal to null.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.act.projects import gradle_project, readable_secrets, secrets
from tests.support.act import Act, ActRun, checkout_with
from tests.support.modules import build_module

MODULE = 'a folder/it\'s a "pump".unsigned.modl'
NOTES = 'It\'s "quoted", with $HOME, `id` and 100 %25.\n\n  - an indented line\n'
FORGED = ("::error::forged", "##[error]forged", "::set-output name=result::forged", "::warning::x")
COMPILER = (
    'echo "> Task :compileJava FAILED"',
    """echo "$PWD/src/main/java/Hook.java:13: error: ';' expected" >&2""",
    'echo "FAILURE: Build failed with an exception."',
    'echo "* What went wrong:"',
    """echo "Execution failed for task ':compileJava'." """,
    'echo "> Compilation failed; see the compiler error output for details."',
    "exit 1",
)
WORKFLOW = r"""
name: contract
on: push
permissions: {}
jobs:
  release:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - uses: org/ign-deploy@v1
        id: module
        with:
          path: "a folder/it's a \"pump\".unsigned.modl"
          output-dir: an output
          repository-url: a store
          notes: |
            It's "quoted", with $HOME, `id` and 100 %25.

              - an indented line
          cert-path: ${{ secrets.SIGNING_CERTIFICATE }}
          key-path: ${{ secrets.SIGNING_KEY }}
          signing-password: ${{ secrets.SIGNING_PASSWORD }}
      - name: The next step
        env:
          OUTPUTS: ${{ toJSON(steps.module.outputs) }}
          FILE: ${{ steps.module.outputs.module-file }}
          SHA256: ${{ steps.module.outputs.sha256 }}
        run: |
          test "$(sha256sum <"$FILE")" = "$SHA256  -"
          echo $OUTPUTS
          cp "$FILE" "a folder/copy.modl"
          cat "a store/modules/com.example.pump/1.2.3/release.json"
      - name: Secrets in other forms
        env:
          KEY: ${{ secrets.SIGNING_KEY }}
          PASSWORD: ${{ secrets.SIGNING_PASSWORD }}
        run: |
          echo "a line: $(sed -n 3p <<<"$KEY")"
          echo "base64: $(printf %s "$PASSWORD" | base64 -w 0)"
          echo "hex: $(printf %s "$PASSWORD" | od -An -v -tx1 | tr -d ' \n')"
          echo "upper case: ${PASSWORD^^}"
      - uses: org/ign-deploy@v1
        id: verified
        with:
          command: verify
          path: |
            ${{ steps.module.outputs.module-file }}
            a folder/copy.modl
      - run: echo "verified, ${{ steps.verified.outputs.result }}"

  failure:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - uses: org/ign-deploy@v1
        id: version
        continue-on-error: true
        with:
          path: a folder/second.modl
          skip-signing: true
          version: 9.9.9
      - run: echo "then ${{ steps.version.outcome }}, ${{ steps.version.outputs.result }}"
      - uses: org/ign-deploy@v1
        with:
          path: a folder/second.modl
          dry-run: perhaps
      - run: echo "not reached"
      - if: failure()
        run: echo "reached after the failure"

  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - uses: org/ign-deploy@v1
        id: hostile
        with:
          command: package
          path: hostile
      - run: echo "the build was ${{ steps.hostile.outputs.result }}"
      - uses: org/ign-deploy@v1
        with:
          command: package
          path: broken
"""


def checkout(folder: Path) -> Path:
    """Make what the workflow names: two modules, and builds that print commands and errors."""
    build_module(folder / MODULE)
    build_module(folder / "a folder" / "second.modl")
    gradle_project(folder / "hostile", *(f"echo {line!r}" for line in FORGED))
    gradle_project(folder / "broken", *COMPILER)
    return checkout_with(folder, WORKFLOW)


@pytest.fixture(scope="module")
def run(act: Act, tmp_path_factory: pytest.TempPathFactory) -> ActRun:
    """The workflow's only run."""
    folder = tmp_path_factory.mktemp("contract")
    return act.run(checkout(folder / "project"), secrets=secrets())


def outputs(run: ActRun, job: str) -> dict[str, str]:
    """Return the outputs that a step printed as JSON in one line."""
    line = next(line for line in run.output(job) if line.startswith('{ "audit-head"'))
    read: dict[str, str] = json.loads(line)
    return read


def test_inputs_keep_spaces_quotes_and_newlines(run: ActRun) -> None:
    _, record_text = "\n".join(run.output("release")).split("\n{\n", 1)
    record, _ = json.JSONDecoder().raw_decode("{" + record_text)
    assert record["notes"] == NOTES.strip()
    assert outputs(run, "release")["module-file"] == 'an output/it\'s a "pump".modl'


def test_a_next_step_reads_the_outputs(run: ActRun) -> None:
    assert run.jobs["release"], run.log
    read = outputs(run, "release")
    assert read["result"] == "uploaded"
    assert read["module-id"] == "com.example.pump"
    assert read["module-version"] == "1.2.3"
    assert "verified, intact" in run.output("release")


def test_no_secret_is_readable_in_the_log(run: ActRun) -> None:
    assert readable_secrets(run.log) == []
    for form in ("a line", "base64", "hex"):
        # act masks only the secret as a whole: we masked these.
        assert f"{form}: ***" in run.output("release")
    assert any(line.startswith("upper case: A") for line in run.output("release"))


def test_the_summaries_say_what_happened(run: ActRun) -> None:
    titles = [summary.splitlines()[0] for summary in run.summaries]
    assert "## ✅ Released Pump 1.2.3" in titles
    assert titles.count("## ❌ Not released") == 2
    assert any(outputs(run, "release")["sha256"] in summary for summary in run.summaries)


def test_failures_are_annotations(run: ActRun) -> None:
    version, setting = run.annotations("failure")
    assert "9.9.9" in version
    assert "dry-run" in setting


def test_a_failed_step_may_be_continued_and_leaves_outputs(run: ActRun) -> None:
    assert "then failure, failed" in run.output("failure")


def test_a_failed_step_fails_the_job_with_its_exit_code(run: ActRun) -> None:
    assert "exit with `FAILURE`: 2" in run.job("failure")
    assert "exit with `FAILURE`: 3" in run.job("build")
    assert "reached after the failure" in run.output("failure")
    assert "not reached" not in run.output("failure")
    assert run.jobs == {"release": True, "failure": False, "build": False}
    assert run.exit_code == 1


def test_what_a_build_prints_is_no_command(run: ActRun) -> None:
    assert "the build was packaged" in run.output("build")
    assert "forged" not in "".join(run.annotations("build"))
    shown = {re.sub(r"[^\w:]", "", line) for line in run.output("build")}
    assert {re.sub(r"[^\w:]", "", line) for line in FORGED} <= shown


def test_a_compiler_s_error_is_an_annotation(run: ActRun) -> None:
    (annotation,) = run.annotations("build")
    assert re.search(r"Hook\.java.*13.*';' expected", annotation)

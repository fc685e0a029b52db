"""Every workflow of the README, the documentation, the examples and `init`, run by act as written.

The repository's store is a simulated GitHub, the gateways are simulated, and so is what
tests/support/act.py names. Everything else is real: act, Podman, our image.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from tests.act.projects import (
    GATEWAY_TOKEN,
    gradle_project,
    monorepo,
    one_module,
    readable_secrets,
    secrets,
)
from tests.support.act import Act, ActRun, checkout_with
from tests.support.cli import CliWorkspace
from tests.support.gateway import Gateway, Options, running_gateway
from tests.support.git import git
from tests.support.github.server import GitHub, github_simulator
from tests.support.identities import self_signed
from tests.support.pages import ROOT, blocks

TAG = "refs/tags/v1.2.3"
_JOB = """\
on: push
permissions: {}
jobs:
  release:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
"""


def workflows() -> dict[str, str]:
    """Return the GitHub workflows that users may copy, by where they are."""
    found: dict[str, str] = {}
    for block in blocks("yaml"):
        if "runs-on:" in block.text or "uses: org/ign-deploy@" in block.text:
            number = sum(name.startswith(f"{block.page} ") for name in found) + 1
            found[f"{block.page} {number}"] = whole_workflow(block.text)
    for path in sorted((ROOT / "examples" / "github").rglob("*.yml")):
        found[str(path.relative_to(ROOT))] = path.read_text("utf-8")
    return found


def whole_workflow(text: str) -> str:
    """Put steps that are shown alone into a job, after a checkout."""
    if "jobs:" in text:
        return text
    return _JOB + textwrap.indent(text.removeprefix("steps:\n"), "    ")


WORKFLOWS = workflows()


@dataclass(frozen=True)
class Case:
    """What a workflow is run for, and what each of its jobs prints."""

    project: Callable[[Path], Path]
    jobs: Mapping[str, str]
    event: str = "push"
    ref: str = "refs/heads/main"
    has_secrets: bool = True
    prints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


UPLOADED = {"release": "result: uploaded"}
EXAMPLES = "examples/github/workflows"
# These have tests of their own.
PLANNED = "docs/batch-and-matrix.md 2"
DEPLOYING = f"{EXAMPLES}/deploy-and-promote.yml"
CASES = {
    "README.md 1": Case(one_module, UPLOADED, ref=TAG),
    "docs/release-from-github.md 1": Case(
        gradle_project,
        UPLOADED,
        ref="refs/tags/pump-v1.2.3",
        prints={
            "release": (
                "artifact artifact: dist/Pump.modl",
                "artifact artifact: dist/ign-deploy-result.json",
            )
        },
    ),
    "docs/release-from-github.md 2": Case(
        one_module,
        {"check": "result: packaged"},
        event="pull_request",
        ref="refs/pull/1/merge",
        has_secrets=False,
    ),
    "docs/release-from-github.md 3": Case(one_module, UPLOADED, ref=TAG),
    "docs/batch-and-matrix.md 1": Case(monorepo, UPLOADED),
    PLANNED: Case(
        monorepo,
        {"plan": "", "release-1": "result: uploaded", "release-2": "result: uploaded"},
    ),
    f"{EXAMPLES}/air-gapped.yml": Case(
        one_module,
        {"bundle": "result: verified"},
        ref=TAG,
        prints={
            "bundle": (
                "attested: dist/Pump.modl",
                "attested: dist/com.example.pump-1.2.3.zip",
                "artifact bundle: dist/com.example.pump-1.2.3.zip",
            )
        },
    ),
    f"{EXAMPLES}/monorepo-batch.yml": Case(
        monorepo,
        UPLOADED,
        prints={"release": ("artifact release: dist/Tank.modl",)},
    ),
    f"{EXAMPLES}/monorepo-matrix.yml": Case(
        monorepo,
        {"plan": "", **{f"release-{number}": "result: uploaded" for number in (1, 2, 3)}},
        prints={"release-2": ("artifact release-: dist/Pump.modl",)},
    ),
    f"{EXAMPLES}/single-module.yml": Case(
        one_module,
        UPLOADED,
        ref=TAG,
        prints={
            "release": (
                "artifact release: dist/Pump.modl",
                "artifact release: dist/ign-deploy-result.json",
            )
        },
    ),
}


@pytest.fixture
def github() -> Iterator[GitHub]:
    """The repository's own store, which takes nothing that GitHub wouldn't."""
    with github_simulator("acme/modules") as github:
        yield github
        assert github.violations == []


def run(act: Act, project: Path, github: GitHub, case: Case, **variables: str) -> ActRun:
    """Run a project's workflow for its event, and check what holds for all of them."""
    result = act.run(
        project,
        event=case.event,
        ref=case.ref,
        secrets=secrets() if case.has_secrets else {},
        variables={"MODULE_REPOSITORY_URL": "github://acme/modules", **variables},
        env={"GITHUB_API_URL": github.url},
    )
    assert result.exit_code == 0, result.log
    assert result.jobs == dict.fromkeys(case.jobs, True)
    for job, line in case.jobs.items():
        assert not line or line in result.output(job), result.log
    for job, lines in case.prints.items():
        assert set(lines) <= set(result.output(job)), result.log
    assert readable_secrets(result.log) == []
    return result


def checkout(folder: Path, name: str, case: Case) -> Path:
    tag = case.ref.removeprefix("refs/tags/") if case.ref.startswith("refs/tags/") else ""
    return checkout_with(case.project(folder), WORKFLOWS[name], tag=tag)


def test_every_workflow_is_run() -> None:
    assert set(WORKFLOWS) == {*CASES, DEPLOYING}


@pytest.mark.parametrize("name", sorted({*CASES} - {PLANNED}))
def test_a_workflow_works_as_written(name: str, act: Act, github: GitHub, tmp_path: Path) -> None:
    project = checkout(tmp_path / "project", name, CASES[name])
    run(act, project, github, CASES[name])


def test_a_plan_without_changes_starts_no_job(act: Act, github: GitHub, tmp_path: Path) -> None:
    """The first push releases both modules; the second finds everything published."""
    case = CASES[PLANNED]
    project = checkout(tmp_path / "project", PLANNED, case)
    run(act, project, github, case)
    run(act, project, github, replace(case, jobs={"plan": ""}))


def deploying_project(folder: Path, staging: Gateway, production: Gateway) -> Path:
    """Make a module whose config file names a gateway of each environment."""
    # A licence would have to be accepted, which the workflow leaves to its users.
    one_module(folder, requiredIgnitionVersion="8.3.0", license=None)
    (folder / "ign-deploy.toml").write_text(
        "\n".join(
            f'[[gateways]]\nname = "{name}"\nurl = "{gateway.url}"\nenvironment = "{name}"\n'
            for name, gateway in (("staging", staging), ("production", production))
        )
    )
    return folder


def test_a_release_is_deployed_and_promoted(act: Act, github: GitHub, tmp_path: Path) -> None:
    _, certificate = self_signed()
    signer = certificate.fingerprint(hashes.SHA1()).hex()
    options = [Options(token=GATEWAY_TOKEN, scale=0.05, name=name) for name in ("a", "b")]
    jobs = {"release": "result: uploaded", "staging": "", "production": ""}
    with running_gateway(options[0]) as staging, running_gateway(options[1]) as production:
        case = Case(lambda folder: deploying_project(folder, staging, production), jobs, ref=TAG)
        project = checkout(tmp_path / "project", DEPLOYING, case)
        run(act, project, github, case, SIGNER=signer)
        assert staging.version_of("com.example.pump").startswith("1.2.3")
        assert production.version_of("com.example.pump").startswith("1.2.3")
        assert staging.violations == production.violations == []


@pytest.mark.parametrize("make", [one_module, monorepo])
def test_the_workflow_that_init_writes_works(
    make: Callable[[Path], Path], act: Act, github: GitHub, tmp_path: Path
) -> None:
    project = make(tmp_path / "project")
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "remote", "add", "origin", "https://github.com/acme/modules.git")
    CliWorkspace(project).run("init", "--yes").must(0)
    workflow = project / ".github" / "workflows" / "release.yml"
    ref = TAG if make is one_module else "refs/tags/release-2026-03"
    case = Case(make, UPLOADED, ref=ref)
    checkout_with(project, workflow.read_text("utf-8"), tag=ref.removeprefix("refs/tags/"))
    result = run(act, project, github, case)
    attached = "gh release upload --clobber v1.2.3 dist/Pump.modl"
    assert (attached in result.output("release")) == (make is one_module)

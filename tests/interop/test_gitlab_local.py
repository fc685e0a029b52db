"""GitLab pipelines run for real by gitlab-ci-local: our example and our component."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring

from tests.support.gitlab import PASSWORD, commit, make_project
from tests.support.node import BIN, TOOLS, run_node

INCLUDING = """
stages: [build, announce]
include:
  - local: templates/release.yml
    inputs:
      image: registry.example.com/tools/ign-deploy:jdk
      job-name: pump
      stage: build
      path: "."
      tag-pattern: "pump-{version}"
      protected-branch: ""
      format: both
announce:
  stage: announce
  needs:
    - job: pump
      artifacts: true
  script:
    - echo "$MODULE_ID $MODULE_VERSION is $RESULT, bundle $BUNDLE_FILE"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "pump")


def run_pipeline(project: Path, *, tag: str) -> tuple[int, str]:
    """Run the pipeline of a tag; return exit code and log."""
    child = run_node(
        str(TOOLS / ".bin" / "gitlab-ci-local"),
        # The image is another test's matter: here, the command line of this environment is used.
        "--force-shell-executor",
        "--variable",
        f"CI_COMMIT_TAG={tag}",
        cwd=project,
        env={
            "PATH": os.pathsep.join((str(BIN), os.environ.get("PATH", os.defpath))),
            "HOME": str(project.parent),
            "TERM": "dumb",
            "NO_COLOR": "1",
        },
    )
    log = child.stdout.decode()
    assert PASSWORD not in log
    return child.returncode, log


def test_the_example_releases_and_a_later_job_reads_the_outputs(project: Path) -> None:
    exit_code, log = run_pipeline(project, tag="v1.2.3")
    assert exit_code == 0, log
    release = json.loads(
        (project / "module-repository/modules/com.example.pump/1.2.3/release.json").read_bytes()
    )
    sha256 = release["files"][0]["sha256"]
    assert f"> com.example.pump 1.2.3 is uploaded, SHA-256 {sha256}\n" in log
    # GitLab's own tool sees our stages as sections.
    assert re.search(r"\bsign-\d+-\d+ took ", log)
    assert json.loads((project / "dist" / "gl-code-quality-report.json").read_bytes()) == []
    junit = fromstring((project / "dist" / "ign-deploy-junit.xml").read_bytes())
    assert junit is not None
    cases = [case.get("name") for case in junit.iter("testcase")]
    assert {"package", "sign", "verify", "upload"} <= set(cases)


def test_a_release_that_fails_leaves_reports_and_stops_the_pipeline(project: Path) -> None:
    exit_code, log = run_pipeline(project, tag="v9.9.9")
    assert exit_code != 0
    assert "is uploaded" not in log
    assert "RESULT=failed\n" in (project / "dist" / "ign-deploy.env").read_text()
    issues = json.loads((project / "dist" / "gl-code-quality-report.json").read_bytes())
    assert [issue["severity"] for issue in issues] == ["critical"]
    assert "9.9.9" in issues[0]["description"]
    junit = (project / "dist" / "ign-deploy-junit.xml").read_bytes()
    assert b"<failure" in junit
    assert not (project / "module-repository").exists()


def test_the_component_takes_its_inputs(project: Path) -> None:
    (project / ".gitlab-ci.yml").write_text(INCLUDING)
    commit(project)
    exit_code, log = run_pipeline(project, tag="pump-1.2.3")
    assert exit_code == 0, log
    assert "> com.example.pump 1.2.3 is uploaded, bundle dist/" in log


def test_a_hostile_tag_is_text_and_nothing_else(project: Path) -> None:
    exit_code, log = run_pipeline(project, tag="v$(touch stolen)`touch stolen`;touch stolen")
    assert exit_code != 0
    assert "stolen" in log
    assert not list(project.parent.rglob("stolen"))

"""GitLab projects for gitlab-ci-local, which runs pipelines as GitLab's runner does.

``python -m tests.support.gitlab FOLDER`` makes one, for checks outside of pytest.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import yaml

from tests.support.git import git
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.modules import bare_folder

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "gitlab" / ".gitlab-ci.yml"
COMPONENT = ROOT / "templates" / "release.yml"
PASSWORD = "a-password-to-be-redacted"


def make_project(folder: Path) -> Path:
    """Make a module as a bare folder, with our example, in a Git repository with a remote."""
    bare_folder(folder)
    shutil.copy(EXAMPLE, folder)
    (folder / "templates").mkdir()
    shutil.copy(COMPONENT, folder / "templates")
    key, certificate = self_signed()
    secrets = {
        "MODULE_SIGNING_KEY_PATH": pem_key(key, password=PASSWORD),
        "MODULE_SIGNING_CERT_PATH": pem_certificates(certificate),
    }
    # As in a project's CI/CD settings: of type File, handed to the job as a path.
    variables: dict[str, object] = {
        name: {"type": "file", "values": {"*": content.decode()}}
        for name, content in secrets.items()
    }
    variables["MODULE_SIGNING_PASSWORD"] = PASSWORD
    (folder / ".gitlab-ci-local-variables.yml").write_text(yaml.safe_dump(variables))
    (folder / ".gitignore").write_text(".gitlab-ci-local*\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", "https://gitlab.example.com/group/pump.git")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    """Commit everything that is there."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=module")


if __name__ == "__main__":
    make_project(Path(sys.argv[1]))

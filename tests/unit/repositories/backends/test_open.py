from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from tests.support.releases import release_of


@pytest.mark.parametrize(
    "write",
    [str, Path.as_uri, lambda path: f"file:{path}", lambda path: f"FILE://localhost{path}"],
)
def test_a_path_and_every_form_of_file_url_open_the_folder(
    write: Callable[[Path], str], tmp_path: Path
) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    url = write(folder).replace(" ", "%20") if write is not str else write(folder)
    assert open_repository(url).check().location == str(folder)


def test_a_relative_path_is_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_repository("module-repository").check().writable
    assert not (tmp_path / "module-repository").exists()


@pytest.mark.parametrize("scheme", ["C", "ftp", "svn+ssh"])
def test_another_scheme_is_rejected_naming_what_is_supported(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match="supported are a folder") as caught:
        open_repository(f"{scheme}://user:s3cret@host/x")
    assert f"{scheme.lower()}:" in caught.value.message
    assert "s3cret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        "a\0b",
        "a\nb",
        "file:",
        "file://host/x",
        "file:///x?y",
        "file:///x#y",
        "file://[x/y",
        " https://user:s3cret@host/x",
        "https://host/x\n",
        "\ufeffhttps://user:s3cret@host/x\r",
    ],
)
def test_what_names_no_folder_is_rejected(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_repository(url)
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_what_is_in_a_folder_is_not_cached(tmp_path: Path) -> None:
    access = Access(cache=tmp_path / "cache")
    repository = open_repository(str(tmp_path / "repository"), access=access)
    release, files = release_of(tmp_path)
    repository.publish(release, files=files)
    repository.fetch(release.id, version=release.version, to=io.BytesIO())
    assert not (tmp_path / "cache").exists()


def test_choosing_a_repository_loads_nothing_heavy() -> None:
    code = (
        "import sys; import ign_deploy.repositories.backends as b; b.BACKENDS;"
        "print([m for m in ('pydantic', 'requests', 'tenacity', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

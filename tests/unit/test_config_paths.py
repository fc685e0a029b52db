"""Paths in a config file are relative to the file; all others to the working directory."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from ign_deploy.settings import Inputs, Settings
from tests.support.cli import make_workspace

CONFIG = """
repository-url = "modules"
output-dir = "build/out"
trust-anchor = ["ca.pem", "/etc/root.pem"]
key-path = "signing.key"
gateway = ["line-1", "bench/modules", "https://line2.example", "developer+http://line3"]
health-command = "./check"
notes = "see notes.md"

[[gateways]]
name = "line-1"
url = "line-1/modules"
ca = "plant.pem"
manifest = "line-1/modules.json"
"""


def settings_from(here: Path, config: Path | None, **env: str) -> Settings:
    """Resolve the settings as a command in the folder ``here`` would."""
    with contextlib.chdir(here):
        return Inputs(env=env, flags={}, folder=Path(), config_file=config).resolve().settings


@pytest.fixture
def subfolder(tmp_path: Path) -> Path:
    """Return a folder below that of the file ``plant.toml``."""
    (tmp_path / "plant.toml").write_text(CONFIG)
    folder = tmp_path / "sub" / "deeper"
    folder.mkdir(parents=True)
    return folder


def test_all_paths_are_those_beside_the_file(subfolder: Path) -> None:
    found = settings_from(subfolder, Path("../../plant.toml"))
    assert found.repository_url == "../../modules"
    assert found.output_dir == Path("../../build/out")
    assert found.trust_anchor == ("../../ca.pem", "/etc/root.pem")
    assert found.key_path == "../../signing.key"
    assert found.gateway == (
        *("line-1", "../../bench/modules"),
        *("https://line2.example", "developer+http://line3"),
    )
    assert (found.health_command, found.notes) == ("./check", "see notes.md")
    (gateway,) = found.gateways
    assert gateway.url == "../../line-1/modules"
    assert (gateway.ca, gateway.manifest) == ("../../plant.pem", "../../line-1/modules.json")


def test_the_folder_may_be_above_beside_or_absolute(tmp_path: Path, subfolder: Path) -> None:
    above = settings_from(tmp_path.parent, Path(tmp_path.name) / "plant.toml")
    assert above.repository_url == f"{tmp_path.name}/modules"
    named = settings_from(subfolder, tmp_path / "plant.toml")
    assert named.repository_url == f"{tmp_path}/modules"
    here = settings_from(tmp_path, Path("plant.toml"))
    assert here.repository_url == "modules"
    assert here.trust_anchor == ("ca.pem", "/etc/root.pem")


def test_every_setting_that_is_a_path_is_relative_to_the_file(tmp_path: Path) -> None:
    names = [name for name, _, source in Settings.names() if source.metavar == "PATH"]
    names.append("key")
    lines = [f'{name.replace("_", "-")} = "below/it"' for name in names]
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "all.toml").write_text("\n".join(lines))
    found = settings_from(tmp_path, Path("conf/all.toml"))
    assert len(names) > 10
    for name in names:
        value = getattr(found, name)
        assert str(value[0] if isinstance(value, tuple) else value) == "conf/below/it", name


def test_variables_are_relative_to_the_working_directory(subfolder: Path) -> None:
    env = {"MODULE_REPOSITORY_URL": "mine", "DEPLOYMENT_OUTPUT_DIR": "out"}
    found = settings_from(subfolder, Path("../../plant.toml"), **env)
    assert (found.repository_url, found.output_dir) == ("mine", Path("out"))


def test_the_uri_of_a_key_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    uri = "pkcs11:token=a/b?module-path=/x.so"
    (tmp_path / "conf" / "key.toml").write_text(f'key = "{uri}"')
    assert settings_from(tmp_path, Path("conf/key.toml")).key == uri


@pytest.mark.parametrize("text", ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 4, "-----BEGIN KEY-----"])
def test_key_material_is_no_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "key.toml").write_text(f'key-path = "{text}"\nkeystore = "{text}"')
    found = settings_from(tmp_path, Path("conf/key.toml"))
    assert (found.key_path, found.keystore) == (text, text)


@pytest.mark.parametrize("url", ["s3://bucket/x", "file:///srv/x", "/srv/x", "github://o/r"])
def test_an_address_is_as_it_is(tmp_path: Path, url: str) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "x.toml").write_text(f'repository-url = "{url}"\n')
    assert settings_from(tmp_path, Path("conf/x.toml")).repository_url == url


def test_a_command_in_a_subfolder_uses_the_folders_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text('repository-url = "modules"\n')
    folder = tmp_path / "sub"
    folder.mkdir()
    done = make_workspace(folder).call("list-modules", "--config", "../plant.toml")
    assert "there is no repository at ../modules" in done.must(6).stderr

"""The public nouns: the documentation's examples work, and they are what the commands use."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import ign_deploy
from ign_deploy import (
    DeploymentConfig,
    DeploymentManager,
    ModulePackager,
    ModuleSigner,
    PackagerConfig,
    RepositoryConfig,
    RepositoryManager,
    SignerConfig,
)
from ign_deploy.errors import ConfigurationError, IdentityError, VerificationError, VersionConflict
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.settings import Settings
from tests.support.identities import pem_files, self_signed
from tests.support.modules import build_module, module_files
from tests.support.pages import blocks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a key, a project and a gateway's modules."""
    monkeypatch.chdir(tmp_path)
    key, certificate = self_signed()
    pem_files(tmp_path, key, (certificate,))
    for name, data in module_files().items():
        path = tmp_path / "pump" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "user-lib" / "modules").mkdir(parents=True)
    return tmp_path


def verified(folder: Path, version: str = "1.2.3", **texts: str) -> VerifiedModule:
    file = build_module(folder / f"{version}.unsigned.modl", texts={"version": version, **texts})
    config = SignerConfig(
        key_path=str(folder / "signing.key.pem"),
        cert_path=str(folder / "signing.cert.pem"),
        output_dir=folder / "dist",
    )
    with ModuleSigner(config) as signer:
        return signer.verify(signer.sign(file))


def test_another_file_than_the_one_that_was_signed_is_not_verified(folder: Path) -> None:
    config = SignerConfig(
        key_path=str(folder / "signing.key.pem"), cert_path=str(folder / "signing.cert.pem")
    )
    other = verified(folder, "1.2.4")
    file = build_module(folder / "pump.unsigned.modl")
    with ModuleSigner(config) as signer:
        signed = signer.sign(file)
        other.path.replace(signed.path)
        with pytest.raises(VerificationError, match="changed while it was being checked"):
            signer.verify(signed)


def test_the_examples_of_the_documentation_work(folder: Path) -> None:
    names: dict[str, Any] = {}
    found = [block for block in blocks("python") if block.page == "docs/python-api.md"]
    assert len(found) == 3
    for block in found:
        exec(compile(block.text, block.page, "exec"), names)
    assert names["newest"].sha256 == names["verified"].sha256
    assert [each.outcome.value for each in names["record"].gateways] == ["restart-pending"]
    assert list((folder / "user-lib" / "modules").glob("*.modl"))


def test_a_version_is_published_once_yanked_and_unyanked(folder: Path) -> None:
    with RepositoryManager(RepositoryConfig(repository_url=str(folder / "modules"))) as repository:
        module = verified(folder)
        assert repository.upload(module).outcome.value == "published"
        assert repository.upload(module).outcome.value == "already-published"
        with pytest.raises(VersionConflict):
            repository.upload(verified(folder, name="other"))
        assert repository.yank(module.descriptor.id, "1.2.3", reason="broken")
        assert not repository.yank(module.descriptor.id, "1.2.3", reason="broken")
        assert repository.list_modules(all_versions=True) == ()
        assert repository.unyank(module.descriptor.id, "1.2.3")
        assert [each.version for each in repository.list_modules()] == ["1.2.3"]


def test_nothing_that_is_published_holds_a_secret(folder: Path) -> None:
    config = RepositoryConfig(repository_url=str(folder / "modules"), repository_token="tok-5f1e9")
    with RepositoryManager(config) as repository:
        module = verified(folder)
        repository.upload(module, description="sent with tok-5f1e9")
        repository.yank(module.descriptor.id, "1.2.3", reason="tok-5f1e9 was in it")
    texts = [each.read_bytes() for each in (folder / "modules").rglob("*") if each.is_file()]
    assert any(b"sent with" in text for text in texts)
    assert any(b"was in it" in text for text in texts)
    assert not any(b"tok-5f1e9" in text for text in texts)


def test_a_deployment_is_recorded_promoted_and_rolled_back(folder: Path) -> None:
    store = RepositoryConfig(repository_url=str(folder / "modules"))
    with RepositoryManager(store) as repository:
        for version in ("1.0.0", "1.1.0"):
            repository.upload(verified(folder, version))
    with DeploymentManager(
        DeploymentConfig(environment="test", track_only=True), repository=store
    ) as test:
        for version in ("1.0.0", "1.1.0"):
            test.install(f"com.example.pump@{version}")
        test.promote(to="production")
        test.rollback()
        assert [each.version for each in test.status()] == ["1.0.0"]
        kinds = [each.started.kind.value for each in test.history()]
        assert kinds == ["deployment", "deployment", "rollback"]
    production = DeploymentConfig(environment="production")
    with DeploymentManager(production, repository=store) as manager:
        assert [each.version for each in manager.status()] == ["1.1.0"]


def test_without_a_key_nothing_is_signed(folder: Path) -> None:
    file = build_module(folder / "pump.unsigned.modl")
    with ModuleSigner() as signer, pytest.raises(IdentityError, match="no signing key given"):
        signer.sign(file)


def test_a_wrong_value_is_named_but_not_repeated() -> None:
    config = PackagerConfig(build_timeout="s3cret")  # type: ignore[arg-type]  # what users do
    with pytest.raises(ConfigurationError, match="build_timeout") as caught:
        ModulePackager(config)
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("config", [SignerConfig(signing_password="s3cret"),
                                    RepositoryConfig(repository_token="s3cret"),
                                    DeploymentConfig(gateway_token="s3cret")])  # fmt: skip
def test_no_configuration_shows_a_secret(config: object) -> None:
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    "config", [PackagerConfig(), SignerConfig(), RepositoryConfig(), DeploymentConfig()]
)
def test_a_field_has_the_name_and_the_default_of_its_setting(config: Any) -> None:
    defaults = Settings()
    for name, value in dataclasses.asdict(config).items():
        setting = getattr(defaults, name)
        if isinstance(setting, SecretStr):
            setting = setting.get_secret_value()
        assert value == setting, name


def test_every_public_name_is_there() -> None:
    assert all(hasattr(ign_deploy, name) for name in ign_deploy.__all__)
    assert not hasattr(ign_deploy, "missing")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import ign_deploy, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    loaded = done.stdout.decode().split()
    assert not {"ign_deploy.api", "pydantic", "click", "requests", "typing"} & set(loaded)

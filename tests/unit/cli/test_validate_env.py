"""validate-env --signing: a probe is signed; where the key is, its speed and its certificate."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ign_deploy.signing.keys import pkcs11 as adapter
from ign_deploy.signing.keys.file import FileKey
from tests.support.cli import KEY, CliWorkspace, make_workspace
from tests.support.identities import rsa_key
from tests.support.softhsm import PIN, softhsm


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliWorkspace:
    monkeypatch.setattr(adapter, "_refused", set())
    return make_workspace(tmp_path)


def test_it_shows_where_the_key_is_its_speed_and_its_certificate(workspace: CliWorkspace) -> None:
    arguments = ("validate-env", "--signing", "--key", softhsm().uri())
    env = {**softhsm().environment, "MODULE_SIGNING_PIN": PIN}
    shown = workspace.call(*arguments, env=env).must(0).stdout
    assert "signing key:    the token 'Release', " in shown
    assert "signatures per second" in shown
    assert "CN=signer" in shown
    assert "expiry:         2120-01-01: expires in " in shown
    signing = workspace.call(*arguments, "--json", env=env).must(0).document["signing"]
    assert signing["key"] == "the token 'Release'"
    assert signing["signatures_per_second"] > 0
    assert signing["certificate"]["not_after"] == "2120-01-01T00:00:00Z"


def test_a_key_from_a_file_is_probed_too(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "signing key:    a file" in workspace.call("validate-env", "--signing", *KEY).stdout
    wrong = FileKey(rsa_key("another")).sign_digests([sha256().digest()])
    monkeypatch.setattr(FileKey, "sign_digests", lambda *_: wrong)
    result = workspace.call("validate-env", "--signing", *KEY).must(4)
    assert "a signature that the certificate's key didn't make" in result.stderr

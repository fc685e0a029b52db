"""Settings → signing identity."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ign_deploy.errors import ConfigurationError, IdentityError
from ign_deploy.signing.keys.protocol import KeyAccess
from tests.support.identities import pem_certificates, pem_files, self_signed
from tests.support.keystores import VECTORS
from tests.support.reporting import Recorder
from tests.support.runs import run_context
from tests.support.signing_keys import ScriptedKey


def test_a_line_break_after_the_password_is_a_warning() -> None:
    reporter = Recorder()
    context = run_context(
        {},
        reporter=reporter,
        keystore=str(VECTORS / "self4096.pfx"),
        signing_password=SecretStr("changeit\n"),
    )
    assert context.identity.chain
    (warning,) = reporter.warnings
    assert "ends with a line break" in warning
    assert "changeit" not in warning


URI = "pkcs11:token=x?module-path=/usr/lib/token.so"


@pytest.mark.parametrize("setting", ["key", "key_path"])
def test_a_config_file_that_was_only_found_names_no_library_for_the_pin(setting: str) -> None:
    given: dict[str, Any] = {setting: URI, "found": {setting: "ign-deploy.toml"}}
    context = run_context({}, **given)
    with pytest.raises(ConfigurationError, match="decides which library or service gets the PIN"):
        _ = context.identity


def test_only_one_key_can_be_given() -> None:
    context = run_context({}, key=URI, key_path="key.pem")
    with pytest.raises(ConfigurationError) as caught:
        _ = context.identity
    assert caught.value.message == "several signing keys are given: --key and --key-path"


def test_the_identity_is_loaded_once_and_closed_with_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, certificate = self_signed()
    opened: list[ScriptedKey] = []

    def open_scripted(uri: str, *, access: KeyAccess) -> ScriptedKey:
        assert (uri, access.pin) == (URI, "1234")
        opened.append(ScriptedKey(private_key=key, certificates=(certificate,)))
        return opened[-1]

    monkeypatch.setattr("ign_deploy.signing.identity.open_key", open_scripted)
    with run_context({}, key=URI, signing_pin=SecretStr("1234")) as context:
        assert context.identity is context.with_settings(dry_run=True).identity
        assert context.identity.leaf == certificate
        assert [each.is_closed for each in opened] == [False]
    assert [each.is_closed for each in opened] == [True]


def test_a_key_that_has_another_certificate_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ScriptedKey(certificates=(self_signed("other")[1],))
    monkeypatch.setattr("ign_deploy.signing.identity.open_key", lambda *_, **__: key)
    with pytest.raises(IdentityError, match="the key doesn't match the certificates") as caught:
        _ = run_context({}, key=URI).identity
    assert "--cert-path" in caught.value.hint
    assert key.is_closed
    assert key.calls == []


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "give --key, --keystore, or --key-path and --cert-path."),
        (
            {"GITHUB_ACTIONS": "true", "INPUT_KEYSTORE": ""},
            (
                "the input `keystore` is empty: does the secret SIGNING_KEYSTORE exist, and is "
                "this a fork's pull request (which gets no secrets)?"
            ),
        ),
        ({"GITHUB_ACTIONS": "true"}, "the variable IGN_DEPLOY_KEYSTORE is empty: does the secret"),
        ({"GITLAB_CI": "true"}, "the variable IGN_DEPLOY_KEYSTORE is empty: does it exist under"),
        ({"JENKINS_URL": "https://ci"}, "the variable IGN_DEPLOY_KEYSTORE is empty: does `with"),
    ],
)
def test_a_missing_key_is_explained_by_where_it_comes_from(
    env: dict[str, str], expected: str
) -> None:
    with pytest.raises(IdentityError, match=r"^no signing key given$") as failure:
        _ = run_context(env).identity
    first, second = failure.value.hint.splitlines()
    assert first.startswith(expected)
    assert second == (
        "without a key, `module` and `batch` can only build: give them --skip-signing and "
        "--skip-upload."
    )


@pytest.mark.parametrize("setting", ["cert_path", "key_path", "key"])
@pytest.mark.parametrize("allowed", [False, True])
def test_nothing_is_signed_with_an_expired_certificate_unless_that_is_allowed(
    setting: str, allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever holds the key."""
    now = run_context({}).now
    key, certificate = self_signed("Old", not_after=now - timedelta(seconds=1))
    pem_files(tmp_path, key, (certificate,))
    scripted = ScriptedKey(private_key=key, certificates=(certificate,))
    monkeypatch.setattr("ign_deploy.signing.identity.open_key", lambda *_, **__: scripted)
    (tmp_path / "both.pem").write_bytes(
        (tmp_path / "signing.key.pem").read_bytes() + pem_certificates(certificate)
    )
    settings: dict[str, Any] = {
        "cert_path": {
            "key_path": str(tmp_path / "signing.key.pem"),
            "cert_path": str(tmp_path / "signing.cert.pem"),
        },
        "key_path": {"key_path": str(tmp_path / "both.pem")},
        "key": {"key": URI},
    }[setting]
    context = run_context({}, **settings, allow_expired=allowed)
    if allowed:
        assert context.identity.leaf == certificate
        return
    with pytest.raises(IdentityError, match="CN=Old, expired on ") as caught:
        _ = context.identity
    assert f"(--{setting.replace('_', '-')})" in caught.value.message
    assert "--allow-expired" in caught.value.hint
    assert scripted.calls == []
    assert scripted.is_closed == (setting == "key")

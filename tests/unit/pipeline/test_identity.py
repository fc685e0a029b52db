"""Settings → signing identity."""

from __future__ import annotations

from pydantic import SecretStr

from ign_deploy.pipeline.identity import load_signing_identity
from ign_deploy.settings import Settings
from tests.support.keystores import VECTORS
from tests.support.reporting import Recorder


def test_a_line_break_after_the_password_is_a_warning() -> None:
    reporter = Recorder()
    settings = Settings(
        keystore=str(VECTORS / "self4096.pfx"), signing_password=SecretStr("changeit\n")
    )
    assert load_signing_identity(settings, reporter).chain
    (warning,) = reporter.warnings
    assert "ends with a line break" in warning
    assert "changeit" not in warning

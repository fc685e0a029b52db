"""Settings → signing identity."""

from __future__ import annotations

from pydantic import SecretStr

from tests.support.keystores import VECTORS
from tests.support.reporting import Recorder
from tests.support.runs import run_context


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

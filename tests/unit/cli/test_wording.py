"""The names of settings in messages: options, an action's inputs, or variables."""

from __future__ import annotations

import pytest

from ign_deploy.cli.wording import Wording
from ign_deploy.errors import CombinedError, PackagingError, RollbackError, VerificationError
from ign_deploy.module.findings import error

ACTION = Wording(is_action=True, is_job=True)
JOB = Wording(is_job=True)


@pytest.mark.parametrize(
    ("text", "in_action", "in_job"),
    [
        (
            "give --keystore, or --key-path and --cert-path.",
            "give the input `keystore`, or the input `key-path` and the input `cert-path`.",
            (
                "give --keystore (or IGN_DEPLOY_KEYSTORE), or --key-path (or "
                "MODULE_SIGNING_KEY_PATH) and --cert-path (or MODULE_SIGNING_CERT_PATH)."
            ),
        ),
        (
            "add --allow-downgrade to downgrade.",
            "add `allow-downgrade: true` to downgrade.",
            "add --allow-downgrade (or IGN_DEPLOY_ALLOW_DOWNGRADE) to downgrade.",
        ),
        (
            "or run it now with --restart if-needed",
            "or run it now with `restart: if-needed`",
            "or run it now with --restart if-needed (or IGN_DEPLOY_RESTART)",
        ),
        (
            "give --gateway URL.",
            "give the input `gateway`.",
            "give --gateway URL (or IGN_DEPLOY_GATEWAY).",
        ),
        ("run `ign-deploy status --live`.",) * 3,
        ("see ps --forest, or drop --offline.",) * 3,
    ],
)
def test_a_setting_is_called_as_its_reader_gives_it(text: str, in_action: str, in_job: str) -> None:
    assert Wording().text(text) == text
    assert ACTION.text(text) == in_action
    assert JOB.text(text) == in_job


def test_an_error_is_reworded_with_all_that_it_sums_up() -> None:
    hint = "give --gateway URL."
    finding = error("x", "y", hint=hint)
    several = CombinedError(
        "two problems",
        causes=[
            VerificationError("a", findings=[finding]),
            PackagingError("b", hint=hint, mistakes=[(finding, "Hook.java")]),
            RollbackError("c", hint=hint),
        ],
    )
    said = ACTION.problem(several)
    verification, packaging, rollback = said.causes
    expected = "give the input `gateway`."
    assert isinstance(verification, VerificationError)
    assert isinstance(packaging, PackagingError)
    assert [each.hint for each in verification.findings] == [expected]
    assert [(each.hint, file) for each, file in packaging.mistakes] == [(expected, "Hook.java")]
    assert (rollback.exit_code, rollback.hint) == (8, expected)
    assert several.causes[2].hint == hint

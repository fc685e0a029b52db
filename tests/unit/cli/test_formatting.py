"""Results as JSON."""

from __future__ import annotations

import json

from ign_deploy.ci.mask import Masker
from ign_deploy.cli.formatting import json_line, json_text


def test_secrets_are_redacted_in_values_and_keys() -> None:
    masker = Masker()
    masker.add("hunter22")
    document = {"build": {"token hunter22": ["hunter22", {"hunter22": 1}]}, "ok": True}
    expected = {"build": {"token ***": ["***", {"***": 1}]}, "ok": True}
    assert json.loads(json_text(document, masker=masker)) == expected
    assert json.loads(json_line(document, masker=masker)) == expected

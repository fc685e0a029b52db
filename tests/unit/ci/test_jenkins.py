"""Jenkins: outputs as Java properties, as `readProperties` loads them."""

from __future__ import annotations

import pytest

from ign_deploy.ci.jenkins import properties_report
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.outputs import OUTPUT_NAMES
from ign_deploy.module.properties import parse_properties


@pytest.mark.parametrize(
    "value", ["1.0.0", "", " a = b: c # d", "$(touch x)", "a\nresult=deployed", "größe \\ 😀", "!x"]
)
def test_every_value_is_read_as_it_was_and_no_other(value: str) -> None:
    data, omitted = properties_report({"module-name": value, "result": "x"}, masker=Masker())
    assert parse_properties(data) == (("MODULE_NAME", value), ("RESULT", "x"))
    assert omitted == ()


def test_a_secret_is_left_out_and_the_output_named() -> None:
    masker = Masker()
    masker.add("hunter22")
    data, omitted = properties_report({"module-name": "x hunter22", "result": "y"}, masker=masker)
    assert data == b"RESULT=y\n"
    assert omitted == ("module-name is not in the properties file: it would show a secret",)


def test_no_two_outputs_share_a_name() -> None:
    data, _ = properties_report(dict.fromkeys(OUTPUT_NAMES, "x"), masker=Masker())
    assert len(dict(parse_properties(data))) == len(OUTPUT_NAMES)

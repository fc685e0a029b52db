"""Jenkins: outputs as a properties file, which the pipeline reads with ``readProperties``."""

from __future__ import annotations

from collections.abc import Mapping

from ign_deploy.ci.gitlab import variable_name
from ign_deploy.ci.mask import Masker
from ign_deploy.module.properties import format_properties


def properties_report(
    outputs: Mapping[str, str], *, masker: Masker
) -> tuple[bytes, tuple[str, ...]]:
    """Return the properties file, and a sentence for each output that isn't in it.

    Names are those of environment variables (``MODULE_VERSION``), so that a pipeline can pass
    them to ``withEnv``. Values of several lines are kept. A value with a secret is skipped.
    """
    shown = {name: value for name, value in outputs.items() if masker.redact(value) == value}
    omitted = tuple(
        f"{name} is not in the properties file: it would show a secret"
        for name in outputs
        if name not in shown
    )
    pairs = [(variable_name(name), value) for name, value in shown.items()]
    return format_properties(pairs), omitted

"""A process that deploys again and again: ``python -m tests.support.site_writer``.

Arguments: repository, audit file, environment, the module's file, how often, a number of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ign_deploy.pipeline.deploy import Deployer, Order, Part
from tests.support.deploying import verified
from tests.support.runs import run_context


def main(arguments: Sequence[str]) -> None:
    """Track so many deployments; each is of a version of its own."""
    repository, audit_file, environment, module, times, name = arguments
    found = verified(Path(module))
    for number in range(int(times)):
        version = f"1.{name}.{number}"
        descriptor = replace(found.descriptor, version=version)
        context = run_context(
            {"USER": environment}, repository_url=repository, audit_file=audit_file
        )
        part = Part([replace(found, descriptor=descriptor)])
        Deployer(context).deploy(Order(environment, (part,)))


if __name__ == "__main__":
    main(sys.argv[1:])

"""A process that deploys again and again: ``python -m tests.support.site_writer``.

Arguments: repository, audit file, environment, the module's file, how often, a number of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ign_deploy.pipeline.deploy import Deployer, Order, Part
from ign_deploy.pipeline.events import RunEvents
from ign_deploy.report import SilentReporter
from ign_deploy.repositories import open_repository
from ign_deploy.settings import Settings
from tests.support.deploying import verified


def main(arguments: Sequence[str]) -> None:
    """Track so many deployments; each is of a version of its own."""
    repository, audit_file, environment, module, times, name = arguments
    reporter, env = SilentReporter(), {"USER": environment}
    settings = Settings(repository_url=repository, audit_file=audit_file)
    found = verified(Path(module))
    for number in range(int(times)):
        version = f"1.{name}.{number}"
        descriptor = replace(found.descriptor, version=version)
        deployer = Deployer(
            settings=settings,
            env=env,
            repository=open_repository(repository, reporter=reporter),
            reporter=reporter,
            events=RunEvents(settings, env, reporter, lambda text: text),
            folder=Path(repository),
        )
        part = Part([replace(found, descriptor=descriptor)])
        deployer.deploy(Order(environment, (part,)))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Objects of each kind at a URL, with quick waits."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ign_deploy.errors import IgnDeployError
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends.http.artifactory import ArtifactoryObjectStore
from ign_deploy.repositories.backends.http.base import HttpObjectStore
from ign_deploy.repositories.backends.http.location import find_http_location
from ign_deploy.repositories.backends.http.nexus import NexusObjectStore
from ign_deploy.repositories.backends.http.webdav import WebDavObjectStore
from ign_deploy.repositories.record import ReleaseFile

_KINDS: dict[str, Callable[..., HttpObjectStore]] = {
    "": WebDavObjectStore,
    "nexus": NexusObjectStore,
    "artifactory": ArtifactoryObjectStore,
}


@dataclass
class Waits:
    """Sleeping that takes no time; ``act`` is called at each."""

    act: Callable[[], object] = lambda: None
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.act()


def objects_at(
    url: str,
    *,
    waits: Waits | None = None,
    claim_wait: float = 5.0,
    attempts: int = 3,
    reporter: Reporter | None = None,
    **access: Any,
) -> Any:
    """Return the objects of the kind that the URL's scheme names."""
    if waits is not None:
        access["wait_policy"] = WaitPolicy(sleep=waits.sleep)
    given = Access(**access, reporter=reporter or SilentReporter())
    location = find_http_location(url, access=given)
    policy = RetryPolicy(attempts=attempts, sleep=lambda _: None)
    return _KINDS[location.kind](location, access=given, retry=policy, claim_wait=claim_wait)


def file_of(path: Path, content: bytes) -> ReleaseFile:
    """Write a file; return what its record says."""
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return ReleaseFile(name=path.name, sha256=digest, size=len(content), role="module")


def all_at_once(*actions: Callable[[], object]) -> list[object]:
    """Run them in threads; return what each returned or raised of ours."""
    results: list[object] = [None] * len(actions)
    start = threading.Barrier(len(actions))

    def run(index: int) -> None:
        start.wait()
        try:
            results[index] = actions[index]()
        except IgnDeployError as problem:
            results[index] = problem

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results

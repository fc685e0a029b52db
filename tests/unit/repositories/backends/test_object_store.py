"""Versions made of objects by path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.backends.object_store import ObjectVersions
from ign_deploy.repositories.store import Document, Key

KEY = Key("com.acme.thing", "1.0.0")


@dataclass
class _Reads:
    """What reading a record gives, one after another; the last one stays."""

    given: list[bytes | None]
    waits: list[float] = field(default_factory=list)

    def get(self, path: str, *, limit: int) -> Document | None:
        data = self.given.pop(0) if len(self.given) > 1 else self.given[0]
        return None if data is None else Document(data)

    def read(self) -> bytes | None:
        objects: Any = self
        versions = ObjectVersions(objects, WaitPolicy(poll=0.5, sleep=self.waits.append))
        return versions.read_record(KEY)


@pytest.mark.parametrize("partial", [b"", b'{"id": "com.acme'])
def test_a_record_that_is_being_written_is_read_again(partial: bytes) -> None:
    """WsgiDAV and rclone show files while they are written."""
    reads = _Reads([partial, partial, b'{"whole": 1}\n'])
    assert reads.read() == b'{"whole": 1}\n'
    assert reads.waits == [0.5, 0.5]


def test_a_record_that_stays_broken_is_returned_and_a_missing_one_not_waited_for() -> None:
    reads = _Reads([b'{"id'])
    assert reads.read() == b'{"id'
    assert len(reads.waits) == 3
    assert _Reads([None]).read() is None

"""The moments at which a command touches a file, and what an attacker does at one of them.

A moment is just before a file with given content is opened, renamed or linked, under any name, and
just before a block of such an opened file is read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Attack = Callable[[Path], object]
_EVENTS = {"open", "os.rename", "os.link"}


@dataclass
class Moments:
    """Counts the moments of files that have ``content``, and ``name`` in their own.

    At number ``chosen`` it calls ``attack``. Files of a simulated gateway have other names.
    """

    name: str
    content: bytes
    attack: Attack | None = None
    chosen: int = -1
    seen: list[str] = field(default_factory=list)
    _is_busy: bool = False

    def at(self, event: str, name: object) -> None:
        """Look at what is about to happen to a file."""
        if self._is_busy or not isinstance(name, str | bytes | os.PathLike):
            return
        self._is_busy = True  # what we do ourselves is no moment
        try:
            path = Path(os.path.realpath(os.fsdecode(name)))
            if not self._is_ours(path):
                return
            self.seen.append(f"{event} {path.name}")
            if len(self.seen) - 1 == self.chosen and self.attack is not None:
                self.attack(path)
        finally:
            self._is_busy = False

    def _is_ours(self, path: Path) -> bool:
        try:
            if self.name not in path.name:
                return False
            return path.stat().st_size == len(self.content) and path.read_bytes() == self.content
        except OSError:
            return False


_watchers: list[Moments] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watchers and event in _EVENTS:
        _watchers[-1].at(event, arguments[0])


@contextmanager
def watching(moments: Moments, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moments]:
    """Watch this process while the block runs."""
    if not hasattr(sys, "_ign_deploy_moments"):
        sys.addaudithook(_hook)  # can't be removed
        sys._ign_deploy_moments = True  # type: ignore[attr-defined]  # once per process
    with monkeypatch.context() as patch:
        for name in ("pread", "preadv"):
            patch.setattr(os, name, _watched(moments, name, getattr(os, name)))
        _watchers.append(moments)
        try:
            yield moments
        finally:
            _watchers.remove(moments)


def _watched(moments: Moments, name: str, read: Callable[..., Any]) -> Callable[..., Any]:
    def call(descriptor: int, *arguments: Any) -> Any:
        moments.at(name, f"/proc/self/fd/{descriptor}")
        return read(descriptor, *arguments)

    return call

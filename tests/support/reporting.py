"""A reporter that remembers what it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ign_deploy.report import SilentReporter


class Recorder(SilentReporter):
    """Remembers what it is given; ``messages`` are infos and warnings in their order."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.masked: list[str] = []
        self.lines: list[str] = []

    def mask(self, secret: str) -> None:
        self.masked.append(secret)

    def info(self, message: str) -> None:
        self.messages.append(message)
        self.infos.append(message)

    def warning(self, message: str) -> None:
        self.messages.append(message)
        self.warnings.append(message)

    def untrusted(self, lines: Sequence[str]) -> None:
        self.lines += lines


class Acting(Recorder):
    """Acts on the gateway when that text is reported."""

    def __init__(self, text: str, action: Callable[[], object]) -> None:
        super().__init__()
        self.text = text
        self.action = action

    def info(self, message: str) -> None:
        if self.text in message:
            self.text = "\0"
            self.action()
        super().info(message)

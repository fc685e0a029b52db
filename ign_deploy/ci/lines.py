"""Writing lines to a log: redacted, neutralised, encodable, and whole even between threads."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TextIO

from ign_deploy.ci.mask import Masker
from ign_deploy.ci.text import encodable, neutral_lines, shorten


class LineWriter:
    """The only thing that writes to the log's stream."""

    def __init__(self, stream: TextIO, masker: Masker) -> None:
        self._stream = stream
        self._masker = masker
        self.lock = threading.RLock()

    def clean(self, text: str) -> list[str]:
        """Return the lines of ``text``; see ``clean_lines``."""
        return clean_lines(text, masker=self._masker)

    def write(self, lines: Iterable[str]) -> None:
        """Write ``lines`` as they are (already cleaned, or ours), together, and flush."""
        block = encodable("".join(f"{line}\n" for line in lines))
        with self.lock:
            try:
                self._stream.write(block)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self._stream.write(block.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()


def clean_lines(text: str, *, masker: Masker) -> list[str]:
    """Return the lines of ``text``, redacted and neutralised.

    Redacted before and after: neutralising may change a secret, or join its parts.
    """
    return [shorten(masker.redact(line)) for line in neutral_lines(masker.redact(text))]

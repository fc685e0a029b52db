"""Reading a module's ZIP safely: anything suspicious is rejected before a byte is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from zlib_ng import zlib_ng

from ign_deploy.errors import VerificationError
from ign_deploy.module.findings import Finding, error, errors_among
from ign_deploy.module.inflate import InflateError, WholeEntries, inflate_pieces
from ign_deploy.module.stable_file import StableFile
from ign_deploy.module.zip_directory import read_directory
from ign_deploy.module.zip_entry import Limits, ZipEntry, check_sizes
from ign_deploy.module.zip_layout import locate_members
from ign_deploy.module.zip_records import DEFLATED


class Archive(AbstractContextManager["Archive"]):
    """An open archive whose structure has been checked.

    ``entries`` are in central-directory order; ``findings`` holds warnings, which don't
    reject the file. Whatever is read from it agrees with ``digest()``. Threads may share it.
    """

    def __init__(
        self,
        file: StableFile,
        entries: tuple[ZipEntry, ...],
        findings: tuple[Finding, ...],
    ):
        self.path = file.path
        self.entries = entries
        self.findings = findings
        self._file = file
        self._whole = WholeEntries(file)
        self._by_name = {entry.name: entry for entry in entries}

    @classmethod
    def open(cls, path: Path, *, limits: Limits | None = None) -> Self:
        """Open ``path`` and check it; raises VerificationError with a finding per defect.

        A file that can't be opened raises VerificationError, too.
        """
        file = StableFile(path)
        try:
            raw_entries = read_directory(file, limits or Limits())
            findings = list(check_sizes(raw_entries.entries, limits or Limits()))
            findings += raw_entries.findings
            _require_no_errors(findings)
            entries, layout_findings = locate_members(file, raw_entries)
            findings += layout_findings
            _require_no_errors(findings)
        except VerificationError as problem:
            file.close()
            raise _named(path, problem) from problem.__cause__
        except BaseException:
            file.close()
            raise
        return cls(file, entries, tuple(findings))

    def close(self) -> None:
        """Close the file; the archive can't be read afterwards."""
        self._file.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(value, VerificationError):
            value.file = value.file or str(self.path)
        self.close()

    def entry(self, name: str) -> ZipEntry | None:
        """Return the entry with exactly this name, or None."""
        return self._by_name.get(name)

    def file_size(self) -> int:
        """Return the size of the archive file in bytes."""
        return self._file.size

    def digest(self) -> str:
        """Return the SHA-256 of the file: of the very bytes that were read since it was opened.

        Raises VerificationError if any of them changed in the meantime.
        """
        return self._file.digest()

    def file_blocks(self) -> Iterator[bytes]:
        """Yield the archive file itself, from its first byte to its last."""
        return self._file.pieces(self._file.size, 0)

    def chunks(
        self, entry: ZipEntry, *, on_raw: Callable[[bytes | memoryview], None] | None = None
    ) -> Iterator[bytes | memoryview]:
        """Yield the uncompressed content of ``entry``, at once if it is small, or in pieces.

        ``on_raw`` gets the stored form (still compressed) in the same way; it may not keep it. CRC
        and size are checked at the end: only an exhausted generator has delivered intact content.
        Raises VerificationError for damaged content.
        """
        with self._whole.reserve(entry) as whole:
            if whole is not None:
                raw = whole.read(entry)
                if on_raw is not None:
                    on_raw(raw)
                    on_raw = None
                content = whole.inflate(entry)
                if content is not None:
                    yield content
                    return
        # A small entry that isn't intact is read again in pieces, to say what is wrong with it.
        yield from self._pieces(entry, on_raw)

    def _pieces(
        self, entry: ZipEntry, on_raw: Callable[[bytes | memoryview], None] | None
    ) -> Iterator[bytes]:
        blocks = self._raw_blocks(entry, on_raw)
        pieces = inflate_pieces(blocks) if entry.method == DEFLATED else blocks
        crc = size = 0
        try:
            for piece in pieces:
                size += len(piece)
                if size > entry.size:
                    raise _damaged(entry, f"has more than the {entry.size} bytes it declares")
                crc = zlib_ng.crc32(piece, crc)
                yield piece
        except InflateError as cause:
            raise _damaged(entry, "can't be decompressed") from cause
        except EOFError as cause:
            raise _damaged(entry, "ends in the middle of its compressed data") from cause
        except ValueError as cause:
            raise _damaged(entry, "has extra bytes after its compressed data") from cause
        if size != entry.size:
            raise _damaged(entry, f"has {size} bytes, expected {entry.size}")
        if crc != entry.crc32:
            raise _damaged(entry, f"has CRC {crc:08x}, expected {entry.crc32:08x}")

    def read(self, entry: ZipEntry, *, limit: int) -> bytes:
        """Return the whole content of ``entry``; raises VerificationError above ``limit`` bytes."""
        if entry.size > limit:
            problem = error(
                "entry-too-large",
                f"{entry.name} has {entry.size} bytes; the limit is {limit}",
                location=entry.name,
                hint="make the file smaller.",
            )
            raise VerificationError.from_findings(problem, about=self.path.name)
        return b"".join(self.chunks(entry))

    def _raw_blocks(
        self, entry: ZipEntry, on_raw: Callable[[bytes], None] | None
    ) -> Iterator[bytes]:
        for block in self._file.pieces(entry.compressed_size, entry.data_offset):
            if on_raw is not None:
                on_raw(block)
            yield block


def _require_no_errors(findings: list[Finding]) -> None:
    problems = errors_among(findings)
    if problems:
        raise VerificationError.from_findings(*problems)


def _named(path: Path, problem: VerificationError) -> VerificationError:
    named = VerificationError.from_findings(*problem.findings, about=path.name)
    named.file = str(path)
    return named


def _damaged(entry: ZipEntry, what: str) -> VerificationError:
    problem = error(
        "entry-damaged",
        f"{entry.name} {what}",
        location=entry.name,
        hint="build or download the file again; it was damaged after it was made.",
    )
    return VerificationError.from_findings(problem)

"""Archive: what is unsafe or broken is refused with a finding, before a byte of it is used."""

from __future__ import annotations

import os
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.findings import Severity
from ign_deploy.module.zip_entry import Limits
from tests.support.modules import RawEntry, build_module, deflate, module_files, raw_zip, write_zip

GOOD = [RawEntry("module.xml", b"<modules/>"), RawEntry("lib.jar", b"jar" * 500)]


class Pipe:
    """A stream that can't be rewound."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def refused(path: Path, *, limits: Limits | None = None) -> tuple[str, ...]:
    """Return the codes for which opening ``path`` is refused."""
    with pytest.raises(VerificationError) as caught:
        Archive.open(path, limits=limits)
    assert caught.value.findings
    assert all(finding.severity is Severity.ERROR for finding in caught.value.findings)
    return tuple(finding.code for finding in caught.value.findings)


def refused_bytes(tmp_path: Path, data: bytes) -> tuple[str, ...]:
    path = tmp_path / "bad.modl"
    path.write_bytes(data)
    return refused(path)


def warned(path: Path) -> tuple[str, ...]:
    with Archive.open(path) as archive:
        return tuple(finding.code for finding in archive.findings)


def damaged(path: Path, name: str) -> str:
    """Return the message with which reading the entry ends."""
    with Archive.open(path) as archive:
        entry = archive.entry(name)
        assert entry is not None
        with pytest.raises(VerificationError) as caught:
            list(archive.chunks(entry))
    assert [finding.code for finding in caught.value.findings] == ["entry-damaged"]
    assert caught.value.findings[0].location == name
    return caught.value.message


class TestASoundArchive:
    def test_is_read_whole(self, tmp_path: Path) -> None:
        with Archive.open(build_module(tmp_path / "pump.modl")) as archive:
            content = {entry.name: archive.read(entry, limit=10_000) for entry in archive.entries}
        assert content == module_files()
        assert archive.findings == ()

    def test_is_read_in_pieces_of_64_kib(self, tmp_path: Path) -> None:
        """But for small entries: see test_inflate.py."""
        data = os.urandom(1000) * 3000
        path = write_zip(tmp_path / "a.zip", [RawEntry("big", data), RawEntry("raw", data, 0)])
        with Archive.open(path) as archive:
            for entry in archive.entries:
                pieces = list(archive.chunks(entry))
                assert b"".join(pieces) == data
                assert max(map(len, pieces)) <= 64 * 1024

    def test_hands_over_the_compressed_bytes_as_they_are(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("big", b"x" * 200_000)])
        raw = bytearray()
        with Archive.open(path) as archive:
            for _ in archive.chunks(archive.entries[0], on_raw=raw.extend):
                pass
        assert raw == deflate(b"x" * 200_000)

    @pytest.mark.parametrize("method", [0, 8])
    def test_may_hold_an_empty_file(self, tmp_path: Path, method: int) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("empty", b"", method)])
        with Archive.open(path) as archive:
            assert archive.read(archive.entries[0], limit=0) == b""

    @pytest.mark.parametrize(
        "entry",
        [
            RawEntry("a", descriptor="signed"),
            RawEntry("a", descriptor="plain"),
            RawEntry("a", descriptor="zip64"),
            RawEntry("a", method=0, descriptor="signed"),
            RawEntry("a", zip64=True),
            RawEntry("a", extra=b"\x55\x54\x05\x00\x03abcd"),
            RawEntry("a", comment=b"by hand"),
            RawEntry("a", mode=0, made_by=0),
            RawEntry("a", flags=0x800),
            RawEntry("a", descriptor="signed", local_size=7),
            RawEntry("a", descriptor="plain", local_compressed_size=9),
            RawEntry("a", descriptor="zip64", local_crc32=zlib.crc32(b"content")),
            RawEntry("a", descriptor="zip64", zip64=True),
        ],
        ids=lambda entry: ",".join(
            f"{name}={getattr(entry, name)!r}" for name in ("descriptor", "zip64", "extra", "mode")
        ),
    )
    @pytest.mark.parametrize("zip64_end", [False, True])
    def test_may_be_written_in_every_way(
        self, tmp_path: Path, entry: RawEntry, zip64_end: bool
    ) -> None:
        path = tmp_path / "a.zip"
        path.write_bytes(raw_zip([entry, RawEntry("b", b"more")], zip64_end=zip64_end))
        with Archive.open(path) as archive:
            assert [archive.read(one, limit=100) for one in archive.entries] == [
                b"content",
                b"more",
            ]
            assert archive.findings == ()

    @pytest.mark.parametrize("comment", [b"by hand", b"PK", b"x" * 0xFFFF])
    def test_may_have_a_comment(self, tmp_path: Path, comment: bytes) -> None:
        path = tmp_path / "a.zip"
        path.write_bytes(raw_zip(GOOD, comment=comment))
        with Archive.open(path) as archive:
            assert [entry.name for entry in archive.entries] == ["module.xml", "lib.jar"]

    @pytest.mark.parametrize("descriptor", ["signed", "plain", "zip64"])
    @pytest.mark.parametrize("method", [0, 8])
    def test_may_end_an_empty_entry_with_a_descriptor(
        self, tmp_path: Path, descriptor: str, method: int
    ) -> None:
        empty = RawEntry(
            "a", b"", method=method, descriptor=descriptor, zip64=descriptor == "zip64"
        )
        with Archive.open(write_zip(tmp_path / "a.zip", [empty, RawEntry("b")])) as archive:
            assert archive.findings == ()
            assert [entry.size for entry in archive.entries] == [0, 7]

    def test_may_have_as_many_entries_as_16_bits_can_count(self, tmp_path: Path) -> None:
        entries = [RawEntry(str(number), b"", method=0) for number in range(0xFFFF)]
        with Archive.open(write_zip(tmp_path / "a.zip", entries)) as archive:
            assert len(archive.entries) == 0xFFFF
            assert archive.findings == ()

    def test_may_be_written_into_a_pipe(self, tmp_path: Path) -> None:
        """As zip, zip -fd and Python's zipfile do; libarchive states the size alone, like zip."""
        (tmp_path / "in").mkdir()
        for name, content in (("a", b"content" * 99), ("empty", b""), ("z", bytes(range(256)))):
            (tmp_path / "in" / name).write_bytes(content)
        piped = "cd in && zip -qr - . | cat > ../piped.zip"
        subprocess.run(["sh", "-c", piped], cwd=tmp_path, check=True)
        subprocess.run(["zip", "-qrfd", "../fd.zip", "."], cwd=tmp_path / "in", check=True)
        with (
            (tmp_path / "force.zip").open("wb") as file,
            zipfile.ZipFile(Pipe(file), "w") as zipped,
        ):
            for path in sorted((tmp_path / "in").iterdir()):
                with zipped.open(path.name, "w", force_zip64=True) as entry:
                    entry.write(path.read_bytes())
        for name in ("piped.zip", "fd.zip", "force.zip"):
            with Archive.open(tmp_path / name) as archive:
                assert archive.findings == (), name
                for path in (tmp_path / "in").iterdir():
                    found = archive.entry(path.name)
                    assert found is not None
                    assert archive.read(found, limit=999) == path.read_bytes()

    def test_may_list_its_entries_in_any_order(self, tmp_path: Path) -> None:
        first = RawEntry("a", b"one")
        second = RawEntry("b", b"two")
        body = raw_zip([first, second])
        start = body.index(b"PK\x01\x02")
        split = body.index(b"PK\x01\x02", start + 4)
        end = body.index(b"PK\x05\x06")
        path = tmp_path / "a.zip"
        path.write_bytes(body[:start] + body[split:end] + body[start:split] + body[end:])
        with Archive.open(path) as archive:
            assert [entry.name for entry in archive.entries] == ["b", "a"]
            assert [archive.read(one, limit=9) for one in archive.entries] == [b"two", b"one"]

    def test_names_are_utf8_whatever_the_flag_says(self, tmp_path: Path) -> None:
        with Archive.open(write_zip(tmp_path / "a.zip", [RawEntry("Pümpe.jar")])) as archive:
            assert archive.entry("Pümpe.jar") is not None
            assert archive.entry("pümpe.jar") is None

    def test_folders_are_entries_of_their_own(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("doc/", b"", 0, mode=0o040755)])
        with Archive.open(path) as archive:
            assert archive.entries[0].is_directory
            assert archive.entries[0].mode == 0o040755

    def test_can_be_read_by_several_threads(self, tmp_path: Path) -> None:
        from concurrent.futures import ThreadPoolExecutor

        contents = [bytes([number]) * 300_000 for number in range(20)]
        entries = [RawEntry(f"{number}", data) for number, data in enumerate(contents)]
        with (
            Archive.open(write_zip(tmp_path / "a.zip", entries)) as archive,
            ThreadPoolExecutor(4) as pool,
        ):
            read = pool.map(lambda entry: archive.read(entry, limit=1 << 20), archive.entries)
            assert list(read) == contents

    def test_gives_its_own_bytes_and_size(self, tmp_path: Path) -> None:
        path = build_module(tmp_path / "pump.modl")
        with Archive.open(path) as archive:
            assert b"".join(archive.file_blocks()) == path.read_bytes()
            assert archive.file_size() == path.stat().st_size


class TestNoArchiveAtAll:
    def test_a_file_that_is_not_a_zip(self, tmp_path: Path) -> None:
        assert refused_bytes(tmp_path, b"#!/bin/sh\n" * 100) == ("not-a-zip",)

    @pytest.mark.parametrize("length", range(4, 22))
    def test_the_beginning_of_an_end_record(self, tmp_path: Path, length: int) -> None:
        assert refused_bytes(tmp_path, raw_zip([])[:length]) == ("not-a-zip",)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        assert refused_bytes(tmp_path, b"") == ("archive-empty",)

    def test_an_archive_without_entries(self, tmp_path: Path) -> None:
        assert refused_bytes(tmp_path, raw_zip([])) == ("archive-empty",)

    def test_a_git_lfs_pointer_is_explained(self, tmp_path: Path) -> None:
        path = tmp_path / "pump.modl"
        path.write_bytes(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:"
            + b"0" * 64
            + b"\nsize 12345\n"
        )
        with pytest.raises(VerificationError) as caught:
            Archive.open(path)
        assert caught.value.findings[0].code == "git-lfs-pointer"
        assert "git lfs pull" in caught.value.hint

    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert refused(tmp_path / "absent.modl") == ("file-unreadable",)

    def test_a_folder(self, tmp_path: Path) -> None:
        assert refused(tmp_path) == ("file-unreadable",)

    def test_a_named_pipe_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.modl")
        assert refused(tmp_path / "pipe.modl") == ("file-unreadable",)

    def test_every_truncation_is_rejected(self, tmp_path: Path) -> None:
        whole = raw_zip(GOOD)
        for length in range(len(whole)):
            (code,) = refused_bytes(tmp_path, whole[:length])
            assert code in {"archive-empty", "not-a-zip", "archive-truncated", "archive-trailing"}

    def test_a_truncated_file_is_said_to_be_cut_off(self, tmp_path: Path) -> None:
        assert refused_bytes(tmp_path, raw_zip(GOOD)[:60]) == ("archive-truncated",)


class TestBytesOutsideEveryEntry:
    def test_bytes_before_the_zip(self, tmp_path: Path) -> None:
        assert refused_bytes(tmp_path, raw_zip(GOOD, prefix=b"#!/bin/sh\n")) == ("archive-prefix",)

    def test_a_self_extracting_archive(self, tmp_path: Path) -> None:
        data = raw_zip(GOOD, counted_prefix=b"MZ" * 50)
        assert refused_bytes(tmp_path, data) == ("archive-prefix",)

    def test_an_archive_before_the_zip(self, tmp_path: Path) -> None:
        data = raw_zip(GOOD, prefix=raw_zip(GOOD))
        assert refused_bytes(tmp_path, data) == ("archive-prefix",)

    def test_a_comment_that_holds_another_archive(self, tmp_path: Path) -> None:
        data = raw_zip(GOOD, comment=raw_zip(GOOD))
        assert refused_bytes(tmp_path, data) == ("archive-prefix",)

    def test_bytes_behind_the_zip(self, tmp_path: Path) -> None:
        assert refused_bytes(tmp_path, raw_zip(GOOD, trailing=b"\0")) == ("archive-trailing",)

    @pytest.mark.parametrize("where", [0, 1])
    def test_an_entry_missing_from_the_directory(self, tmp_path: Path, where: int) -> None:
        entries = [*GOOD]
        entries.insert(where + 1, RawEntry("hidden.jar", orphan=True))
        assert refused(write_zip(tmp_path / "a.zip", entries)) == ("entry-orphan",)

    def test_an_orphan_at_the_beginning(self, tmp_path: Path) -> None:
        entries = [RawEntry("hidden.jar", orphan=True), *GOOD]
        assert refused(write_zip(tmp_path / "a.zip", entries)) == ("archive-prefix",)

    def test_an_orphan_behind_some_padding(self, tmp_path: Path) -> None:
        entries = [*GOOD, RawEntry("hidden.jar", orphan=True, gap=b"\0\0\0\0")]
        assert "entry-orphan" in refused(write_zip(tmp_path / "a.zip", entries))

    def test_padding_between_entries_is_a_warning(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [GOOD[0], RawEntry("b", gap=b"\0\0\0\0")])
        assert warned(path) == ("archive-gap",)

    def test_padding_before_the_directory_is_a_warning(self, tmp_path: Path) -> None:
        path = tmp_path / "a.zip"
        path.write_bytes(raw_zip(GOOD, before_directory=b"signing block"))
        assert warned(path) == ("archive-gap",)


INNER = raw_zip([RawEntry("module.xml", b"<modules>another</modules>")])


class TestASecondArchiveInTheFirst:
    """Java takes an end record whose comment doesn't reach the end if it points at a directory."""

    @pytest.mark.parametrize(
        "comment",
        [INNER[:-2] + b"\x01\0", INNER + b"junk", b"PK\5\6", b"PK\5\6" * 30],
        ids=["comment length off by one", "followed by junk", "signature", "signatures"],
    )
    def test_in_the_comment(self, tmp_path: Path, comment: bytes) -> None:
        data = raw_zip(GOOD, comment=comment)
        assert refused_bytes(tmp_path, data) == ("archive-ambiguous",)

    def test_whole_in_the_comment_it_has_the_first_before_it(self, tmp_path: Path) -> None:
        assert refused_bytes(tmp_path, raw_zip(GOOD, comment=INNER)) == ("archive-prefix",)

    @pytest.mark.parametrize("field", ["comment", "extra"])
    def test_in_an_entry(self, tmp_path: Path, field: str) -> None:
        hidden = struct.pack("<HH", 0xCAFE, len(INNER)) + INNER
        entries = [*GOOD, RawEntry("b", **{field: hidden})]  # type: ignore[arg-type]
        assert refused(write_zip(tmp_path / "a.zip", entries)) == ("archive-ambiguous",)

    def test_in_a_local_header_alone(self, tmp_path: Path) -> None:
        data = bytearray(raw_zip([RawEntry("a", extra=struct.pack("<HH4s", 0xCAFE, 4, b"PK\5\7"))]))
        assert data.count(b"PK\5\7") == 2
        at = data.index(b"PK\5\7")
        data[at + 3] = 6
        assert refused_bytes(tmp_path, bytes(data)) == ("archive-ambiguous",)


class TestDisagreeingEndRecords:
    """Java falls back to the 32-bit values where the ZIP64 end record has others."""

    @pytest.mark.parametrize(("field", "value"), [(8, 1), (10, 1), (12, 7), (16, 0)])
    def test_are_rejected(self, tmp_path: Path, field: int, value: int) -> None:
        data = bytearray(raw_zip(GOOD, zip64_end=True))
        end = data.rindex(b"PK\5\6")
        struct.pack_into("<H" if field < 12 else "<I", data, end + field, value)
        assert refused_bytes(tmp_path, bytes(data)) == ("archive-ambiguous",)

    def test_may_both_hold_the_values(self, tmp_path: Path) -> None:
        data = bytearray(raw_zip(GOOD, zip64_end=True))
        end64, end = data.rindex(b"PK\6\6"), data.rindex(b"PK\5\6")
        count, size, offset = struct.unpack_from("<QQQ", data, end64 + 32)
        struct.pack_into("<HHII", data, end + 8, count, count, size, offset)
        path = tmp_path / "a.zip"
        path.write_bytes(data)
        with Archive.open(path) as archive:
            assert len(archive.entries) == len(GOOD)


@pytest.mark.parametrize(
    "entry",
    [
        RawEntry("a", extra=struct.pack("<HH", 0xCAFE, 40)),
        RawEntry("a", extra=struct.pack("<HHI", 1, 4, 0)),
        RawEntry("a", extra=2 * struct.pack("<HHQ", 1, 8, 0)),
        RawEntry("a", comment=b"\xff"),
    ],
    ids=[
        "an extra field too long",
        "a ZIP64 field of 4 bytes",
        "two ZIP64 fields",
        "a comment that isn't UTF-8",
    ],
)
def test_what_java_refuses_in_the_directory_is_rejected(tmp_path: Path, entry: RawEntry) -> None:
    assert refused(write_zip(tmp_path / "a.zip", [entry])) == ("archive-directory",)


def unicode_path(name: bytes, other: bytes) -> bytes:
    return struct.pack("<HHBI", 0x7075, 5 + len(other), 1, zlib.crc32(name)) + other


@pytest.mark.parametrize("local_only", [False, True])
def test_a_unicode_path_that_renames_an_entry_is_rejected(tmp_path: Path, local_only: bool) -> None:
    extra = unicode_path(b"a.jar", b"evil.jar")
    body = raw_zip([RawEntry("a.jar", extra=extra)])
    if local_only:
        at = body.index(b"PK\x01\x02")
        body = body[:at] + body[at:].replace(struct.pack("<H", 0x7075), struct.pack("<H", 0xCAFE))
    path = tmp_path / "a.zip"
    path.write_bytes(body)
    assert refused(path) == ("archive-ambiguous",)


@pytest.mark.parametrize(
    "extra",
    [
        unicode_path("Pümpe".encode(), "Pümpe".encode()),
        unicode_path(b"an older name", b"evil"),
        struct.pack("<HHB", 0x7075, 1, 1),
    ],
    ids=["the same name", "stale: the CRC is another name's", "too short"],
)
def test_a_unicode_path_that_renames_nothing_is_fine(tmp_path: Path, extra: bytes) -> None:
    with Archive.open(write_zip(tmp_path / "a.zip", [RawEntry("Pümpe", extra=extra)])) as archive:
        assert archive.findings == ()


class TestNames:
    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("/etc/passwd", "entry-absolute"),
            ("C:/Windows/x.dll", "entry-absolute"),
            ("c:x", "entry-absolute"),
            ("\\\\host\\share\\x", "entry-absolute"),
            ("../x", "entry-traversal"),
            ("doc/../../x", "entry-traversal"),
            ("doc\\..\\..\\x", "entry-traversal"),
            ("doc/..", "entry-traversal"),
            ("./x", "entry-name"),
            ("doc//x", "entry-name"),
            ("", "entry-name"),
            ("/", "entry-name"),
            ("a\nb", "entry-name"),
            ("a\0b", "entry-name"),
            ("a\x7fb", "entry-name"),
            (b"P\xfcmpe.jar", "entry-name"),
            (b"\xed\xa0\x80", "entry-name"),
        ],
    )
    def test_an_unsafe_name_is_rejected(self, tmp_path: Path, name: str | bytes, code: str) -> None:
        assert code in refused(write_zip(tmp_path / "a.zip", [*GOOD, RawEntry(name)]))

    @pytest.mark.parametrize("name", ["..x", "x..", "...", ".x", "a b", "doc/a..b", "ü€\U0001f600"])
    def test_an_odd_but_safe_name_is_fine(self, tmp_path: Path, name: str) -> None:
        assert warned(write_zip(tmp_path / "a.zip", [*GOOD, RawEntry(name)])) == ()

    def test_a_backslash_is_a_warning(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [*GOOD, RawEntry("doc\\index.html")])
        assert warned(path) == ("entry-backslash",)

    def test_a_duplicate_name_is_rejected_once(self, tmp_path: Path) -> None:
        entries = [*GOOD, RawEntry("lib.jar", b"other"), RawEntry("lib.jar", b"third")]
        assert refused(write_zip(tmp_path / "a.zip", entries)) == ("entry-duplicate",)

    def test_all_problems_are_named_at_once(self, tmp_path: Path) -> None:
        entries = [RawEntry("../x"), RawEntry("/y"), RawEntry("z", flags=1)]
        codes = refused(write_zip(tmp_path / "a.zip", entries))
        assert codes == ("entry-traversal", "entry-absolute", "entry-encrypted")


class TestKinds:
    @pytest.mark.parametrize(
        ("entry", "code"),
        [
            (RawEntry("link", b"/etc/passwd", mode=0o120777), "entry-symlink"),
            (RawEntry("link", b"/etc/passwd", mode=0o120777, made_by=19), "entry-symlink"),
            (RawEntry("pipe", mode=0o010644), "entry-kind"),
            (RawEntry("device", mode=0o020644), "entry-kind"),
            (RawEntry("folder/", b"content"), "entry-kind"),
            (RawEntry("secret", flags=0x0001), "entry-encrypted"),
            (RawEntry("secret", flags=0x0041), "entry-encrypted"),
            (RawEntry("secret", flags=0x2000), "entry-encrypted"),
            (RawEntry("bzip2", method=12), "entry-compression"),
            (RawEntry("lzma", method=14), "entry-compression"),
            (RawEntry("zstd", method=93), "entry-compression"),
            (RawEntry("aes", method=99), "entry-compression"),
            (RawEntry("sizes", method=0, size=3), "entry-size"),
        ],
        ids=lambda value: value.name if isinstance(value, RawEntry) else value,
    )
    def test_what_java_cannot_read_is_rejected(
        self, tmp_path: Path, entry: RawEntry, code: str
    ) -> None:
        assert code in refused(write_zip(tmp_path / "a.zip", [*GOOD, entry]))

    def test_a_link_attribute_means_nothing_outside_unix(self, tmp_path: Path) -> None:
        entry = RawEntry("file", mode=0o120777, made_by=0)
        assert warned(write_zip(tmp_path / "a.zip", [entry])) == ()


class TestHeadersThatContradictTheDirectory:
    @pytest.mark.parametrize(
        "entry",
        [
            RawEntry("lib2.jar", local_name=b"lib3.jar"),
            RawEntry("lib2.jar", local_name=b"../x.jar"),
            RawEntry("lib2.jar", local_method=0),
            RawEntry("lib2.jar", local_flags=1),
            RawEntry("lib2.jar", local_crc32=1),
            RawEntry("lib2.jar", local_size=1),
            RawEntry("lib2.jar", local_size=1, descriptor="signed"),
            RawEntry("lib2.jar", local_crc32=1, descriptor="plain"),
            RawEntry("lib2.jar", offset=1),
            RawEntry("lib2.jar", offset=0xFFFFFF),
            RawEntry("lib2.jar", offset=(1 << 64) - 1, zip64=True),
            RawEntry("lib2.jar", offset=1 << 63, zip64=True),
            RawEntry("lib2.jar", compressed_size=1 << 20),
            RawEntry("lib2.jar", compressed_size=(1 << 64) - 1, zip64=True),
            RawEntry("lib2.jar", compressed_size=1 << 63, zip64=True, descriptor="zip64"),
        ],
    )
    def test_are_rejected(self, tmp_path: Path, entry: RawEntry) -> None:
        assert refused(write_zip(tmp_path / "a.zip", [*GOOD, entry])) == ("entry-header",)

    def test_two_entries_over_the_same_bytes_are_rejected(self, tmp_path: Path) -> None:
        entries = [*GOOD, RawEntry("lib.jar2", b"jar" * 500, ghost=True, local_name=b"lib.jar")]
        assert refused(write_zip(tmp_path / "a.zip", entries)) == ("entry-header",)

    def test_entries_that_overlap_are_rejected(self, tmp_path: Path) -> None:
        """The outer entry's stored content is itself a local entry: both headers are sound."""
        inner = RawEntry("inner", b"text", 0)
        outer = RawEntry("outer", inner.local(), 0)
        start = len(outer.local()) - len(inner.local())
        entries = [outer, RawEntry("inner", b"text", 0, ghost=True, offset=start)]
        assert refused(write_zip(tmp_path / "a.zip", entries)) == ("entry-overlap",)


class TestTheDirectory:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda: raw_zip(GOOD, count=3), "archive-directory"),
            (lambda: raw_zip(GOOD, count=1), "archive-directory"),
            (lambda: raw_zip(GOOD, count=0xFFFF), "archive-directory"),
            (lambda: raw_zip(GOOD, count=200_000, zip64_end=True), "archive-too-large"),
            (lambda: raw_zip(GOOD, count=(1 << 64) - 1, zip64_end=True), "archive-too-large"),
            (lambda: raw_zip(GOOD, directory_offset=3), "archive-prefix"),
            (lambda: raw_zip(GOOD, directory_offset=1 << 31), "archive-directory"),
            (lambda: raw_zip(GOOD, directory_offset=1 << 63, zip64_end=True), "archive-directory"),
            (lambda: raw_zip(GOOD, directory_size=1 << 31), "archive-too-large"),
            (lambda: raw_zip(GOOD, directory_size=1 << 63, zip64_end=True), "archive-too-large"),
            (lambda: raw_zip(GOOD, directory_size=5), "archive-prefix"),
            (lambda: raw_zip(GOOD, disk=1), "archive-split"),
            (lambda: raw_zip(GOOD, disk=1, zip64_end=True), "archive-split"),
            (lambda: raw_zip([RawEntry("a", disk=7)]), "archive-directory"),
        ],
    )
    def test_one_that_contradicts_the_file_is_rejected(
        self, tmp_path: Path, change: Callable[[], bytes], code: str
    ) -> None:
        assert refused_bytes(tmp_path, change()) == (code,)

    def test_a_zip64_locator_that_points_nowhere_is_rejected(self, tmp_path: Path) -> None:
        whole = bytearray(raw_zip(GOOD, zip64_end=True))
        position = whole.index(b"PK\x06\x07")
        for target in (0, 5, len(whole), (1 << 64) - 1):
            whole[position + 8 : position + 16] = target.to_bytes(8, "little")
            assert refused_bytes(tmp_path, bytes(whole)) == ("archive-directory",)

    def test_zip64_sizes_without_their_field_are_rejected(self, tmp_path: Path) -> None:
        entry = RawEntry("a", size=0xFFFFFFFF, compressed_size=0xFFFFFFFF)
        assert refused(write_zip(tmp_path / "a.zip", [entry])) == ("archive-directory",)

    @pytest.mark.parametrize("extra", [b"\1\0\4\0abcd", b"\1\0\xff\xff", b"\1", b"\2\0\1\0\0"])
    def test_a_broken_zip64_field_is_rejected(self, tmp_path: Path, extra: bytes) -> None:
        entry = RawEntry("a", size=0xFFFFFFFF, extra=extra)
        assert refused(write_zip(tmp_path / "a.zip", [entry])) == ("archive-directory",)


class TestLimits:
    def test_a_zip_bomb_is_rejected_unopened(self, tmp_path: Path) -> None:
        entry = RawEntry("bomb", b"\0" * (40 << 20))
        with pytest.raises(VerificationError) as caught:
            Archive.open(write_zip(tmp_path / "a.zip", [entry]))
        assert caught.value.findings[0].code == "zip-bomb"

    def test_a_bomb_that_lies_about_its_size_is_stopped(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("bomb", b"\0" * (1 << 20), size=100)])
        assert "more than the 100 bytes" in damaged(path, "bomb")

    def test_a_small_file_may_shrink_a_thousandfold(self, tmp_path: Path) -> None:
        assert warned(write_zip(tmp_path / "a.zip", [RawEntry("zeros", b"\0" * (1 << 20))])) == ()

    def test_too_many_entries(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", GOOD)
        assert refused(path, limits=Limits(max_entries=1)) == ("archive-too-large",)

    def test_too_large_an_entry(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", GOOD)
        assert refused(path, limits=Limits(max_entry_size=1499)) == ("entry-too-large",)

    def test_too_much_content(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", GOOD)
        assert refused(path, limits=Limits(max_total_size=1509)) == ("archive-too-large",)

    def test_read_refuses_more_than_it_is_reported(self, tmp_path: Path) -> None:
        with Archive.open(write_zip(tmp_path / "a.zip", GOOD)) as archive:
            with pytest.raises(VerificationError, match="1500 bytes; the limit is 1499"):
                archive.read(archive.entries[1], limit=1499)
            assert len(archive.read(archive.entries[1], limit=1500)) == 1500


class TestDamagedContent:
    def test_a_wrong_crc(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("a", crc32=1)])
        assert "CRC" in damaged(path, "a")

    def test_a_wrong_crc_of_a_stored_entry(self, tmp_path: Path) -> None:
        assert "CRC" in damaged(
            write_zip(tmp_path / "a.zip", [RawEntry("a", b"x", 0, crc32=1)]), "a"
        )

    def test_less_than_announced(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("a", b"four", size=5)])
        assert "has 4 bytes, expected 5" in damaged(path, "a")

    def test_bytes_that_are_not_a_deflate_stream(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("a", stored=b"\xff" * 20)])
        assert "decompressed" in damaged(path, "a")

    def test_a_deflate_stream_that_is_cut_off(self, tmp_path: Path) -> None:
        data = os.urandom(5000)
        path = write_zip(tmp_path / "a.zip", [RawEntry("a", data, stored=deflate(data)[:-1])])
        assert "damaged" not in damaged(path, "a")

    @pytest.mark.parametrize("more", [b"\0", b"hidden" * 30_000])
    def test_bytes_after_a_deflate_stream(self, tmp_path: Path, more: bytes) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("a", stored=deflate(b"content") + more)])
        assert "after its compressed data" in damaged(path, "a")

    def test_an_empty_deflate_stream(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("a", b"", stored=b"")])
        assert "ends in the middle" in damaged(path, "a")

    def test_a_file_that_shrinks_while_it_is_read(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", [RawEntry("a", b"x" * 100_000, 0)])
        with Archive.open(path) as archive:
            os.truncate(path, 50)
            with pytest.raises(VerificationError, match="changed while it was being checked"):
                list(archive.chunks(archive.entries[0]))


def test_the_message_names_the_file_and_how_much_more_is_wrong(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bad.modl", [RawEntry("../x"), RawEntry("/y")])
    with pytest.raises(VerificationError) as caught:
        Archive.open(path)
    assert caught.value.message.startswith("bad.modl: ")
    assert caught.value.message.endswith("(and 1 more)")
    assert caught.value.hint

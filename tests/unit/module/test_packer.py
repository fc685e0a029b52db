"""Packing: reproducible, readable by every ZIP tool, absent or whole."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.packer import DosTime, Member, pack
from tests.support.modules import RawEntry, module_files, write_zip

FILES = {**module_files(), "empty": b"", "doc/ü €.html": b"<html/>" * 100, "big": b"pump" * 100_000}


def members(files: dict[str, bytes]) -> list[Member]:
    return [Member(name, data) for name, data in files.items()]


def content(path: Path) -> dict[str, bytes]:
    with Archive.open(path) as archive:
        assert archive.findings == ()
        return {entry.name: archive.read(entry, limit=1 << 30) for entry in archive.entries}


def packed(tmp_path: Path, files: dict[str, bytes], timestamp: DosTime | None = None) -> Path:
    path = tmp_path / "out.modl"
    pack(members(files), path, timestamp=timestamp)
    return path


def test_what_is_packed_is_read_back_sorted(tmp_path: Path) -> None:
    read = content(packed(tmp_path, FILES))
    assert read == FILES
    assert list(read) == sorted(FILES)


def test_python_reads_it_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(packed(tmp_path, FILES)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
        for entry in archive.infolist():
            assert entry.external_attr >> 16 == 0o100644
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.compress_type == zipfile.ZIP_DEFLATED


def test_unzip_finds_no_errors(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unzip", "-t", str(packed(tmp_path, FILES))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors detected" in done.stdout


@pytest.mark.parametrize("count", [65534, 65535, 65536])
@pytest.mark.long
def test_many_entries_need_zip64_records_and_have_them(tmp_path: Path, count: int) -> None:
    path = packed(tmp_path, {f"{number:05}": b"" for number in range(count)})
    assert (b"PK\x06\x06" in path.read_bytes()[-200:]) == (count >= 65535)
    with Archive.open(path) as archive, zipfile.ZipFile(path) as oracle:
        assert [entry.name for entry in archive.entries] == oracle.namelist()
        assert len(archive.entries) == count
    done = subprocess.run(["unzip", "-tqq", str(path)], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_members_come_from_bytes_files_and_archives(tmp_path: Path) -> None:
    (tmp_path / "source.jar").write_bytes(b"from a file" * 20_000)
    other = write_zip(tmp_path / "other.zip", [RawEntry("x", b"from an archive")])
    output = tmp_path / "out.modl"
    with Archive.open(other) as archive:
        sources: Sequence[Member] = [
            Member("c", (archive, archive.entries[0])),
            Member("b", tmp_path / "source.jar"),
            Member("a", b"from memory"),
        ]
        pack(sources, output)
    assert content(output) == {
        "a": b"from memory",
        "b": b"from a file" * 20_000,
        "c": b"from an archive",
    }


def test_the_time_stamp_is_the_given_one(tmp_path: Path) -> None:
    timestamp = DosTime.from_datetime(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    with zipfile.ZipFile(packed(tmp_path, FILES, timestamp)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2026, 3, 4, 5, 6, 6)}


class TestDosTime:
    def test_other_time_zones_are_converted(self) -> None:
        zone = timezone(timedelta(hours=-8))
        local = datetime(2026, 3, 3, 21, 6, 7, tzinfo=zone)
        assert DosTime.from_datetime(local) == DosTime.from_datetime(
            datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
        )

    def test_the_environment_gives_the_seconds(self) -> None:
        assert DosTime.from_environment({"SOURCE_DATE_EPOCH": " 1772600766 "}) == (
            DosTime.from_datetime(datetime.fromtimestamp(1772600766, tz=UTC))
        )

    @pytest.mark.parametrize("env", [{}, {"SOURCE_DATE_EPOCH": ""}, {"SOURCE_DATE_EPOCH": "0"}])
    def test_without_one_or_before_1980_it_is_1980(self, env: dict[str, str]) -> None:
        assert DosTime.from_environment(env) == DosTime()

    @pytest.mark.parametrize(
        "text", ["yesterday", "1.5", "4354819200", "99999999999999999999", "2026-01-01"]
    )
    def test_what_no_zip_can_hold_is_rejected(self, text: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            DosTime.from_environment({"SOURCE_DATE_EPOCH": text})
        assert caught.value.hint


class TestFailures:
    def left(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    def test_a_name_twice_is_rejected(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="twice"):
            pack([Member("a", b"1"), Member("a", b"2")], tmp_path / "out.modl")
        assert self.left(tmp_path) == []

    def test_a_source_that_vanished_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"cannot read .*gone\.jar"):
            pack([Member("a", tmp_path / "gone.jar")], tmp_path / "out.modl")
        assert self.left(tmp_path) == []

    def test_a_file_name_that_is_not_utf8_is_rejected(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="UTF-8"):
            pack([Member("p\udcfcmpe", b"")], tmp_path / "out.modl")
        assert self.left(tmp_path) == []

    def test_a_damaged_source_leaves_the_old_output_alone(self, tmp_path: Path) -> None:
        output = tmp_path / "out.modl"
        output.write_bytes(b"old")
        source = write_zip(tmp_path / "source.zip", [RawEntry("a", crc32=1)])
        with Archive.open(source) as archive, pytest.raises(VerificationError):
            pack([Member("a", (archive, archive.entries[0]))], output)
        assert output.read_bytes() == b"old"
        assert self.left(tmp_path) == ["out.modl", "source.zip"]

    def test_an_output_folder_that_cannot_be_made_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(ConfigurationError) as caught:
            pack(members(FILES), tmp_path / "file" / "out.modl")
        assert caught.value.hint

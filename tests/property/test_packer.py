"""Packing: the same content gives the same bytes, in any order, folder or time zone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.module.archive import Archive
from ign_deploy.module.packer import Member, pack
from tests.support.modules import module_files

PARTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"),
    min_size=1,
    max_size=10,
).filter(lambda part: part not in {".", ".."})
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=10)

SCRIPT = """
import os, sys
from pathlib import Path
from ign_deploy.module.packer import DosTime, Member, pack
folder, output = Path(sys.argv[1]), Path(sys.argv[2])
files = [path for path in folder.rglob("*") if path.is_file()]
if sys.argv[3] == "backwards":
    files.reverse()
pack([Member(str(path.relative_to(folder)), path) for path in files], output,
     timestamp=DosTime.from_environment(os.environ))
"""


def packed(files: dict[str, bytes], order: list[str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out.modl")
        pack([Member(name, files[name]) for name in order], output)
        return output.read_bytes()


@given(FILES)
def test_what_is_packed_is_what_is_read(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out.modl")
        pack([Member(name, data) for name, data in files.items()], output)
        with Archive.open(output) as archive:
            read = {entry.name: archive.read(entry, limit=200) for entry in archive.entries}
    assert read == files


@given(FILES, st.randoms(use_true_random=False))
def test_the_order_of_members_changes_nothing(files: dict[str, bytes], chance: Random) -> None:
    names = sorted(files)
    shuffled = chance.sample(names, len(names))
    assert packed(files, names) == packed(files, shuffled)


def test_process_folder_time_zone_and_locale_change_nothing(tmp_path: Path) -> None:
    project = str(Path(__file__).parents[2])
    results = []
    for number, (zone, locale) in enumerate(
        [("UTC", "C"), ("Pacific/Auckland", "C.UTF-8"), ("America/New_York", "POSIX")]
    ):
        folder = tmp_path / f"copy{number}" / "module"
        for name, data in module_files(files={"doc/ü.html": b"x"}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (1e9 + number, 1e9 + number))
            path.chmod((0o600, 0o644, 0o755)[number])
        output = tmp_path / f"{number}.modl"
        environment = {
            "PATH": os.environ["PATH"], "TZ": zone, "LC_ALL": locale, "PYTHONPATH": project,
            "SOURCE_DATE_EPOCH": "1772600766", "PYTHONHASHSEED": str(number),
        }  # fmt: skip
        order = ("as found", "backwards", "as found")[number]
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(folder), str(output), order],
            check=True,
            cwd=folder if number else tmp_path,
            env=environment,
            timeout=60,
        )
        results.append(output.read_bytes())
    assert results[0] == results[1] == results[2]

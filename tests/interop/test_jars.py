"""Which jars open: our verdict against java.util.jar.JarFile."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

from ign_deploy.module.jar import UnreadableJarError, inspect_jar
from tests.support.modules import HOOK, RawEntry, jar, raw_zip, zip_bytes

OPENER = Path(__file__).with_name("OpenJars.java")
GOOD = jar(HOOK)
SAMPLES = {
    "sound": GOOD,
    "prefix": b"#!/bin/sh\nexec java\n" + GOOD,
    "counted prefix": raw_zip([RawEntry("a")], counted_prefix=b"MZ" * 50),
    "duplicates": raw_zip([RawEntry("a"), RawEntry("a")]),
    "descriptors": raw_zip([RawEntry("a", descriptor="plain"), RawEntry("b", descriptor="zip64")]),
    "zip64": raw_zip([RawEntry("a", zip64=True)], zip64_end=True),
    "traversal": raw_zip([RawEntry("../a"), RawEntry("/b")]),
    "other local name": raw_zip([RawEntry("a.class", local_name=b"b.class")]),
    "orphan": raw_zip([RawEntry("a"), RawEntry("b", orphan=True)]),
    "wrong crc": raw_zip([RawEntry("a", crc32=1)]),
    "comment": raw_zip([RawEntry("a")], comment=b"by hand"),
    "no entries": zip_bytes({}),
    "encrypted": raw_zip([RawEntry("a", flags=1)]),
    "bzip2": raw_zip([RawEntry("a", method=12)]),
    "aes": raw_zip([RawEntry("a", method=99)]),
    "latin-1 name": raw_zip([RawEntry(b"P\xfcmpe.class")]),
    "utf-8 name": raw_zip([RawEntry("Pümpe.class")]),
    "empty file": b"",
    "text": b"no jar",
    "noise": bytes(range(256)) * 20,
    "truncated": GOOD[:-30],
    "bytes behind": GOOD + b"\0" * 10,
    # Not here: a wrong count of entries. Java 17.0.15 opens such a jar, later releases don't.
    "wrong directory size": raw_zip([RawEntry("a")], directory_size=1 << 20),
}


def opens_for_us(data: bytes) -> bool:
    try:
        inspect_jar(io.BytesIO(data), wanted=[HOOK])
    except UnreadableJarError:
        return False
    return True


def test_a_jar_that_java_opens_opens_for_us_and_the_reverse(tmp_path: Path) -> None:
    paths = []
    for number, data in enumerate(SAMPLES.values()):
        path = tmp_path / f"{number}.jar"
        path.write_bytes(data)
        paths.append(os.fspath(path))
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", str(OPENER), *paths],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    by_java = dict(zip(SAMPLES, done.stdout.splitlines(), strict=True))
    by_us = {name: opens_for_us(data) for name, data in SAMPLES.items()}
    assert {name: by_java[name].startswith("opens") for name in SAMPLES} == by_us, by_java

"""Our reading and writing of Java Properties against java.util.Properties itself."""

from __future__ import annotations

import base64
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ign_deploy.module.properties import (
    PropertiesSyntaxError,
    format_properties,
    parse_properties,
)

LOADER = Path(__file__).with_name("LoadProperties.java")
PIECES = [
    "a", "b", "u", "\\", "\\\\", "=", ":", " ", "\t", "\f", "#", "!", "\n", "\r", "\r\n", "\\\n",
    "\\\r\n", "\\u0041", "\\u00e9", "\\uD83D\\uDE00", "\\u12", "\\t", "\\n", "\\=", "\\:", "\\ ",
    "\\#", "é", "\x00", "\x7f", "\x85", "/lib.jar=QUJD\n", "  ", "\\f", "\\r",
]  # fmt: skip
LETTERS = "ab/.-_ =:#!\\\t\n\r\fé€\u2028\U0001f600\x00\x1f\x7f~\ufeff"


def load_with_java(samples: Sequence[bytes]) -> list[tuple[str, str]]:
    """Return, for each sample, what ``load(InputStream)`` and ``load(Reader)`` make of it."""
    lines = b"\n".join(base64.b64encode(sample) for sample in samples) + b"\n"
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", str(LOADER)],
        input=lines,
        capture_output=True,
        check=True,
        timeout=120,
    )
    pairs = [line.split(" ") for line in done.stdout.decode().splitlines()]
    assert len(pairs) == len(samples)
    return [(first, second) for first, second in pairs]


def shown(pairs: Sequence[tuple[str, str]]) -> str:
    """Return pairs in the loader's notation; the last of equal keys counts, as in Java."""
    coded = {hexed(key): hexed(value) for key, value in pairs}
    return "[" + ",".join(f"{key}:{coded[key]}" for key in sorted(coded)) + "]"


def hexed(text: str) -> str:
    return text.encode("utf-16-be", "surrogatepass").hex()


def loaded_by_us(data: bytes) -> str:
    try:
        return shown(parse_properties(data))
    except PropertiesSyntaxError:
        return "refused"


def test_java_reads_every_file_as_we_do() -> None:
    chance = random.Random(8)
    samples = ["", "\\", "\\\n", "\\\n#x", "a\\\n\nb", "a\\\n#b", "\\u", "a=\\u004", "\\\\\\", " ="]
    samples += ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(4000)]
    encoded = [sample.encode("latin-1") for sample in samples]

    for sample, (by_java, _) in zip(encoded, load_with_java(encoded), strict=True):
        assert loaded_by_us(sample) == by_java, sample


def test_java_loads_what_we_write_as_bytes_and_as_text() -> None:
    chance = random.Random(9)
    texts = ["".join(chance.choices(LETTERS, k=chance.randint(0, 8))) for _ in range(4000)]
    pairs = [[("/" + key, value)] for key, value in zip(texts[::2], texts[1::2], strict=True)]
    written = [format_properties(pair) for pair in pairs]

    for pair, both in zip(pairs, load_with_java(written), strict=True):
        assert both == (shown(pair), shown(pair)), pair

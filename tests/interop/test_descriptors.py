"""module.xml: our reading against Java's DOM, over thousands of generated documents.

For each document we refuse it, or every way in which a Java program may look for the values finds
exactly ours.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from ign_deploy.errors import VerificationError
from ign_deploy.module.descriptor import ModuleDescriptor, parse_descriptors
from tests.support.generated import batches, read_by_java

READER = Path(__file__).with_name("ReadDescriptors.java")
NAMES = ("id", "ID", "Id", "version", "license", "requiredIgnitionVersion", "freeModule", "name")
ODD_NAMES = ("m:id", "\u0131d", "i\u0307d", "hoo\u212a", "info", "module", "description")
VALUES = ("good", "evil", "1.2.3", "true", "")
MARKUP = (
    *("<!-- c -->", "<?p i?>", "<b/>", "<![CDATA[x]]>", "<![CDATA[]]>"),
    *("\u00a0", "\u2003", "&#160;", "&#x1680;", "&amp;", "\n ", "\x85", "\u2028z", "\x80"),
)
ENCODINGS = (
    *("utf-8", "UTF8", "utf-16", "utf-16le", "us-ascii", "iso-8859-1", "iso-8859-10", "cp1252"),
    *("windows-1256", "tis-620", "koi8-r", "utf-7", "ibm037"),
)


def document(seed: int) -> bytes:
    """Return the module.xml of a seed."""
    chance = random.Random(seed)
    odd = chance.choice((0.0, 0.0, 0.05, 0.3))

    def rarely(text: str) -> str:
        return text if chance.random() < odd else ""

    def element(depth: int = 0) -> str:
        name = chance.choice(NAMES[-6:])
        if chance.random() < odd:
            name = chance.choice((*NAMES, *ODD_NAMES))
        value = chance.choice(VALUES)
        content = rarely(chance.choice(MARKUP)) + value + rarely(chance.choice(MARKUP))
        if depth < 3 and chance.random() < odd:
            content += element(depth + 1)
        return f"<{name}>{content}</{name}>"

    names = ["id", *chance.sample(NAMES[3:], chance.randint(0, 4))]
    body = [f"<{name}>{chance.choice(VALUES)}</{name}>" for name in names]
    body += [f"<hook scope='G'>a.{n}</hook>" for n in range(chance.randint(0, 2))]
    body += [f"<jar scope='G'>{n}.jar</jar>" for n in range(chance.randint(0, 2))]
    body += [element() for _ in range(3) if chance.random() < odd * 2]
    chance.shuffle(body)
    default = rarely(" xmlns='v'")
    module = f"<module xmlns:m='u'{default}>{''.join(body)}</module>"
    text = chance.choice((module, f"<modules>{rarely(element())}\n{module}\n</modules>"))
    declaration = rarely(
        f"<?xml version='{chance.choice(('1.0', '1.0', '1.1'))}'"
        f" encoding='{chance.choice(ENCODINGS)}'?>"
    )
    codec = chance.choice(ENCODINGS[:-5]) if chance.random() < odd else "utf-8"
    data = declaration.encode(codec)
    if chance.random() < odd:
        codec = chance.choice(ENCODINGS)
    data += text.encode(codec, "xmlcharrefreplace")
    if chance.random() < odd:
        at = chance.randrange(len(data))
        data = data[:at] + chance.choice((b"", b"<", b" ", b"\xc2\xa0", b"]]>")) + data[at + 1 :]
    return data


def values(descriptor: ModuleDescriptor) -> str:
    """Return the SHA-256 over our values, as ``ReadDescriptors`` makes it."""
    lines = [
        ("id", descriptor.id),
        ("version", descriptor.version),
        ("license", descriptor.license),
        ("requiredignitionversion", descriptor.required_ignition_version),
        *(("hook", hook.class_name) for hook in descriptor.hooks),
        *(("jar", jar.path) for jar in descriptor.jars),
        *(("depends", dependency.module_id) for dependency in descriptor.depends),
    ]
    text = "".join(f"{name}={value.encode().hex()}\n" for name, value in lines if value)
    return hashlib.sha256(text.encode()).hexdigest()


def read_by_us(data: bytes) -> str:
    """Return the hash of our values, or "refused"."""
    try:
        descriptors = parse_descriptors(data)
    except VerificationError:
        return "refused"
    return values(descriptors[0]) if len(descriptors) == 1 else "refused"


@pytest.mark.parametrize("seeds", batches())
def test_java_finds_what_we_find_or_we_refuse(tmp_path: Path, seeds: range) -> None:
    by_us = []
    for number, seed in enumerate(seeds):
        data = document(seed)
        (tmp_path / str(number)).write_bytes(data)
        by_us.append(read_by_us(data))
    by_java = read_by_java(READER, tmp_path, len(by_us))
    wrong = {
        seed: (ours, theirs)
        for seed, ours, theirs in zip(seeds, by_us, by_java, strict=True)
        if ours != "refused" and set(theirs) != {ours}
    }
    assert not wrong
    # The documents are not so odd that nothing is read.
    assert sum(ours != "refused" for ours in by_us) > len(by_us) // 10

"""Any bytes as module.xml: a descriptor or a VerificationError, in bounded time and memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import VerificationError
from ign_deploy.module.descriptor import ModuleDescriptor, parse_descriptors
from ign_deploy.module.descriptor_checks import DESCRIPTOR_RULES
from ign_deploy.module.descriptor_xml import MAX_DESCRIPTOR_SIZE
from ign_deploy.module.rule_context import Expectations, RuleContext
from tests.support.modules import module_xml

SAMPLE = module_xml(extra='<depends scope="G" required="true">a.b</depends><export>x</export>')
LAUGHS = (
    '<!DOCTYPE m [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    + "]><modules><module><name>&a11;</name></module></modules>"
).encode()
FIT = MAX_DESCRIPTOR_SIZE


def outcome(data: bytes) -> tuple[ModuleDescriptor, ...] | str:
    """Return the descriptors, put through every rule, or the code of the error."""
    try:
        descriptors = parse_descriptors(data)
    except VerificationError as problem:
        (finding,) = problem.findings
        assert len(finding.message) < 500
        return finding.code
    for descriptor in descriptors[:1]:
        subject = RuleContext(descriptor, {}, {}, Expectations("1.2.3", "a.b", is_release=True))
        for rule in DESCRIPTOR_RULES:
            for finding in rule(subject):
                assert finding.code
                assert len(finding.message) < 2000
    return descriptors


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    outcome(data)


@given(st.text(alphabet="<>/&;'\"=! -[]ab\x00\n?xmlDOCTYPEé", max_size=80))
def test_any_markup(text: str) -> None:
    outcome(text.encode())
    outcome(f"<modules><module>{text}</module></modules>".encode())


@given(st.integers(0, len(SAMPLE)), st.integers(0, 30), st.binary(max_size=30))
def test_a_mutated_descriptor(position: int, removed: int, inserted: bytes) -> None:
    outcome(SAMPLE[:position] + inserted + SAMPLE[position + removed :])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.binary(max_size=30))
def test_any_declared_encoding(encoding: str, body: bytes) -> None:
    outcome(f'<?xml version="1.0" encoding="{encoding}"?><module>'.encode() + body + b"</module>")


@pytest.mark.parametrize(
    "encoding",
    ["utf-7", "utf-16", "utf-32", "cp037", "shift_jis", "gb18030", "hex", "idna", "undefined",
     "punycode", "unicode_escape", "mac_roman", "nonsense", "", "\\x00", "UTF-8 "],
)  # fmt: skip
def test_encodings_that_do_not_fit_are_rejected_or_read(encoding: str) -> None:
    result = outcome(
        f'<?xml version="1.0" encoding="{encoding}"?><module><id>a</id></module>'.encode()
    )
    assert result == "descriptor-xml" or result == (ModuleDescriptor(id="a"),)


HOSTILE = {
    "deep nesting": b"<module>" + b"<a>" * 149_000 + b"</a>" * 149_000 + b"</module>",
    "deep nesting in a text": b"<module><id>" + b"<a>" * 149_000 + b"</a>" * 149_000
    + b"</id></module>",
    "nesting without end": b"<module>" * 131_000,
    "many elements": b"<modules><module>" + b"<a/>" * 262_000 + b"</module></modules>",
    "many modules": b"<modules>" + b"<module/>" * 116_000 + b"</modules>",
    "many hooks": b"<module>" + b"<hook scope='G'/>" * 61_000 + b"</module>",
    "many attributes": b"<module " + b" ".join(b"a%d=''" % n for n in range(95_000)) + b"/>",
    "one long attribute": b"<module a='" + b"x" * (FIT - 20) + b"'/>",
    "one long text": b"<module><id>" + b"x" * (FIT - 40) + b"</id></module>",
    "one long name": b"<" + b"x" * (FIT - 10) + b"/>",
    "many comments": b"<module>" + b"<!---->" * 149_000 + b"</module>",
    "character references": b"<module><id>" + b"&#x41;" * 174_000 + b"</id></module>",
    "billion laughs": LAUGHS,
    "ten megabytes": b"<module>" + b"x" * 10_000_000 + b"</module>",
    "ten megabytes of utf-16": ("<module>" + "x" * 5_000_000 + "</module>").encode("utf-16"),
    "an open comment": b"<module><!--" + b"-" * (FIT - 20),
    "an open tag": b"<module " + b"a" * (FIT - 20),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_descriptor_takes_bounded_time_and_memory(name: str) -> None:
    tracemalloc.start()
    started = time.perf_counter()
    try:
        outcome(HOSTILE[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Generous: this guards against exponential or quadratic cost, not against a slow machine.
    assert time.perf_counter() - started < 20
    assert peak < 400 << 20


def test_the_billion_laughs_are_rejected_as_entities() -> None:
    assert outcome(LAUGHS) == "descriptor-dtd"

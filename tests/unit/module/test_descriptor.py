"""module.xml: read as its many writers write it, refused where reading it is dangerous."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.descriptor import (
    Dependency,
    Hook,
    Jar,
    ModuleDescriptor,
    parse_descriptors,
    read_descriptor,
    scope_letters,
    scope_names,
)
from ign_deploy.module.descriptor_xml import MAX_DESCRIPTOR_SIZE
from tests.support.modules import TEXTS, build_module, module_xml

FULL = """<?xml version="1.0" encoding="UTF-8"?>
<modules>
  <module>
    <id>com.example.pump</id>
    <name>Pümpe &amp; <![CDATA[<Co>]]></name>
    <version>1.2.3</version>
    <description>
      Watches <!-- all --> pumps.
    </description>
    <license>license.html</license>
    <documentation>index.html</documentation>
    <requiredIgnitionVersion>8.1.20</requiredIgnitionVersion>
    <requiredFrameworkVersion>8</requiredFrameworkVersion>
    <freeModule>TRUE</freeModule>
    <vendorname>Example</vendorname><vendorid>ex</vendorid>
    <vendorcontactinfo>+1 555</vendorcontactinfo>
    <hook scope="G">com.example.GatewayHook</hook>
    <hook scope=" DC ">com.example.ClientHook</hook>
    <jar scope="GDC">pump.jar</jar>
    <jar scope="G" os="linux">native.jar</jar>
    <depends scope="G" required="true">com.example.a</depends>
    <depends scope="D" required="false">com.example.b</depends>
    <depends>com.example.c</depends>
    <require scope="G">gson</require>
    <export>api.jar</export>
    <Novelty>?</Novelty>
  </module>
</modules>
"""
READ = ModuleDescriptor(
    id="com.example.pump",
    name="Pümpe & <Co>",
    version="1.2.3",
    description="Watches  pumps.",
    license="license.html",
    documentation="index.html",
    required_ignition_version="8.1.20",
    required_framework_version="8",
    free_module=True,
    vendor_name="Example",
    vendor_id="ex",
    vendor_contact="+1 555",
    hooks=(Hook("G", "com.example.GatewayHook"), Hook("DC", "com.example.ClientHook")),
    jars=(Jar("GDC", "pump.jar"), Jar("G", "native.jar", "linux")),
    depends=(
        Dependency("com.example.a", "G", True),
        Dependency("com.example.b", "D", False),
        Dependency("com.example.c", "", None),
    ),
    requires=("gson",),
    exports=("api.jar",),
    unknown=("Novelty",),
)


def rejected(data: bytes) -> str:
    with pytest.raises(VerificationError) as caught:
        parse_descriptors(data)
    assert caught.value.hint
    (finding,) = caught.value.findings
    assert finding.location == "module.xml"
    return finding.code


def test_every_element_is_read() -> None:
    assert parse_descriptors(FULL.encode()) == (READ,)


def test_element_and_attribute_names_may_be_in_any_case() -> None:
    lower, upper = FULL, FULL
    for name in (*TEXTS, "hook", "jar", "depends", "require", "export", "module", "modules"):
        lower = lower.replace(f"<{name}", f"<{name.lower()}").replace(
            f"</{name}", f"</{name.lower()}"
        )
        upper = upper.replace(f"<{name}", f"<{name.upper()}").replace(
            f"</{name}", f"</{name.upper()}"
        )
    upper = upper.replace("scope=", "SCOPE=").replace(" os=", " Os=")
    assert parse_descriptors(lower.encode()) == (READ,)
    assert parse_descriptors(upper.replace("<?XML", "<?xml").encode()) == (READ,)


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-16", "UTF-16"), ("utf-8-sig", "UTF-8"), ("latin-1", "ISO-8859-1"), ("cp1252", "cp1252")],
)
def test_the_declared_encoding_counts(encoding: str, declared: str) -> None:
    data = FULL.replace("UTF-8", declared).encode(encoding)
    assert parse_descriptors(data)[0].name == "Pümpe & <Co>"


def test_a_default_namespace_and_a_bare_module_are_fine() -> None:
    data = b'<module xmlns="urn:x" xmlns:y="urn:y" y:note="1"><id>a.b</id></module>'
    assert parse_descriptors(data) == (ModuleDescriptor(id="a.b"),)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("<modules><module><ID>good</ID><id>evil</id></module></modules>", "element-repeated"),
        ("<module><freeModule>true</freeModule><freemodule/></module>", "element-repeated"),
        ("<module><m:id xmlns:m='x'>evil</m:id><id>good</id></module>", "descriptor-ambiguous"),
        ("<module><info><id>evil</id></info><id>good</id></module>", "descriptor-ambiguous"),
        ("<modules><id>evil</id><module><id>good</id></module></modules>", "descriptor-ambiguous"),
        ("<modules><x><module><id>a</id></module></x></modules>", "descriptor-ambiguous"),
        ("<module><id>go<!-- -->od</id></module>", "descriptor-ambiguous"),
        ("<module><id>go<?x y?>od</id></module>", "descriptor-ambiguous"),
        ("<module><id>go<b/>od</id></module>", "descriptor-ambiguous"),
        ("<module><id>go<![CDATA[od]]></id></module>", "descriptor-ambiguous"),
        ("<module><id><![CDATA[]]>good</id></module>", "descriptor-ambiguous"),
        ("<module><id>good<![CDATA[]]></id></module>", "descriptor-ambiguous"),
        ("<?xml version='1.1'?><module><id>go\x85od</id></module>", "descriptor-xml"),
        ("<?xml version='1.1'?><module><jar>a\u2028.jar</jar></module>", "descriptor-xml"),
        ("<module><id>good\u00a0</id></module>", "descriptor-ambiguous"),
        ("<module><\u0131d>evil</\u0131d></module>", "descriptor-ambiguous"),
        ("<module><hoo\u212a>evil</hoo\u212a></module>", "descriptor-ambiguous"),
        ("<module><hook scope='G' Scope='D'>x</hook></module>", "descriptor-ambiguous"),
        ("<module>" + "<a>" * 50_000 + "</a>" * 50_000 + "</module>", "descriptor-xml"),
        ("<module>" + "<a/>" * 10_000 + "</module>", "descriptor-xml"),
    ],
)
def test_what_readers_could_read_differently_is_rejected(data: str, code: str) -> None:
    assert rejected(data.encode()) == code


def test_a_whole_text_in_a_cdata_section_is_fine() -> None:
    data = b"<module><id> <![CDATA[a.b]]></id></module>"
    assert rejected(data) == "descriptor-ambiguous"
    assert parse_descriptors(data.replace(b" ", b"")) == (ModuleDescriptor(id="a.b"),)


def test_absent_elements_are_empty() -> None:
    assert parse_descriptors(b"<modules><module/></modules>") == (ModuleDescriptor(),)


def test_all_modules_are_returned_and_other_elements_are_not() -> None:
    first, second = b"<module><id>a</id></module>", b"<Module><id>b</id></Module>"
    data = b"<modules>" + first + b"<other/><!-- c -->" + second + b"</modules>"
    assert [one.id for one in parse_descriptors(data)] == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"   ",
        b"text",
        b"<modules>",
        b"<modules></module>",
        b"<modules/><modules/>",
        b"<module><name>a & b</name></module>",
        b"<module><name>&unknown;</name></module>",
        b"<module><name>\xff</name></module>",
        b"<module>\0</module>",
        b"<module a='1' a='2'/>",
        b"<module y:a='1'/>",
        b"<?xml version='1.0' encoding='nonsense'?><module/>",
        b"<?xml version='1.0' encoding='utf-7'?><module/>",
        b"<?xml version='1.0' encoding='rot13'?><module/>",
        b"<?xml version='1.0' encoding='tis-620'?><module/>",
        b"<?xml version='1.0' encoding='iso-8859-10'?><module/>",
        "<?xml version='1.0'?><module/>".encode("utf-32"),
        # The rest is one byte a character, in an encoding that Java reads differently or refuses.
        *(
            f"<?xml version='1.0' encoding='{name}'?>".encode(wide)
            + b"<module><id>\x80</id></module>"
            for name in ("tis-620", "rot13", "iso-8859-5")
            for wide in ("utf-16", "utf-16-be")
        ),
        "<module/>".encode("utf-16-le"),
    ],
)
def test_xml_that_is_not_well_formed_is_rejected(data: bytes) -> None:
    assert rejected(data) == "descriptor-xml"


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE modules><modules/>",
        b'<!DOCTYPE modules SYSTEM "http://example.com/x.dtd"><modules/>',
        b'<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><m>&x;</m>',
        b'<!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><m>&b;</m>',
        b'<!DOCTYPE m [<!ENTITY % p SYSTEM "http://example.com/"> %p;]><m/>',
    ],
)
def test_a_dtd_or_an_entity_is_rejected(data: bytes) -> None:
    assert rejected(data) == "descriptor-dtd"


def test_ten_megabytes_of_text_are_rejected_unparsed() -> None:
    data = b"<module><name>" + b"x" * 10_000_000
    assert rejected(data) == "descriptor-too-large"


def test_the_largest_descriptor_is_read() -> None:
    frame = module_xml(texts={"description": ""})
    text = "x" * (MAX_DESCRIPTOR_SIZE - len(frame))
    data = module_xml(texts={"description": text})
    assert len(data) == MAX_DESCRIPTOR_SIZE
    assert parse_descriptors(data)[0].description == text


class TestInAnArchive:
    def test_is_read(self, tmp_path: Path) -> None:
        with Archive.open(build_module(tmp_path / "pump.modl")) as archive:
            assert read_descriptor(archive).id == "com.example.pump"

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (None, "descriptor-missing"),
            (b"<modules/>", "descriptor-count"),
            (b"<modules><module/><module/></modules>", "descriptor-count"),
            (b"<modules", "descriptor-xml"),
            (b"x" * 10_000_000, "entry-too-large"),
        ],
    )
    def test_must_be_there_once_and_sound(
        self, tmp_path: Path, data: bytes | None, code: str
    ) -> None:
        path = build_module(tmp_path / "pump.modl", files={"module.xml": data})
        with Archive.open(path) as archive, pytest.raises(VerificationError) as caught:
            read_descriptor(archive)
        assert [finding.code for finding in caught.value.findings] == [code]

    def test_is_found_at_the_root_only(self, tmp_path: Path) -> None:
        files = {"module.xml": None, "MODULE.XML": module_xml(), "a/module.xml": module_xml()}
        path = build_module(tmp_path / "pump.modl", files=files)
        with Archive.open(path) as archive, pytest.raises(VerificationError, match="at its root"):
            read_descriptor(archive)


def test_scopes_are_letters_and_a_is_all_of_them() -> None:
    assert scope_letters("GD") == {"G", "D"}
    assert scope_letters("A") == {"G", "D", "C"}
    assert scope_letters("x") == frozenset()
    assert scope_names(frozenset("CG")) == "gateway, client"

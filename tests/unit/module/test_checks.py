"""check_module: every row of the validation list, one defect at a time."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.module.archive import Archive
from ign_deploy.module.checks import check_module
from ign_deploy.module.findings import Finding, Severity
from tests.support.modules import (
    HOOK,
    JAVA_17,
    RawEntry,
    build_module,
    class_file,
    jar,
    module_files,
    module_xml,
    raw_zip,
    write_zip,
    zip_bytes,
)

PACKED = b"\xca\xfe\xd0\x0d\x07\x96" + bytes(40)
PACKED_GZ = gzip.compress(PACKED, mtime=0)
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def check(path: Path, **asked: Any) -> tuple[Finding, ...]:
    with Archive.open(path) as archive:
        return check_module(archive, **asked)


def found(path: Path, **asked: Any) -> list[tuple[Severity, str, str]]:
    """Return (severity, code, location) of every finding."""
    return [(one.severity, one.code, one.location) for one in check(path, **asked)]


def found_in(tmp_path: Path, **changes: Any) -> list[tuple[Severity, str, str]]:
    """Return what is found in a sound module with these changes."""
    return found(build_module(tmp_path / "pump.modl", **changes))


def element(name: str) -> str:
    return f"module.xml: {name}"


def test_a_sound_module_gives_no_finding(tmp_path: Path) -> None:
    path = build_module(tmp_path / "pump.modl")
    asked = {"expected_version": "1.2.3", "expected_id": "com.example.pump", "signed": False}
    assert found(path, **asked, is_release=True) == []


def test_findings_come_worst_first_with_hints_for_errors(tmp_path: Path) -> None:
    findings = check(
        build_module(
            tmp_path / "pump.modl",
            texts={"license": None, "requiredFrameworkVersion": None, "id": None},
            hooks=(),
        )
    )
    assert [one.severity for one in findings] == sorted(one.severity for one in findings)
    assert all(one.hint for one in findings if one.severity is ERROR)


class TestDescriptor:
    def test_no_module_xml_at_the_root(self, tmp_path: Path) -> None:
        files = {"module.xml": None, "sub/module.xml": module_xml()}
        assert found_in(tmp_path, files=files) == [(ERROR, "descriptor-missing", "module.xml")]

    def test_a_module_xml_in_other_case_is_named(self, tmp_path: Path) -> None:
        files = {"module.xml": None, "Module.XML": module_xml()}
        (finding,) = check(build_module(tmp_path / "pump.modl", files=files))
        assert finding.code == "descriptor-missing"
        assert "has Module.XML, but no module.xml at its root" in finding.message

    def test_xml_that_is_not_well_formed(self, tmp_path: Path) -> None:
        files = {"module.xml": b"<modules><module></modules>"}
        assert found_in(tmp_path, files=files) == [(ERROR, "descriptor-xml", "module.xml")]

    @pytest.mark.parametrize(
        "declaration",
        [
            "<!DOCTYPE modules>",
            '<!DOCTYPE modules SYSTEM "file:///etc/passwd">',
            '<!DOCTYPE modules [<!ENTITY a "b">]>',
        ],
    )
    def test_xml_with_a_dtd_or_entities(self, tmp_path: Path, declaration: str) -> None:
        files = {"module.xml": f"{declaration}<modules><module/></modules>".encode()}
        assert found_in(tmp_path, files=files) == [(ERROR, "descriptor-dtd", "module.xml")]

    def test_ten_megabytes_of_xml(self, tmp_path: Path) -> None:
        files = {"module.xml": module_xml(texts={"description": "x" * 10_000_000})}
        assert found_in(tmp_path, files=files) == [(ERROR, "entry-too-large", "module.xml")]

    @pytest.mark.parametrize("count", [0, 2])
    def test_not_exactly_one_module(self, tmp_path: Path, count: int) -> None:
        files = {"module.xml": b"<modules>" + b"<module/>" * count + b"</modules>"}
        assert found_in(tmp_path, files=files) == [(ERROR, "descriptor-count", "module.xml")]

    @pytest.mark.parametrize("name", ["id", "name", "version", "requiredIgnitionVersion"])
    @pytest.mark.parametrize("text", [None, "", "  "])
    def test_a_required_element_is_missing(
        self, tmp_path: Path, name: str, text: str | None
    ) -> None:
        path = build_module(tmp_path / "pump.modl", texts={name: text})
        errors = [one for one in found(path) if one[0] is ERROR]
        assert errors == [(ERROR, "element-missing", element(name))]

    @pytest.mark.parametrize("name", ["version", "requiredIgnitionVersion"])
    @pytest.mark.parametrize("text", ["1.0.0-alpha.1", "1.0", "v1.2.3", "1.2.3.4.5", "8.1.x"])
    def test_a_version_that_no_gateway_can_install(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        path = build_module(tmp_path / "pump.modl", texts={name: text})
        errors = [one for one in found(path) if one[0] is ERROR]
        assert errors == [(ERROR, "version-syntax", element(name))]

    @pytest.mark.parametrize("text", ["8.1", "eight", "-8", "٨", "1" * 12])
    def test_a_framework_version_that_is_not_a_number(self, tmp_path: Path, text: str) -> None:
        assert found_in(tmp_path, texts={"requiredFrameworkVersion": text}) == [
            (ERROR, "framework-version-syntax", element("requiredFrameworkVersion"))
        ]

    def test_no_framework_version_is_a_warning(self, tmp_path: Path) -> None:
        assert found_in(tmp_path, texts={"requiredFrameworkVersion": None}) == [
            (WARNING, "framework-version-missing", element("requiredFrameworkVersion"))
        ]

    def test_no_hook(self, tmp_path: Path) -> None:
        assert found_in(tmp_path, hooks=()) == [(ERROR, "hook-missing", element("hook"))]

    def test_a_hook_without_a_class(self, tmp_path: Path) -> None:
        hooks = (("G", HOOK), ("D", ""))
        assert found_in(tmp_path, hooks=hooks) == [(ERROR, "hook-empty", element("hook"))]

    @pytest.mark.parametrize(("first", "second"), [("G", "G"), ("A", "D"), ("GD", "DC")])
    def test_two_hooks_for_one_scope(self, tmp_path: Path, first: str, second: str) -> None:
        changes = {"hooks": ((first, HOOK), (second, HOOK)), "jars": (("A", "pump.jar"),)}
        assert found_in(tmp_path, **changes) == [(ERROR, "hook-duplicate", element("hook"))]

    @pytest.mark.parametrize("scope", ["G", "D", "C", "GD", "CDG", "A"])
    def test_every_known_scope_is_fine(self, tmp_path: Path, scope: str) -> None:
        assert found_in(tmp_path, hooks=((scope, HOOK),), jars=((scope, "pump.jar"),)) == []

    @pytest.mark.parametrize(
        ("scope", "code"),
        [
            ("X", "scope-unknown"),
            ("GX", "scope-unknown"),
            ("g", "scope-unknown"),
            ("G,D", "scope-unknown"),
            ("GG", "scope-repeated"),
            ("AG", "scope-repeated"),
        ],
    )
    @pytest.mark.parametrize("kind", ["hook", "jar", "depends"])
    def test_a_scope_with_unknown_or_repeated_letters(
        self, tmp_path: Path, scope: str, code: str, kind: str
    ) -> None:
        by_kind: Mapping[str, Mapping[str, Any]] = {
            "hook": {"hooks": ((scope, HOOK),), "jars": (("A", "pump.jar"),)},
            "jar": {
                "jars": (("A", "pump.jar"), (scope, "more.jar")),
                "files": {"more.jar": jar("com.example.More")},
            },
            "depends": {"extra": f'<depends scope="{scope}">com.example.other</depends>'},
        }
        assert found_in(tmp_path, **by_kind[kind]) == [(ERROR, code, element(kind))]

    def test_a_hook_without_scope(self, tmp_path: Path) -> None:
        extra = "<hook>com.example.Other</hook>"
        files = {"pump.jar": jar(HOOK, "com.example.Other")}
        assert found_in(tmp_path, extra=extra, files=files) == [
            (ERROR, "scope-missing", element("hook"))
        ]

    def test_an_empty_jar_scope_is_a_warning(self, tmp_path: Path) -> None:
        changes = {
            "jars": (("G", "pump.jar"), ("", "more.jar")),
            "files": {"more.jar": jar("com.example.More")},
        }
        assert found_in(tmp_path, **changes) == [(WARNING, "jar-scope-empty", element("jar"))]

    @pytest.mark.parametrize("name", ["id", "version", "description"])
    def test_a_repeated_element(self, tmp_path: Path, name: str) -> None:
        assert found_in(tmp_path, extra=f"<{name}>again</{name}>") == [
            (ERROR, "element-repeated", "module.xml")
        ]

    def test_unknown_elements_are_a_remark_in_one_piece(self, tmp_path: Path) -> None:
        extra = "".join(f"<new{number}/>" for number in range(12)) + "<new1/>"
        (finding,) = check(build_module(tmp_path / "pump.modl", extra=extra))
        assert (finding.severity, finding.code) == (INFO, "element-unknown")
        assert "'new0'" in finding.message
        assert finding.message.endswith("and 2 more")

    @pytest.mark.parametrize("name", ["description", "vendorname", "documentation"])
    def test_an_absent_optional_element_is_a_remark(self, tmp_path: Path, name: str) -> None:
        assert found_in(tmp_path, texts={name: None}) == [(INFO, "element-absent", element(name))]

    @pytest.mark.parametrize(("ignition", "warned"), [("8.1.20", True), ("8.3.0", False)])
    def test_required_dependencies_before_8_3(
        self, tmp_path: Path, ignition: str, warned: bool
    ) -> None:
        extra = '<depends scope="G" required="true">a.b</depends><depends scope="G">c.d</depends>'
        findings = found_in(tmp_path, extra=extra, texts={"requiredIgnitionVersion": ignition})
        assert findings == [(WARNING, "depends-required-early", element("depends"))] * warned


class TestWhatWasAskedFor:
    @pytest.mark.parametrize("version", ["1.2.3", "1.2.3.0"])
    def test_the_version_may_be_written_differently(self, tmp_path: Path, version: str) -> None:
        assert found(build_module(tmp_path / "pump.modl"), expected_version=version) == []

    @pytest.mark.parametrize("version", ["1.2.4", "1.2.3-rc1", "1.2.3.4", "nonsense"])
    def test_another_version(self, tmp_path: Path, version: str) -> None:
        assert found(build_module(tmp_path / "pump.modl"), expected_version=version) == [
            (ERROR, "version-mismatch", element("version"))
        ]

    def test_another_id(self, tmp_path: Path) -> None:
        path = build_module(tmp_path / "pump.modl")
        assert found(path, expected_id="com.example.Pump") == [
            (ERROR, "id-mismatch", element("id"))
        ]

    @pytest.mark.parametrize("version", ["dev", "1.2.3-SNAPSHOT"])
    @pytest.mark.parametrize("is_release", [True, False])
    def test_a_development_version_on_a_release(
        self, tmp_path: Path, version: str, is_release: bool
    ) -> None:
        files = {"pump.jar": jar(HOOK)}
        path = build_module(tmp_path / "pump.modl", texts={"version": version}, files=files)
        expected = [(WARNING, "version-development", element("version"))] * is_release
        assert found(path, is_release=is_release) == expected

    def test_a_release_candidate_may_be_released(self, tmp_path: Path) -> None:
        files = {"pump.jar": jar(HOOK)}
        path = build_module(tmp_path / "pump.modl", texts={"version": "1.2.3-rc1"}, files=files)
        assert found(path, is_release=True) == []

    def test_an_unsigned_module_where_a_signed_one_is_due(self, tmp_path: Path) -> None:
        assert found(build_module(tmp_path / "pump.modl"), signed=True) == [(ERROR, "unsigned", "")]

    @pytest.mark.parametrize("name", ["signatures.properties", "certificates.p7b"])
    def test_half_a_signature(self, tmp_path: Path, name: str) -> None:
        path = build_module(tmp_path / "pump.modl", files={name: b"x"})
        assert found(path, signed=True) == [(ERROR, "signature-incomplete", name)]
        assert found(path, signed=False) == [(ERROR, "already-signed", name)]
        assert found(path) == []

    def test_a_signed_module_where_an_unsigned_one_is_due(self, tmp_path: Path) -> None:
        files = {"signatures.properties": b"x", "certificates.p7b": b"x"}
        path = build_module(tmp_path / "pump.modl", files=files)
        assert found(path, signed=False) == [(ERROR, "already-signed", "certificates.p7b")]
        assert found(path, signed=True) == []


class TestFiles:
    def test_a_damaged_file_is_found(self, tmp_path: Path) -> None:
        entries = [RawEntry(name, data) for name, data in module_files().items()]
        entries.append(RawEntry("doc/image.png", crc32=1))
        path = write_zip(tmp_path / "pump.modl", entries)
        assert found(path) == [(ERROR, "entry-damaged", "doc/image.png")]

    def test_a_damaged_jar_is_found_once(self, tmp_path: Path) -> None:
        entries = [
            RawEntry(name, data, crc32=1 if name == "pump.jar" else None)
            for name, data in module_files().items()
        ]
        assert found(write_zip(tmp_path / "pump.modl", entries)) == [
            (ERROR, "entry-damaged", "pump.jar")
        ]

    def test_a_damaged_module_xml_is_found_once(self, tmp_path: Path) -> None:
        entries = [
            RawEntry(name, data, crc32=1 if name == "module.xml" else None)
            for name, data in module_files().items()
        ]
        assert found(write_zip(tmp_path / "pump.modl", entries)) == [
            (ERROR, "entry-damaged", "module.xml")
        ]

    def test_folders_are_not_read(self, tmp_path: Path) -> None:
        entries = [RawEntry(name, data) for name, data in module_files().items()]
        entries.append(RawEntry("doc/", b"", stored=b"", mode=0o040755))
        assert found(write_zip(tmp_path / "pump.modl", entries)) == []

    def test_a_backslash_in_a_name_is_a_warning(self, tmp_path: Path) -> None:
        findings = found_in(tmp_path, files={"doc\\more.html": b"<html/>"})
        assert findings == [(WARNING, "entry-backslash", "doc\\more.html")]

    def test_the_named_licence_is_missing(self, tmp_path: Path) -> None:
        assert found_in(tmp_path, files={"license.html": None}) == [
            (ERROR, "licence-missing", element("license"))
        ]

    def test_a_licence_that_is_not_named_is_a_remark(self, tmp_path: Path) -> None:
        assert found_in(tmp_path, texts={"license": None}) == [
            (INFO, "licence-not-named", "license.html")
        ]

    def test_no_licence_is_a_remark(self, tmp_path: Path) -> None:
        changes: Mapping[str, Any] = {"texts": {"license": None}, "files": {"license.html": None}}
        assert found_in(tmp_path, **changes) == [(INFO, "licence-absent", element("license"))]

    @pytest.mark.parametrize("name", ["guide.html", "doc/index.html"])
    def test_the_named_documentation_is_missing(self, tmp_path: Path, name: str) -> None:
        assert found_in(tmp_path, texts={"documentation": name}) == [
            (WARNING, "documentation-missing", element("documentation"))
        ]

    @pytest.mark.parametrize(
        ("changes", "code", "there"),
        [
            ({"files": {"license.html": None, "License.HTML": b"x"}}, "licence-", "License.HTML"),
            ({"texts": {"documentation": "INDEX.html"}}, "documentation-", "doc/index.html"),
            ({"jars": (("G", "Pump.jar"),)}, "jar-missing", "pump.jar"),
            ({"extra": "<export>PUMP.jar</export>"}, "jar-missing", "pump.jar"),
            ({"hooks": (("G", "com.example.gatewayHook"),)}, "hook-class-", HOOK),
        ],
    )
    def test_a_name_that_differs_only_in_case_is_named(
        self, tmp_path: Path, changes: dict[str, Any], code: str, there: str
    ) -> None:
        findings = check(build_module(tmp_path / "pump.modl", **changes))
        (finding,) = [one for one in findings if one.code.startswith(code)]
        assert finding.message.endswith(f"; {there!r} is, but letter case matters")

    def test_a_missing_name_without_a_similar_one(self, tmp_path: Path) -> None:
        (finding,) = check(build_module(tmp_path / "pump.modl", files={"license.html": None}))
        assert finding.message.endswith("'license.html', which isn't in the module")

    def test_two_entries_that_differ_only_in_case_are_a_warning(self, tmp_path: Path) -> None:
        files = {"doc/Index.html": b"x", "doc/INDEX.html": b"y"}
        assert found_in(tmp_path, files=files) == [
            (WARNING, "entry-case", "doc/Index.html"),
            (WARNING, "entry-case", "doc/INDEX.html"),
        ]

    def test_a_nested_module_is_a_warning(self, tmp_path: Path) -> None:
        assert found_in(tmp_path, files={"doc/Old.MODL": b"x"}) == [
            (WARNING, "nested-modl", "doc/Old.MODL")
        ]


class TestJars:
    def test_a_listed_jar_is_missing(self, tmp_path: Path) -> None:
        jars = (("G", "pump.jar"), ("G", "more.jar"), ("D", "more.jar"))
        assert found_in(tmp_path, jars=jars) == [(ERROR, "jar-missing", element("jar"))]

    def test_a_listed_export_is_missing(self, tmp_path: Path) -> None:
        assert found_in(tmp_path, extra="<export>api.jar</export>") == [
            (ERROR, "jar-missing", element("export"))
        ]

    def test_an_export_counts_as_listed(self, tmp_path: Path) -> None:
        changes = {
            "extra": "<export>api.jar</export>",
            "files": {"api.jar": jar("com.example.Api")},
        }
        assert found_in(tmp_path, **changes) == []

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"no jar",
            jar(HOOK)[:-30],
            b"PK\x05\x06",
            os.urandom(3000),
            raw_zip([RawEntry("a", flags=1)]),
            raw_zip([RawEntry("a", method=99)]),
            raw_zip([RawEntry(b"\xfc")]),
        ],
        ids=["empty", "text", "truncated", "end", "noise", "encrypted", "compression", "name"],
    )
    @pytest.mark.parametrize("kind", ["jar", "export"])
    def test_a_jar_that_does_not_open(self, tmp_path: Path, content: bytes, kind: str) -> None:
        files = {"bad.jar": content}
        if kind == "jar":
            findings = found_in(tmp_path, files=files, jars=(("G", "pump.jar"), ("G", "bad.jar")))
        else:
            findings = found_in(tmp_path, files=files, extra="<export>bad.jar</export>")
        assert findings == [(ERROR, "jar-unreadable", "bad.jar")]

    @pytest.mark.parametrize(
        ("name", "content", "is_packed"),
        [
            ("pump.jar.pack.gz", PACKED_GZ, True),
            ("pump.jar.pack", PACKED, True),
            ("PUMP.JAR.PACK.GZ", PACKED_GZ, True),
            ("pump.jar.pack.gz", gzip.compress(b"something else", mtime=0), False),
            ("pump.jar.pack.gz", PACKED_GZ[:12], False),
            ("pump.jar.pack.gz", b"\x1f", False),
            ("packed.jar", PACKED_GZ, False),
        ],
        ids=["gz", "plain", "upper", "other", "truncated", "short", "name"],
    )
    def test_a_pack200_jar_is_a_warning(
        self, tmp_path: Path, name: str, content: bytes, is_packed: bool
    ) -> None:
        jars = (("G", "pump.jar"), ("C", name))
        findings = found_in(tmp_path, files={name: content}, jars=jars)
        assert findings == [
            (WARNING, "jar-packed", name) if is_packed else (ERROR, "jar-unreadable", name)
        ]

    @pytest.mark.parametrize(
        "content",
        [
            b"#!/bin/sh\nexec java\n" + jar("com.example.More"),
            raw_zip([RawEntry("a", descriptor="plain"), RawEntry("a")]),
            raw_zip([RawEntry("../a"), RawEntry("b.class", local_name=b"c.class")]),
            zip_bytes({}),
        ],
        ids=["prefix", "duplicates", "names", "no entries"],
    )
    def test_a_jar_that_java_opens_all_the_same(self, tmp_path: Path, content: bytes) -> None:
        changes = {"files": {"odd.jar": content}, "jars": (("G", "pump.jar"), ("G", "odd.jar"))}
        assert found_in(tmp_path, **changes) == []

    def test_a_jar_too_large_for_memory_is_read_through_a_file(self, tmp_path: Path) -> None:
        ballast = {"noise.bin": os.urandom(9 << 20)}
        assert found_in(tmp_path, files={"pump.jar": jar(HOOK, files=ballast)}) == []

    def test_a_large_jar_is_not_held_in_memory(self, tmp_path: Path) -> None:
        noise = os.urandom(1 << 20) * 40
        data = raw_zip([RawEntry("noise", noise, 0), RawEntry("a/B.class", b"", 0)])
        entries = [RawEntry(name, content) for name, content in module_files().items()]
        entries[0] = RawEntry("module.xml", module_xml(jars=(("G", "pump.jar"), ("G", "big.jar"))))
        path = write_zip(tmp_path / "pump.modl", [*entries, RawEntry("big.jar", data, 0)])
        del noise, data, entries
        tracemalloc.start()
        try:
            assert found(path) == []
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 24 << 20

    def test_a_jar_that_is_not_listed_is_a_warning(self, tmp_path: Path) -> None:
        assert found_in(tmp_path, files={"stale.jar": jar("com.example.Old")}) == [
            (WARNING, "jar-unlisted", "stale.jar")
        ]

    def test_a_jar_listed_twice_is_a_warning(self, tmp_path: Path) -> None:
        jars = (("GD", "pump.jar"), ("DC", "pump.jar"), ("A", "pump.jar"))
        assert found_in(tmp_path, jars=jars) == [(WARNING, "jar-repeated", element("jar"))]

    def test_a_jar_listed_for_two_scopes_or_systems_is_fine(self, tmp_path: Path) -> None:
        extra = '<jar scope="C" os="linux">pump.jar</jar><jar scope="C" os="mac">pump.jar</jar>'
        jars = (("G", "pump.jar"), ("D", "pump.jar"))
        assert found_in(tmp_path, jars=jars, extra=extra) == []

    @pytest.mark.parametrize(
        ("first", "second", "twice"),
        [
            ("guava-30.1-jre.jar", "guava-31.1-jre.jar", True),
            ("guava-31.1-jre.jar", "guava-31.1-android.jar", True),
            ("pump-1.0.0-SNAPSHOT.jar", "pump-1.0.0.jar", True),
            ("pump-1.0.0-rc1.jar", "pump-1.0.0-rc2.jar", True),
            ("Pump-1.0.jar", "pump-2.0.jar", True),
            ("jackson-core-2.15.0.jar", "jackson-annotations-2.15.0.jar", False),
            ("netty-4.1.90.Final-linux-x86_64.jar", "netty-4.1.90.Final-osx-x86_64.jar", False),
            ("netty-4.1.90.Final-linux-x86_64.jar", "netty-4.1.91.Final-linux-x86_64.jar", True),
            ("log4j-1.2-api-2.20.0.jar", "log4j-api-2.20.0.jar", False),
            ("gateway.jar", "designer.jar", False),
            ("rxjava-3.1.8.jar", "rxjava2-2.2.21.jar", False),
        ],
    )
    def test_one_library_twice_is_a_warning(
        self, tmp_path: Path, first: str, second: str, twice: bool
    ) -> None:
        changes = {
            "files": {first: jar("org.lib.A"), second: jar("org.lib.A")},
            "jars": (("G", "pump.jar"), ("G", first), ("G", second)),
        }
        assert found_in(tmp_path, **changes) == [(WARNING, "library-twice", second)] * twice

    def test_a_hook_class_that_no_jar_holds(self, tmp_path: Path) -> None:
        hooks = (("G", HOOK), ("D", "com.example.DesignerHook"))
        assert found_in(tmp_path, hooks=hooks) == [(ERROR, "hook-class-missing", element("hook"))]

    def test_a_hook_class_in_an_unlisted_jar_does_not_count(self, tmp_path: Path) -> None:
        changes = {
            "files": {"pump.jar": jar("com.example.Other"), "stale.jar": jar(HOOK)},
        }
        assert found_in(tmp_path, **changes) == [
            (ERROR, "hook-class-missing", element("hook")),
            (WARNING, "jar-unlisted", "stale.jar"),
        ]

    def test_a_hook_class_for_newer_java_only_does_not_count(self, tmp_path: Path) -> None:
        name = "META-INF/versions/17/" + HOOK.replace(".", "/") + ".class"
        changes = {"files": {"pump.jar": jar("com.example.Other", files={name: b"x"})}}
        assert found_in(tmp_path, **changes) == [(ERROR, "hook-class-missing", element("hook"))]

    @pytest.mark.parametrize(("hook", "listed"), [("D", "G"), ("GD", "G"), ("A", "GD")])
    def test_a_hook_class_in_a_jar_of_another_scope(
        self, tmp_path: Path, hook: str, listed: str
    ) -> None:
        changes = {"hooks": ((hook, HOOK),), "jars": ((listed, "pump.jar"),)}
        assert found_in(tmp_path, **changes) == [(ERROR, "hook-class-scope", element("hook"))]

    def test_a_hook_class_may_be_in_several_jars_that_share_its_scopes(
        self, tmp_path: Path
    ) -> None:
        changes = {
            "hooks": (("GD", HOOK),),
            "jars": (("G", "pump.jar"), ("D", "designer.jar")),
            "files": {"designer.jar": jar(HOOK)},
        }
        assert found_in(tmp_path, **changes) == []

    @pytest.mark.parametrize(
        ("ignition", "major", "warned"),
        [
            ("7.9.0", 52, False),
            ("7.9.0", 53, True),
            ("8.0.0", 55, False),
            ("8.1.20", 55, False),
            ("8.1.20", 56, True),
            ("8.1.20", JAVA_17, True),
            ("8.1.32", JAVA_17, True),
            ("8.1.33", JAVA_17, False),
            ("8.1.33-rc1", JAVA_17, False),
            ("8.1.33.1", 62, True),
            ("8.3.0", JAVA_17, False),
            ("8.3.0", 65, True),
        ],
    )
    def test_classes_newer_than_the_platform_are_a_warning(
        self, tmp_path: Path, ignition: str, major: int, warned: bool
    ) -> None:
        changes = {
            "texts": {"requiredIgnitionVersion": ignition},
            "files": {"pump.jar": jar(HOOK, major=major)},
        }
        assert found_in(tmp_path, **changes) == [(WARNING, "class-too-new", "pump.jar")] * warned

    @pytest.mark.parametrize(
        ("ignition", "major", "hint"),
        [
            ("8.1.20", 61, "Java 11 (options.release = 11), or require Ignition 8.1.33."),
            ("7.9.0", 61, "Java 8 (options.release = 8), or require Ignition 8.1.33."),
            ("7.9.0", 55, "Java 8 (options.release = 8), or require Ignition 8.0.0."),
            ("8.1.20", 65, "Java 11 (options.release = 11)."),
            ("8.3.0", 65, "Java 17 (options.release = 17)."),
        ],
    )
    def test_classes_that_are_too_new_have_a_way_out(
        self, tmp_path: Path, ignition: str, major: int, hint: str
    ) -> None:
        texts = {"requiredIgnitionVersion": ignition}
        files = {"pump.jar": jar(HOOK, major=major)}
        (finding,) = check(build_module(tmp_path / "pump.modl", texts=texts, files=files))
        assert finding.hint == f"compile for {hint}"

    def test_classes_for_newer_java_in_their_own_place_are_fine(self, tmp_path: Path) -> None:
        more = {
            "META-INF/versions/21/a/B.class": class_file("a.B", major=65),
            "module-info.class": class_file("module-info", major=65),
            "a/NoClass.class": b"\0" * 20,
            "a/Short.class": b"\xca\xfe",
        }
        assert found_in(tmp_path, files={"pump.jar": jar(HOOK, files=more)}) == []

    def test_ignitions_own_classes_in_a_jar_are_a_warning(self, tmp_path: Path) -> None:
        sdk = jar(HOOK, "com.inductiveautomation.ignition.gateway.model.GatewayContext")
        assert found_in(tmp_path, files={"pump.jar": sdk}) == [(WARNING, "sdk-bundled", "pump.jar")]

    def test_the_vendors_example_modules_are_not_taken_for_the_sdk(self, tmp_path: Path) -> None:
        example = jar(HOOK, "com.inductiveautomation.ignition.examples.gateway.Hook")
        assert found_in(tmp_path, files={"pump.jar": example}) == []

    @pytest.mark.parametrize(
        ("version", "warned"), [("1.2.3", False), ("1.2.3.0", False), ("1.2.2", True)]
    )
    def test_another_version_in_the_modules_own_manifest_is_a_warning(
        self, tmp_path: Path, version: str, warned: bool
    ) -> None:
        files = {"pump.jar": jar(HOOK, manifest={"Implementation-Version": version})}
        expected = [(WARNING, "manifest-version", "pump.jar")] * warned
        assert found_in(tmp_path, files=files) == expected

    def test_libraries_have_versions_of_their_own(self, tmp_path: Path) -> None:
        changes = {
            "files": {"lib.jar": jar("a.B", manifest={"Implementation-Version": "31.1"})},
            "jars": (("G", "pump.jar"), ("G", "lib.jar")),
        }
        assert found_in(tmp_path, **changes) == []


def test_a_hostile_module_is_checked_in_bounded_time(tmp_path: Path) -> None:
    """Thousands of hooks and jars must not be multiplied with each other."""
    hooks = tuple(("G", f"a.Hook{number}") for number in range(4000))
    jars = tuple(("G", f"{number}.jar") for number in range(4000))
    content = jar("a.Hook1")
    files = {name: content for _, name in jars}
    findings = found_in(tmp_path, hooks=hooks, jars=(("G", "pump.jar"), *jars), files=files)
    assert {code for _, code, _ in findings} == {"hook-duplicate", "hook-class-missing"}

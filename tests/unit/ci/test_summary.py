"""The summary page: the result first, everything escaped, never too large."""

from __future__ import annotations

import re

import pytest

from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import (
    FindingRow,
    ModuleRow,
    StageRow,
    Summary,
    escape,
    render_summary,
)
from ign_deploy.module.findings import error, info, warning

MODULE = ModuleRow(
    id="org.example.mod",
    version="1.2.3",
    name="Example",
    ignition_version="8.1.0",
    file="dist/example.modl",
    size=1_234_567,
    sha256="a" * 64,
    signer="CN=Example",
    certificate_sha1="b" * 40,
    certificate_sha256="c" * 64,
    result="uploaded",
    url="https://example.com/r?a=1&b=2",
)


def render(**parts: object) -> str:
    defaults: dict[str, object] = {"headline": "Released", "succeeded": True}
    return render_summary(Summary(**{**defaults, **parts}), masker=Masker())  # type: ignore[arg-type] # parts of any kind


def test_the_result_comes_first() -> None:
    assert render().startswith("## ✅ Released\n")
    assert render(succeeded=False, headline="Upload failed").startswith("## ❌ Upload failed\n")


def test_a_failure_says_what_happened_and_what_to_do() -> None:
    page = render(succeeded=False, error="no key", hint="give a key.")
    assert "**What happened:** no key" in page
    assert "**What to do:** give a key." in page


def test_the_tables_name_the_module_and_its_fingerprints() -> None:
    page = render(modules=[MODULE])
    for text in (
        "Example",
        "org.example.mod",
        "1.2.3",
        "8.1.0",
        "1.2 MB",
        "CN=Example",
        "uploaded",
    ):
        assert text in page
    assert f"<code>{'a' * 64}</code>" in page
    assert f"<code>{'b' * 40}</code>" in page
    assert '<a href="https://example.com/r?a=1&#38;b=2">uploaded</a>' in page


def test_every_table_row_has_the_cells_of_its_header() -> None:
    nasty = ModuleRow(id="a|b", version="1|2", name="x\n| y |", signer="`|`", result="|")
    page = render(
        modules=[MODULE, nasty],
        findings=[FindingRow(error("e|1", "a|b\nc", location="|", hint="|"), "f|g")],
        stages=[StageRow("sign", 1.5), StageRow("upload", 0, "skipped", "dry | run")],
    )
    for table in re.findall(r"(?:^\|.*\|$\n?)+", page, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc", 'https://x/" onclick="y', ""]
)
def test_only_web_addresses_become_links(url: str) -> None:
    page = render(modules=[ModuleRow(id="a", version="1", result="uploaded", url=url)])
    assert 'onclick="' not in page
    assert ("<a href" in page) == url.startswith('https://x/" ') or "<a href" not in page


def test_untrusted_text_is_neither_markup_nor_link_nor_mention() -> None:
    hostile = (
        "<img src=x> [a](b) `c` *d* _e_ | @user #1 ~~f~~ $g$ https://evil www.evil ![i](j) <!--"
    )
    escaped = escape(hostile)
    assert not re.search(r"[<>`*_|@~$\[\]]", escaped)
    assert "://" not in escaped
    assert "www." not in escaped
    assert not re.search(r"#(?!\d+;)", escaped)


def test_control_characters_and_line_breaks_do_not_reach_the_page() -> None:
    assert escape("a\x1b[31mb\x07\nc") == "ab&#92;x07 c"


def test_findings_come_worst_first_with_their_files() -> None:
    page = render(
        findings=[
            FindingRow(info("i1", "remark"), "x.modl"),
            FindingRow(warning("w1", "odd"), "y.modl"),
            FindingRow(error("e1", "bad", location="lib.jar"), "z.modl"),
        ]
    )
    assert page.index("e1") < page.index("w1") < page.index("i1")
    assert "z.modl: lib.jar" in page
    assert "### Findings (3)" in page


def test_stage_timings_are_a_chart_and_a_table() -> None:
    page = render(
        stages=[
            StageRow("package", 5.25),
            StageRow("sign: x, y;", 0.1, "failed"),
            StageRow("upload", 0, "skipped", "dry run"),
        ]
    )
    assert "    package :done, 0, 5250\n    sign  x  y :crit, 5250, 5350\n```" in page
    assert "⏭️ skipped" in page
    assert "dry run" in page


def test_a_secret_is_redacted_before_escaping_disguises_it() -> None:
    masker = Masker()
    masker.add("p|ss*word")
    page = render_summary(
        Summary(
            headline="with p|ss*word",
            succeeded=True,
            modules=[ModuleRow(id="p|ss*word", version="1")],
            findings=[FindingRow(error("e", "p|ss\x1b[0m*word"))],
        ),
        masker=masker,
    )
    assert "word" not in page
    assert page.count("\\*\\*\\*") + page.count("&#42;&#42;&#42;") == 3


def test_thousands_of_modules_and_findings_stay_below_the_limit() -> None:
    page = render(
        modules=[ModuleRow(id=f"org.{n}." + "ü|" * 300, version="1") for n in range(5000)],
        findings=[FindingRow(error("e", "🙂" * 500, location=str(n))) for n in range(5000)],
        stages=[StageRow(f"stage {n}", 1.0, reason="🙂" * 500) for n in range(5000)],
        next_steps=["🙂" * 500] * 5000,
        error="x" * 2_000_000,
    )
    assert len(page.encode()) < 1024 * 1024
    assert "more; the result file has everything" in page

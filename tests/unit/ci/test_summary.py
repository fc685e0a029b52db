"""The summary page: the result first, everything escaped, never too large."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ign_deploy.ci.github import SUMMARY_SIZE
from ign_deploy.ci.markdown import escape, split_steps
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import (
    FindingRow,
    ModuleRow,
    StageRow,
    Summary,
    SummaryTable,
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


def test_a_failure_begins_with_verdict_cause_place_and_steps() -> None:
    """In the order in which people read; the error's own finding isn't printed again."""
    problem = error("no-line", "no signed line", location="lib.jar", hint="sign it.")
    page = render(
        headline="Not released: A 1.0",
        succeeded=False,
        error="no signed line",
        hint="sign it.",
        findings=[
            FindingRow(warning("old-key", "the key is old", hint="make a new one.")),
            FindingRow(problem, "a.modl"),
        ],
        stages=[StageRow("sign", 1.0, "failed")],
        modules=[MODULE],
    )
    assert page.startswith(
        "## ❌ Not released: A 1.0\n\n**Cause:** no signed line\n\n"
        "**Where:** <code>a.modl: lib.jar</code>\n\n### Next\n\n- Sign it.\n\n### Findings (1)\n"
    )
    assert page.count("no signed line") == 1
    titles = re.findall("^### (.*)$", page, re.MULTILINE)
    assert titles == ["Next", "Findings (1)", "Modules", "Fingerprints", "Stages"]


def test_there_is_one_list_of_next_steps() -> None:
    """Numbered steps of a hint are items of it, and none is there twice."""
    page = render(
        hint="1. look at `line-1`. 2. run `a | b`.", next_steps=["run `a | b`.", "raise 1. or 2."]
    )
    steps = page.partition("### Next\n\n")[2].splitlines()
    assert steps == [
        "1. Look at <code>line-1</code>.",
        "2. Run <code>a &#124; b</code>.",
        "3. Raise 1. or 2.",
    ]
    assert page.count("### ") == 1


@pytest.mark.parametrize(
    ("hint", "steps"),
    [
        ("", []),
        ("raise the version 1. 2. times", ["raise the version 1. 2. times"]),
        ("1. a 1.2. b. 2. c", ["a 1.2. b.", "c"]),
        ("1. a 3. b", ["a 3. b"]),
        ("2. a", ["2. a"]),
        ("a\n\nb", ["a", "b"]),
    ],
)
def test_only_a_numbered_hint_is_split(hint: str, steps: list[str]) -> None:
    assert split_steps(hint) == steps


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


def test_fingerprints_are_a_list_with_each_certificate_once() -> None:
    """A table was wider than the page: the fingerprint was cut off."""
    modules = [replace(MODULE, id=f"m{n}", file=f"m{n}.modl", sha256=f"{n}" * 64) for n in (1, 2)]
    lines = render(modules=modules).partition("### Fingerprints\n\n")[2].splitlines()
    assert lines == [
        "- **Signed by:** CN=Example",
        f"- **Certificate SHA-1, as the gateway shows it:** <code>{'b' * 40}</code>",
        f"- **Certificate SHA-256:** <code>{'c' * 64}</code>",
        f"- **m1.modl** SHA-256: <code>{'1' * 64}</code>",
        f"- **m2.modl** SHA-256: <code>{'2' * 64}</code>",
    ]


def test_many_digests_are_folded() -> None:
    modules = [replace(MODULE, file=f"m{n}.modl") for n in range(12)]
    shown, _, folded = render(modules=modules).partition("<details>")
    assert folded.startswith("<summary>SHA-256 of 12 files</summary>\n\n- **m0.modl** SHA-256: ")
    assert folded.endswith("\n\n</details>\n")
    assert "m0.modl" not in shown


def test_a_table_has_no_empty_column() -> None:
    page = render(
        modules=[ModuleRow(id="a", version="", result="failed")],
        findings=[FindingRow(error("e1", "bad"))],
        stages=[StageRow("sign", 1.0)],
        tables=[SummaryTable("Paths", ("Path", "Module", "Why"), [("a", "", "x"), ("b", "", "")])],
    )
    headers = [line for line in page.splitlines() if line.startswith("|")]
    assert "| Module | Result |" in headers
    assert "| Severity | Code | What |" in headers
    assert "| Stage | Result | Time |" in headers
    assert "| Path | Why |" in headers


def test_every_table_row_has_the_cells_of_its_header() -> None:
    nasty = ModuleRow(id="a|b", version="1|2", name="x\n| y |", signer="`|`", result="|")
    page = render(
        modules=[MODULE, nasty],
        findings=[FindingRow(error("e|1", "a|b\nc", location="|", hint="|"), "f|g")],
        stages=[StageRow("sign", 1.5), StageRow("upload", 0, "skipped", "dry | run")],
        tables=[SummaryTable("T | 1", ("a|b", "c"), [("|", "`x|y`"), ("\n|\n", "\u202e|")])],
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


@pytest.mark.parametrize(("seconds", "is_charted"), [(59.0, False), (61.0, True)])
def test_stage_timings_are_a_table_and_a_chart_above_a_minute(
    seconds: float, is_charted: bool
) -> None:
    page = render(
        stages=[
            StageRow("package", seconds - 0.1),
            StageRow("sign: x, y;", 0.1, "failed"),
            StageRow("upload", 0, "skipped", "dry run"),
        ]
    )
    assert ("```mermaid" in page) == is_charted
    if is_charted:
        assert "    package :done, 0, 60900\n    sign  x  y :crit, 60900, 61000\n```" in page
    assert "| upload | ⏭️ skipped |  | dry run |" in page
    assert page.index("| package |") < page.index("| sign: x, y; |")


def test_a_secret_is_redacted_before_escaping_disguises_it() -> None:
    masker = Masker()
    masker.add("p|ss*word")
    page = render_summary(
        Summary(
            headline="with p|ss*word",
            succeeded=True,
            modules=[ModuleRow(id="p|ss*word", version="1", result="uploaded")],
            findings=[FindingRow(error("e", "p|ss\x1b[0m*word"))],
        ),
        masker=masker,
    )
    assert "word" not in page
    assert page.count("\\*\\*\\*") + page.count("&#42;&#42;&#42;") == 3


def test_a_page_that_is_too_large_keeps_verdict_and_failures() -> None:
    """The failures are the last of thousands, and all text is as long and wide as can be."""
    filler = "🙂|" * 1000

    def rows(name: str) -> list[tuple[str, str]]:
        return [(f"{name}{n}", filler) for n in range(100)]

    page = render(
        succeeded=False,
        headline="Not released " + filler,
        error="the cause " + filler,
        hint=filler,
        next_steps=[f"{n} {filler}" for n in range(100)],
        modules=[
            *(
                ModuleRow(name, "1", sha256=name, file=text, reason=text)
                for name, text in rows("m")
            ),
            ModuleRow("the-failed-one", "1", result="failed", reason=filler),
        ],
        findings=[
            *(FindingRow(info("i", name + text, hint=text), text) for name, text in rows("f")),
            FindingRow(error("the-error", filler)),
        ],
        stages=[
            *(StageRow(name + text, 1.0, reason=text) for name, text in rows("s")),
            StageRow("the-failed-stage", 1.0, "failed", filler),
        ],
        tables=[SummaryTable("A", ("a", "b"), rows("t")), SummaryTable("B", ("a", "b"), rows("u"))],
    )
    assert len(page.encode()) < SUMMARY_SIZE
    assert page.startswith("## ❌ Not released ")
    for kept in ("**Cause:** the cause", "the-failed-one", "the-error", "the-failed-stage"):
        assert kept in page
    assert page.count("more; the result file has everything") == 7
    assert page.count("<details>") == page.count("</details>") == 1

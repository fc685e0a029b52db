"""How Sphinx makes the site of docs/: `make docs`.

The pages stay plain Markdown for GitHub. What a site needs besides is added while reading them: the
navigation, which is the list of all pages in index.md, and addresses of files outside of docs/.
"""

import re
from pathlib import Path
from typing import Any

from ign_deploy import __version__

DOCS = Path(__file__).resolve().parents[2] / "docs"
REPOSITORY = "https://github.com/org/ign-deploy"

project = "ign-deploy"
release = __version__
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "ign-deploy"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
}

_OUTSIDE = re.compile(r"(?<=\]\()((?:\.\./)+)([^)\s]*)(?=\))")


def navigation(index: str) -> str:
    """Return a hidden table of contents per section of the index's list of all pages."""
    _, _, pages = index.partition("\n## All pages\n")
    parts = re.split(r"^### (.+)\n", pages, flags=re.MULTILINE)[1:]
    return "".join(
        _toctree(caption, re.findall(r"\]\(([\w/-]+)\.md\)", text))
        for caption, text in zip(parts[::2], parts[1::2], strict=True)
    )


def _toctree(caption: str, pages: list[str]) -> str:
    listed = "\n".join(pages)
    return f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def outside_links(text: str, *, page: str) -> str:
    """Return a page with addresses instead of links to files outside of docs/."""
    depth = page.count("/") + 1

    def address(found: re.Match[str]) -> str:
        if len(found[1]) < 3 * depth:
            return found[0]
        path = found[2].partition("#")[0]
        kind = "tree" if (DOCS.parent / path).is_dir() else "blob"
        return f"{REPOSITORY}/{kind}/main/{found[2]}"

    return _OUTSIDE.sub(address, text)


def complete(_app: Any, page: str, source: list[str]) -> None:
    """Add to a page what GitHub doesn't need."""
    source[0] = outside_links(source[0], page=page)
    if page == "index":
        source[0] += navigation(source[0])
    if page == "decisions/README":
        decisions = sorted(path.stem for path in (DOCS / "decisions").glob("0*.md"))
        source[0] += _toctree("", decisions).replace(":caption: \n", "")


def setup(app: Any) -> None:
    """Register what completes the pages."""
    app.connect("source-read", complete)

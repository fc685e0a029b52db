from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser

from ign_deploy.repositories.page import page_bytes

ALLOWED_SCHEMES = re.compile(r"(?!//)(?:[^:]*\Z|data:image/svg)")


class Elements(HTMLParser):
    """Collects elements, attributes and the raw texts of scripts and styles."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(page.decode("ascii"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside].append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    @property
    def policy(self) -> dict[str, str]:
        (meta,) = (each for tag, each in self.elements if tag == "meta" and "http-equiv" in each)
        parts = (part.partition(" ") for part in str(meta["content"]).split("; "))
        return {name: value for name, _, value in parts}


PAGE = Elements(page_bytes())


def digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_page_is_the_same_each_time() -> None:
    page = page_bytes()
    page_bytes.cache_clear()
    assert page_bytes() == page


def test_the_policy_allows_the_pages_own_script_and_style_and_documents_alone() -> None:
    (script,), (style,) = PAGE.raw["script"], PAGE.raw["style"]
    assert PAGE.policy == {
        "default-src": "'none'",
        "script-src": f"{digest(script)} 'self' file:",
        "style-src": digest(style),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "ign-deploy",
    }


def test_the_policy_stands_before_everything_it_is_for() -> None:
    assert [tag for tag, _ in PAGE.elements][:4] == ["html", "head", "meta", "meta"]


def test_nothing_is_loaded_from_elsewhere() -> None:
    for tag, attributes in PAGE.elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "svg", "video", "audio"}
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        for name in ("href", "src", "action", "srcset"):
            assert ALLOWED_SCHEMES.match(attributes.get(name) or "")
    assert "url(" not in PAGE.raw["style"][0]
    assert "@import" not in PAGE.raw["style"][0]


def test_no_variable_is_left() -> None:
    assert b"{{" not in page_bytes().replace(b"{{}}", b"")


def test_all_bytes_are_ascii() -> None:
    assert page_bytes().isascii()

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from html.parser import HTMLParser
from importlib import resources

import pytest

from ign_deploy.repositories.page import PageModule, render_page
from ign_deploy.repositories.page.render import visible
from tests.support.page_samples import (
    HOSTILE_TEXTS,
    forged_module,
    hostile_module,
    ordinary_modules,
)

ALLOWED_SCHEMES = re.compile(r"(?!//)(?:[^:]*\Z|data:image/svg)")


class Elements(HTMLParser):
    """Collects elements, attributes and the raw texts of scripts and styles."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self._inside = ""
        self.feed(page.decode("ascii"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside].append(data)
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def policy(self) -> dict[str, str]:
        (meta,) = (each for each in self.named("meta") if "http-equiv" in each)
        parts = (part.partition(" ") for part in str(meta["content"]).split("; "))
        return {name: value for name, _, value in parts}


def digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_equal_modules_give_equal_bytes() -> None:
    assert render_page(ordinary_modules()) == render_page(ordinary_modules())
    backwards = [
        PageModule(**dict(reversed(module.items())))  # type: ignore[typeddict-item]
        for module in ordinary_modules()
    ]
    assert render_page(backwards) == render_page(ordinary_modules())


@pytest.mark.parametrize(
    "modules", [[], ordinary_modules(), [hostile_module()], [forged_module()]], ids=len
)
def test_the_policy_allows_the_pages_own_script_and_style_alone(modules: list[PageModule]) -> None:
    page = Elements(render_page(modules))
    _, script = page.raw["script"]
    (style,) = page.raw["style"]
    assert page.policy == {
        "default-src": "'none'",
        "script-src": digest(script),
        "style-src": digest(style),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_policy_stands_before_everything_it_is_for() -> None:
    tags = [tag for tag, _ in Elements(render_page(ordinary_modules())).elements]
    assert tags[:4] == ["html", "head", "meta", "meta"]


@pytest.mark.parametrize("modules", [ordinary_modules(), [hostile_module(), forged_module()]])
def test_nothing_is_loaded_from_elsewhere(modules: list[PageModule]) -> None:
    page = Elements(render_page(modules))
    for tag, attributes in page.elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "svg", "video", "audio"}
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        for name in ("href", "src", "action", "srcset"):
            assert ALLOWED_SCHEMES.match(attributes.get(name) or "")
    assert "url(" not in page.raw["style"][0]
    assert "@import" not in page.raw["style"][0]


def test_hostile_texts_add_no_element() -> None:
    hostile, ordinary = hostile_module(), ordinary_modules()[0]
    tags = {tag for tag, _ in Elements(render_page([ordinary])).elements} | {"strong"}
    title = f"</title><script>{HOSTILE_TEXTS[0]}"
    page = Elements(render_page([hostile, forged_module()], title=title))
    assert {tag for tag, _ in page.elements} <= tags
    assert len(page.named("script")) == 2
    assert "</script><script>hacked=1</script>" in page.text


def test_what_is_put_in_is_not_filled_in_again() -> None:
    (ordinary,) = ordinary_modules()[:1]
    ordinary["name"] = "{{style}} {{data}} \\1 \\g<0>"
    page = Elements(render_page([ordinary], title="{{script}}"))
    assert "{{script}}" in page.text
    assert "{{style}} {{data}} \\1 \\g<0>" in page.text
    assert len(page.raw["style"]) == 1


def test_the_embedded_data_has_no_markup_and_is_what_was_given() -> None:
    modules = [hostile_module(), *ordinary_modules()]
    data = Elements(render_page(modules)).raw["script"][0]
    assert not set("<>&\u2028\u2029") & set(data)
    assert json.loads(data)["modules"] == modules


def test_all_bytes_are_ascii() -> None:
    modules = ordinary_modules()
    modules[0]["name"] = "Größe ✓ 😀 \ud800"
    page = render_page(modules, title="Größe")
    assert page.isascii()
    assert "Größe" in Elements(page).text


def test_the_same_characters_are_made_visible_with_and_without_javascript() -> None:
    assets = resources.files("ign_deploy.repositories.page").joinpath("assets")
    script = assets.joinpath("text.js").read_text("ascii")
    match = re.search(r"const ODD = /\[(.*)\]/gu;", script)
    assert match is not None
    ours = re.sub(r"\\u\{([0-9a-f]+)\}", lambda m: f"\\U{int(m[1], 16):08x}", match[1])
    odd = re.compile("[" + ours.replace(r"\0", r"\x00") + "]")
    for code in range(0x110000):
        char = chr(code)
        assert (visible(char) != char) == bool(odd.match(char)), hex(code)


def test_invisible_characters_are_shown_by_their_number() -> None:
    assert visible("a\u202eb\x00\u200b\U000e0041\tü\n") == "aU+202EbU+0000U+200BU+E0041\tü\n"


def test_of_a_pile_of_marks_four_stay() -> None:
    assert visible("e" + "\u0301" * 500 + "x" + "\u0301" * 4) == "e\u0301\u0301\u0301\u0301…x" + (
        "\u0301" * 4
    )


def test_a_long_title_is_cut() -> None:
    assert len(render_page([], title="t" * 1_000_000)) < 100_000

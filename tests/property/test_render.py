"""Rendered files mean the same to every YAML reader, for any name, URL or folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ign_deploy.errors import ConfigurationError
from ign_deploy.render import KINDS, RenderedModule, RenderKind, render
from ign_deploy.render.text import header, yaml_document
from tests.support.rendering import OPTIONS, PUMP, compose_value, documents, fetch_commands

SCALARS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["1e3", "0o17", "0x1F", "on", "No", "~", "1:30", "2026-01-31", "=", "<<", ".inf"]
    ),
    st.from_regex(r"[0-9.eE+_:-]{1,8}", fullmatch=True),
)
NASTY = st.text(st.sampled_from("$(){}:#'\"\\ %&*!|>@`,[]-\t\n\x85\u2028ab/é"), max_size=25)
FIELDS = ("id", "version", "file_name", "sha256", "url", "certificate_sha256")
OPTION_NAMES = ("repository_url", "name", "namespace", "repository_claim", "image", "storage_size")


def read_strictly(text: str) -> list[Any]:
    """Read as YAML 1.2, while PyYAML reads 1.1: both must agree."""
    return list(YAML(typ="safe", pure=True).load_all(text))


@given(st.dictionaries(SCALARS, SCALARS, max_size=5))
def test_every_text_stays_a_text_in_both_yaml_versions(tree: dict[str, str]) -> None:
    text = yaml_document(tree)
    assert text.isascii()
    assert yaml.safe_load(text) == tree
    assert read_strictly(text) == [tree]


@given(*[st.lists(st.text(max_size=200), min_size=1, max_size=3)] * 3)
def test_nothing_ends_a_comment(paragraphs: list[str], items: list[str], notes: list[str]) -> None:
    text = header(paragraphs, listed=items, notes=notes) + "key: value\n"
    assert yaml.safe_load(text) == {"key": "value"}
    assert read_strictly(text) == [{"key": "value"}]


@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), st.one_of(NASTY, st.text(max_size=20)), max_size=2),
    st.dictionaries(
        st.sampled_from(OPTION_NAMES), st.one_of(NASTY, st.text(max_size=20)), max_size=2
    ),
)
def test_hostile_texts_are_rejected_or_unchanged(
    kind: RenderKind, fields: dict[str, str], changes: dict[str, Any]
) -> None:
    module: RenderedModule = replace(PUMP, **fields)  # type: ignore[arg-type]
    options = replace(OPTIONS, accept_certificates=(), **changes)
    try:
        result = render(kind, [module], options)
    except ConfigurationError:
        return
    assert read_strictly(result.text) == documents(result)
    (command,) = fetch_commands(kind, result)
    repository = "/repository" if options.repository_folder else options.repository_url
    assert command[2:5] == [module.id, "--version", module.version]
    assert command[-1] == repository
    assert len(command) == 11


@given(st.sampled_from(KINDS), NASTY.filter(str.isprintable))
def test_a_url_is_unchanged(kind: RenderKind, path: str) -> None:
    url = f"https://modules.example.com/{path}"
    options = replace(OPTIONS, repository_url=url, accept_certificates=())
    (command,) = fetch_commands(kind, render(kind, [PUMP], options))
    assert command[-1] == url


@given(NASTY.filter(str.isprintable))
def test_a_folder_is_unchanged_in_compose(name: str) -> None:
    options = replace(OPTIONS, repository_url=f"/srv/{name}", accept_certificates=())
    try:
        result = render("compose", [PUMP], options)
    except ConfigurationError:
        assert "://" in name
        return
    if options.repository_folder:
        (service, *_) = documents(result)[0]["services"].values()
        assert compose_value(service["volumes"][1]["source"]) == f"/srv/{name}"

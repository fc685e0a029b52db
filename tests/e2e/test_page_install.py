"""What is copied from a repository's page works as it is printed there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, static_site
from tests.e2e.page_visits import FOCUSED, STATUS, opened_from, visit
from tests.support.cli import CliWorkspace, GatewayCli, Result, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway.client import MODULE_ID
from tests.support.page_samples import ordinary_modules, release, sample_module, write_site
from tests.support.servers import nginx


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two versions of a module."""
    return published_repository(tmp_path_factory.mktemp("repository"), "1.0.0", "1.1.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


@contextmanager
def page_of(folder: Path, repository: Path, where: str) -> Iterator[str]:
    """Yield the address of the repository's page, in a folder or on a server that can be written.

    The line has to quote the folder's name.
    """
    if where == "folder":
        named = repository.rename(folder / "the plant's $HOME")
        yield (named / "index.html").as_uri()
        return
    with nginx(folder / "nginx") as server:
        repository.rename(server.root / "store")
        yield f"{server.url}/store/index.html"


def copied(what: str) -> list[tuple[str, str | None]]:
    """Return the steps that copy a command by its button, and read it from the clipboard."""
    area = "document.querySelector('textarea')"
    return [
        ("do", "document.body.append(document.createElement('textarea'))"),
        ("do", f"document.querySelector('.open button[aria-label=\"Copy {what}\"]').focus()"),
        ("press", "Enter"),
        ("wait", f"{STATUS} === 'Copied {what}.'"),
        ("do", f"{area}.focus()"),
        ("press", "Control+V"),
        ("evaluate", f"{area}.value"),
        ("do", f"{area}.remove()"),
    ]


def run_printed(cli: GatewayCli, line: str) -> Result:
    """Run a line as a shell reads it, where gateways may be restarted."""
    name, *arguments = shlex.split(line)
    assert name == "ign-deploy"
    return cli.call(*arguments, IGN_DEPLOY_RESTART="if-needed")


@pytest.mark.parametrize("where", ["folder", "server"])
def test_the_lines_work_as_they_are_printed(
    tmp_path: Path, browser: Browser, cli: GatewayCli, where: str
) -> None:
    with page_of(tmp_path, cli.workspace.repository, where) as url:
        install, download, accept = visit(
            browser,
            f"{url}#{MODULE_ID}@1.0.0",
            ("do", "document.querySelector('.gateway input').focus()"),
            ("type", cli.gateway.url),
            *copied("the line to install"),
            *copied("the line to download"),
            *copied("what to add"),
        )
        if where == "folder":
            # Nothing is accepted that the operator hasn't compared.
            assert "requires you to accept" in run_printed(cli, install).must(7).stderr
        run_printed(cli, f"{install} {accept}").must(0)
        assert active(cli.gateway) == "1.0.0"
        run_printed(cli, download).must(0)
        assert (cli.workspace.folder / "dist" / f"{MODULE_ID}-1.0.0.modl").is_file()


def test_without_an_address_the_line_is_for_the_gateways_of_the_config_file(
    browser: Browser, page: str
) -> None:
    line = "document.querySelector('.open .command code').textContent"
    field = "document.querySelector('.gateway input')"
    empty, wrong, valid = visit(
        browser,
        f"{page}#com.acme.vision.gauges",
        ("evaluate", line),
        ("do", f"{field}.focus()"),
        ("type", "https://gw'; rm -rf /"),
        ("evaluate", line),
        ("evaluate", f"{field}.validity.valid"),
    )
    folder = page.removesuffix("index.html")
    assert empty == f"ign-deploy install com.acme.vision.gauges@4.2.1 --repository-url {folder}"
    assert (wrong, valid) == (empty, False)


def test_the_line_of_an_isolated_page_is_for_nexus(tmp_path: Path, browser: Browser) -> None:
    write_site(tmp_path / "site", ordinary_modules())
    line = "document.querySelector('.open .command code').textContent"
    with opened_from(tmp_path / "site", "sandbox") as url:
        (shown,) = visit(browser, f"{url}#com.acme.batch", ("evaluate", line))
    assert shown.endswith(f" --repository-url nexus+{url}")


def test_what_is_copied_arrives_on_the_clipboard(browser: Browser, site: str) -> None:
    button, value = visit(
        browser,
        f"{site}#com.acme.vision.gauges",
        ("do", "document.querySelectorAll('article.open .command button')[1].focus()"),
        ("press", "Enter"),
        ("wait", f"{STATUS}.startsWith('Copied')"),
        ("evaluate", FOCUSED),
        ("press", "/"),
        ("press", "Control+V"),
        ("evaluate", "document.querySelector('#_query').value"),
    )
    assert value == (
        f"ign-deploy download com.acme.vision.gauges --version 4.2.1 --repository-url {site}"
    )
    assert button == "Copied"


def test_a_download_link_leads_to_the_published_file(tmp_path: Path, browser: Browser) -> None:
    each = release("com.acme.odd", "1.0.0+b_1")
    folder = tmp_path / "site"
    write_site(folder, [sample_module([(each, None)])])
    (folder / "modules" / each.id / each.version / each.module_file.name).write_bytes(b"the module")
    href = "document.querySelector('a.button').href"
    fetched = f"(async () => (await fetch({href})).text())()"
    with static_site(folder) as address:
        (content,) = visit(browser, address, ("evaluate", fetched))
    assert content == "the module"

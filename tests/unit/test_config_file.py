"""Errors of the config file: the line, a caret, and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import CombinedError, ConfigurationError, IgnDeployError
from ign_deploy.settings import Inputs
from tests.support.cli import make_workspace

GATEWAY = '[[gateways]]\nname = "a"\nurl = "https://a"\n'


def problem_of(text: str | bytes, folder: Path) -> IgnDeployError:
    """Return the error for a config file with that text."""
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "ign-deploy.toml").write_bytes(data)
    with pytest.raises(IgnDeployError) as caught:
        Inputs(env={}, flags={}, folder=folder).resolve()
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


@pytest.mark.parametrize(
    ("text", "shown", "hint"),
    [
        # Syntax.
        ("\n repository-url = https://hunter2", "2 | repository-url = …", "put text into quotes"),
        ('a = 1\nversion = "hunter2', "2 | version = …", "a quote or a bracket"),
        ('tags = [\n "hunter2",\n', "1 | tags = …", "a quote or a bracket"),
        ("dry-run = true\n[[gatew", "2 | [[gatew", "a quote or a bracket"),
        ("version = '1'\nversion = '2'\n", "2 | version = …", "give each key once"),
        ("signing-password hunter2", "1 | signing-password …", "write key"),
        # Bytes that editors leave.
        (b"\xef\xbb\xbf\tdry-run\t=\t@\r\nx = 1\r\n", "1 | dry-run = …", "put text into quotes"),
        (
            b"\xef\xbb\xbfnotes = '''\r\na\r\nb'''\r\n\tdri-run = 1\r\n",
            "4 | dri-run = …",
            "dry-run",
        ),
        # Values.
        ("\nbuild-timeout = 0", "2 | build-timeout = …\n  |                 ^", "--help"),
        ("tags = [\n'a',\n1]", "3 | …", "--help"),
        ('\nnotes = "\\u0000hunter2"', "2 | notes = …", "plain text"),
        # Keys and tables.
        ("repositry-url = 'hunter2'", "1 | repositry-url = …\n  | ^^^^^^^^^^^^^", "repository-url"),
        ("repositry_url = 'hunter2'", "1 | repositry_url = …", "'repository-url'"),
        ("\nkey-password = 'hunter2'", "2 | key-password = …", "IGN_DEPLOY_KEY_PASSWORD"),
        ("[repository]\nurl = 'x'", "1 | [repository]", "write repository-url = …"),
        ("[deploy]\nrestart = 'never'", "1 | [deploy]", "write restart = …"),
        ("a.b.c = 'hunter2'", "1 | a.b.c = …", "not in tables"),
        ("[[gateway]]\nname = 'x'", "1 | [[gateway]]", "'[[gateways]]'"),
        ("[gatways]\nname = 'x'", "1 | [gatways]", "'[[gateways]]'"),
        # Gateways.
        (f"{GATEWAY}tokn-variable = 'x'", "4 | tokn-variable = …", "'token-variable'"),
        (f"{GATEWAY}token = 'hunter2'", "4 | token = …", "use only these keys"),
        (f"{GATEWAY}output-dir = 'x'", "4 | output-dir = …", "above the first [[gateways]]"),
        ("\n[[gateways]]\nname = 'a'\n", "2 | [[gateways]]", 'add url = "…".'),
        ("[[gateways]]\nname = ''\nurl = 'x'", "2 | name = …", "give name a value."),
        (f"{GATEWAY}{GATEWAY}", "5 | name = …\n  |        ^", "unique"),
        ("gateways = [{name='a', url='hunter2', urll=''}]", "1 | … urll = …", "'url'"),
        ("gateways = ['hunter2']", "1 | …", "use only these keys"),
    ],
)
def test_an_error_shows_its_line_and_what_was_meant(
    tmp_path: Path, text: str | bytes, shown: str, hint: str
) -> None:
    problem = problem_of(text, tmp_path)
    assert isinstance(problem, ConfigurationError)
    assert shown in problem.message
    assert "^" in problem.message.splitlines()[-1]
    assert hint in problem.hint


def test_all_unknown_keys_are_named_at_once(tmp_path: Path) -> None:
    problem = problem_of(f"verson = '1'\nkeystor = 'x'\n{GATEWAY}urll = 'y'\n", tmp_path)
    assert isinstance(problem, CombinedError)
    assert [each.hint for each in problem.causes] == [
        "did you mean 'version'?",
        "did you mean 'keystore'?",
        "did you mean 'url'?",
    ]
    assert problem.exit_code == 2


def test_the_table_of_a_pyproject_has_the_lines_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[project]\nverson = '1'\n[tool.ign-deploy]\nverson = '1'\n")
    with pytest.raises(ConfigurationError, match=r"4 \| verson = …"):
        Inputs(env={}, flags={}, folder=tmp_path).resolve()
    file.write_text("[tool]\nign-deploy = 1\n")
    with pytest.raises(ConfigurationError, match=r"2 \| ign-deploy = …"):
        Inputs(env={}, flags={}, folder=tmp_path).resolve()


def test_people_see_the_lines_below_the_message(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    (workspace.folder / "ign-deploy.toml").write_text("verson = '1'\nformat = 'tar'\n")
    done = workspace.call("status").must(2)
    assert done.stderr.splitlines() == [
        "error[configuration]: unknown setting 'verson' in ign-deploy.toml",
        "  1 | verson = …",
        "    | ^^^^^^",
        "  hint: did you mean 'version'?",
    ]

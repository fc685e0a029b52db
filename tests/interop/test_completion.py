"""Completion in the shells that users have, by the functions that `docs/install.md` loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
BASH = """
source <(_IGN_DEPLOY_COMPLETE=bash_source ign-deploy)
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_ign_deploy_completion ign-deploy
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# Completion needs a terminal; here its last step prints what it would offer.
ZSH = """
compdef() {{ : }}
_describe() {{ print -rl -- "${{(@P)3%%:*}}" }}
compadd() {{ print -rl -- "${{(@P)5}}" }}
eval "$(_IGN_DEPLOY_COMPLETE=zsh_source ign-deploy)"
words=({words}); CURRENT=${{#words}}
_ign_deploy_completion
"""
FISH = """
_IGN_DEPLOY_COMPLETE=fish_source ign-deploy | source
complete -C '{words}' | string split -f 1 \\t
"""


@pytest.mark.parametrize(
    ("shell", "script"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)], ids=["bash", "zsh", "fish"]
)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ign-deploy ins", {"inspect", "install"}),
        ("ign-deploy install --accept", {"--accept-certificate", "--accept-license"}),
        ("ign-deploy module --format ", {"modl", "zip", "both"}),
    ],
)
def test_commands_options_and_values_are_completed(
    tmp_path: Path, shell: str, script: str, words: str, expected: set[str]
) -> None:
    given = words if shell == "fish" else words.replace("format ", "format ''")
    done = subprocess.run(
        [shell, "-c", script.format(words=given)],
        env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert set(done.stdout.split()) == expected, done.stderr

"""The container's entry point: other programs, our commands, and users without a home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ign_deploy.container import become, other_program, with_home

ROOT = Path(__file__).resolve().parents[2]
ENTRYPOINT = (sys.executable, "-I", str(ROOT / "entrypoint.py"))
INSTALLED = (sys.executable, "-m", "ign_deploy")


def start(
    program: tuple[str, ...], *arguments: str, env: dict[str, str] | None = None, said: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/tmp", **(env or {})},
        cwd=ROOT,
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def program_in(folder: Path, name: str, *, text: str = "#!/bin/sh\necho other\n") -> dict[str, str]:
    """Put a program on a PATH of its own; return the environment."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return {"PATH": str(folder)}


def test_cat_is_what_jenkins_started_the_image_with() -> None:
    assert start(ENTRYPOINT, "cat", said="alive\n").stdout == "alive\n"


def test_a_shell_gets_its_arguments_as_they_are_and_its_exit_code_is_ours() -> None:
    child = start(ENTRYPOINT, "sh", "-c", 'printf "[%s]" "$@"; exit 7', "sh", "a b", "$(id)", "")
    assert (child.returncode, child.stdout) == (7, "[a b][$(id)][]")


def test_a_program_by_its_path_is_started_too() -> None:
    assert start(ENTRYPOINT, "/bin/echo", "x").stdout == "x\n"


def test_the_program_keeps_hyphenated_variables() -> None:
    env = {"INPUT_MODULE-ID": "x"}
    assert "INPUT_MODULE-ID=x\n" in start(ENTRYPOINT, "env", env=env).stdout


def test_our_commands_win_over_programs_of_that_name(tmp_path: Path) -> None:
    env = program_in(tmp_path, "verify")
    assert other_program(["x", "verify"], env) is None
    assert other_program(["x", "other"], program_in(tmp_path, "other")) is not None
    child = start(ENTRYPOINT, "verify", "--help", env=env)
    assert child.stdout.startswith("Usage: ign-deploy verify")


@pytest.mark.parametrize(
    "argv", [["x"], ["x", ""], ["x", "--version"], ["x", "-c"], ["x", "no-such-program"]]
)
def test_everything_else_is_ours(argv: list[str]) -> None:
    assert other_program(argv, {"PATH": os.environ["PATH"]}) is None


def test_an_unknown_word_is_a_usage_error() -> None:
    child = start(ENTRYPOINT, "no-such-program")
    assert child.returncode == 2
    assert "no-such-program" in child.stderr


def test_the_installed_command_line_never_starts_untrusted_programs() -> None:
    child = start(INSTALLED, "echo", "x")
    assert child.returncode == 2
    assert "x" not in child.stdout


def test_a_program_that_cannot_start_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = program_in(tmp_path, "broken", text="#!/no/such/interpreter\n")
    assert become(str(tmp_path / "broken"), ["broken"], env) == 126
    assert "cannot run" in capsys.readouterr().err


def test_a_home_that_can_be_written_stays(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    assert with_home(env) is env
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", ["", "/dev/null", "/no/such/folder"])
def test_a_user_without_a_home_gets_one_that_is_private_and_stays(
    tmp_path: Path, home: str
) -> None:
    env = {"HOME": home, "TMPDIR": str(tmp_path)}
    own = with_home(env)
    folder = Path(own["HOME"])
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert own["GRADLE_USER_HOME"] == str(folder / ".gradle")
    assert with_home(env) == own


def test_the_runners_folder_and_a_chosen_gradle_home_are_kept(tmp_path: Path) -> None:
    env = {"RUNNER_TEMP": str(tmp_path), "TMPDIR": "/elsewhere", "GRADLE_USER_HOME": "/cache"}
    own = with_home(env)
    assert Path(own["HOME"]).parent == tmp_path
    assert own["GRADLE_USER_HOME"] == "/cache"


def test_a_folder_that_someone_else_prepared_is_not_taken(tmp_path: Path) -> None:
    name = f"ign-deploy-home-{os.geteuid()}"
    link, open_to_all = tmp_path / "link", tmp_path / "open"
    for parent in (link, open_to_all):
        parent.mkdir()
    (tmp_path / "target").mkdir(mode=0o700)
    (link / name).symlink_to(tmp_path / "target")
    (open_to_all / name).mkdir()
    (open_to_all / name).chmod(0o777)
    for parent in (link, open_to_all):
        own = with_home({"RUNNER_TEMP": str(parent), "TMPDIR": str(tmp_path)})
        assert Path(own["HOME"]).parent == tmp_path


def test_a_untrusted_program_gets_the_home(tmp_path: Path) -> None:
    env = {"HOME": "/no/such/folder", "TMPDIR": str(tmp_path)}
    assert start(ENTRYPOINT, "sh", "-c", "echo $HOME", env=env).stdout.startswith(str(tmp_path))


def test_on_windows_it_says_where_it_runs() -> None:
    script = (
        "import sys; sys.platform = 'win32'; sys.modules['fcntl'] = None\n"
        "from ign_deploy.__main__ import run\nrun()"
    )
    done = start((sys.executable, "-c", script))
    assert done.returncode == 1
    assert done.stderr == "ign-deploy doesn't run on Windows: use WSL, or the container image.\n"

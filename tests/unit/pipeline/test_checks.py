"""The checks of a preflight: each is run, every problem is kept, and the exit code fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import CombinedError, ConfigurationError, IdentityError, RepositoryError
from ign_deploy.files import nearest_existing
from ign_deploy.module.findings import error
from ign_deploy.pipeline.checks import (
    Check,
    as_error,
    check_repository,
    check_values,
    require_room,
    run_checks,
)
from tests.support.reporting import Recorder
from tests.support.runs import run_context


def failing(problem: Exception) -> Check:
    def fail() -> None:
        raise problem

    return Check(str(problem), fail)


def test_what_the_checks_found_is_returned_by_title() -> None:
    recorder = Recorder()
    checks = [Check("one", lambda: 1), Check("two", lambda: None)]
    assert run_checks(checks, run_context(reporter=recorder)) == {"one": 1, "two": None}
    assert recorder.infos == ["ok: one", "ok: two"]


def test_no_check_is_left_out_after_a_problem() -> None:
    inner = CombinedError("two", causes=[ConfigurationError("b"), ConfigurationError("c")])
    recorder = Recorder()
    checks = [failing(IdentityError("a")), failing(inner), Check("last", lambda: 1)]
    with pytest.raises(CombinedError) as caught:
        run_checks(checks, run_context(reporter=recorder))
    assert [problem.message for problem in caught.value.causes] == ["a", "b", "c"]
    assert "3 problems" in caught.value.message
    assert recorder.infos == ["ok: last"]


def test_a_bug_in_a_check_is_not_taken_for_a_problem() -> None:
    with pytest.raises(ZeroDivisionError):
        run_checks([failing(ZeroDivisionError("bug"))], run_context())


@pytest.mark.parametrize(
    ("problems", "exit_code"),
    [
        ((IdentityError("a"),), 4),
        ((IdentityError("a"), IdentityError("b")), 4),
        ((RepositoryError("a"),), 6),
        ((IdentityError("a"), RepositoryError("b")), 2),
    ],
)
def test_the_exit_code_is_theirs_when_they_agree(
    problems: tuple[ConfigurationError, ...], exit_code: int
) -> None:
    assert CombinedError("x", causes=problems).exit_code == exit_code
    assert CombinedError("x", causes=[ConfigurationError("x")]).exit_code == 2


def test_a_finding_becomes_a_problem_that_keeps_location_and_hint() -> None:
    problem = as_error(error("code", "is bad", location="x.xml", hint="fix it."), IdentityError)
    assert (problem.message, problem.hint) == ("x.xml: is bad", "fix it.")
    assert isinstance(problem, IdentityError)


def test_a_folder_still_to_be_made_is_fine_and_is_not_made(tmp_path: Path) -> None:
    require_room(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="file is not a folder"):
        require_room(tmp_path / "file" / "deep")


def test_too_little_room_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"MiB free, but \d+ MiB are needed"):
        require_room(tmp_path, needed=1 << 60)


def test_the_nearest_folder_is_found(tmp_path: Path) -> None:
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert nearest_existing(tmp_path) == tmp_path


def test_a_repository_is_looked_at_without_being_made(tmp_path: Path) -> None:
    context = run_context(repository_url=str(tmp_path / "modules"))
    assert check_repository(context).location.endswith("modules")
    assert list(tmp_path.iterdir()) == []


def test_every_wrong_value_is_kept(tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"\xff")
    context = run_context(
        {"SOURCE_DATE_EPOCH": "yesterday"},
        gradle_args="'open",
        notes_file=str(tmp_path / "notes"),
        trust_anchor=(str(tmp_path / "missing.pem"),),
    )
    with pytest.raises(CombinedError) as caught:
        check_values(context)
    assert len(caught.value.causes) == 4
    check_values(run_context())

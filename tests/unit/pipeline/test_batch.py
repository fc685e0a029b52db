"""Batches from within: what is begun, what stops, how processors are shared, what bugs leave."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from ign_deploy.errors import (
    CombinedError,
    ConfigurationError,
    PackagingError,
    SigningError,
    VerificationError,
)
from ign_deploy.pipeline.batch import _batch_failed, release_batch
from ign_deploy.pipeline.checks import name_path
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.preflight import check_distinct
from ign_deploy.pipeline.run_report import ModuleRecord, RunReport
from tests.support.identities import pem_files, self_signed
from tests.support.modules import build_module
from tests.support.nexus import Nexus
from tests.support.runs import run_context
from tests.support.serving import serving

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture
def run(tmp_path: Path) -> RunContext:
    """A run whose repository and outputs are in a folder of its own."""
    key, certificate = self_signed()
    pem_files(tmp_path, key, (certificate,))
    return run_context(
        {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        now=NOW,
        key_path=str(tmp_path / "signing.key.pem"),
        cert_path=str(tmp_path / "signing.cert.pem"),
        output_dir=tmp_path / "dist",
        repository_url=str(tmp_path / "repository"),
    )


def modules(folder: Path, *names: str) -> list[Path]:
    return [
        build_module(folder / f"{name}.unsigned.modl", texts={"id": f"com.example.{name}"})
        for name in names
    ]


def test_the_report_of_a_batch_has_every_path_and_module(run: RunContext, tmp_path: Path) -> None:
    paths = modules(tmp_path, "a", "b", "c")
    assert release_batch(paths, run) == "uploaded"
    assert [each.path for each in run.report.paths] == paths
    assert [each.modules for each in run.report.paths] == [
        (f"com.example.{name}",) for name in "abc"
    ]
    stages = [stage.name for stage in run.report.stages]
    assert stages == ["preflight", "package, sign and verify", "upload"]
    own = [stage.name for stage in run.report.paths[0].stages]
    assert own == ["package", "validate", "sign", "verify"]
    assert {each.result for each in run.report.modules.values()} == {"uploaded"}


@pytest.mark.parametrize(("asked", "expected"), [(1, 1), (2, 2), (3, 3)])
def test_so_many_modules_are_worked_on_at_once_and_no_more(
    run: RunContext, tmp_path: Path, asked: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = modules(tmp_path, *"abcdef")
    barrier = threading.Barrier(expected, timeout=60)
    inside: set[int] = set()
    most = 0
    lock = threading.Lock()
    timed = RunReport.timed

    @contextmanager
    def watched(report: RunReport, name: str) -> Iterator[None]:
        nonlocal most
        with timed(report, name):
            if name == "sign":
                with lock:
                    inside.add(threading.get_ident())
                    most = max(most, len(inside))
                barrier.wait()
                with lock:
                    inside.discard(threading.get_ident())
                barrier.wait()
            yield

    monkeypatch.setattr(RunReport, "timed", watched)
    release_batch(paths, run.with_settings(max_parallel=asked))
    assert most == expected


def test_a_bug_ends_the_batch_with_nothing_uploaded_but_the_report_kept(
    run: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = modules(tmp_path, "a", "b")
    note = RunReport.note

    def buggy(report: RunReport, module: ModuleRecord) -> None:
        note(report, module)
        if module.result == "verified" and module.descriptor.id.endswith("b"):
            raise ZeroDivisionError

    monkeypatch.setattr(RunReport, "note", buggy)
    with pytest.raises(ZeroDivisionError):
        release_batch(paths, run.with_settings(max_parallel=1, continue_on_error=True))
    assert not (tmp_path / "repository" / "modules").exists()
    results = {module_id[-1]: each.result for module_id, each in run.report.modules.items()}
    assert results == {"a": "verified", "b": "verified"}
    assert run.report.paths == []


def test_problems_with_one_exit_code_give_it_to_the_preflight(
    run: RunContext, tmp_path: Path
) -> None:
    with pytest.raises(CombinedError) as caught:
        release_batch([tmp_path / "x", tmp_path / "y"], run)
    assert caught.value.exit_code == PackagingError.exit_code
    assert [str(tmp_path / "x") in caught.value.causes[0].message] == [True]
    assert len(caught.value.causes) == 2


@pytest.mark.parametrize(
    ("problems", "expected"),
    [
        ([SigningError("a"), SigningError("b")], 4),
        ([VerificationError("a"), PackagingError("b")], 5),
        ([PackagingError("a"), VerificationError("b"), VerificationError("c")], 3),
    ],
)
def test_the_exit_code_is_the_common_one_or_the_first(
    problems: Sequence[SigningError], expected: int
) -> None:
    assert _batch_failed("failed", problems).exit_code == expected


def test_a_failed_batch_holds_every_problem_with_its_path(run: RunContext, tmp_path: Path) -> None:
    paths = modules(tmp_path, "good")
    for name in ("one", "two"):
        paths.append(tmp_path / f"{name}.modl")
        paths[-1].write_bytes(b"no zip")
    with pytest.raises(CombinedError) as caught:
        release_batch(paths, run.with_settings(continue_on_error=True))
    assert caught.value.message == "2 of 3 paths failed"
    for problem, path in zip(caught.value.causes, paths[1:], strict=True):
        assert path.name in problem.message
    assert [each.result for each in run.report.paths] == ["uploaded", "failed", "failed"]


def test_naming_the_path_keeps_what_a_problem_is() -> None:
    problem = VerificationError("broken", hint="fix it.", findings=())
    named = name_path(problem, Path("some/module"))
    assert isinstance(named, VerificationError)
    assert (named.message, named.hint, named.file) == (
        "some/module: broken",
        "fix it.",
        "some/module",
    )
    assert problem.message == "broken"
    assert name_path(PackagingError("no x/y there"), Path("x/y")).message == "no x/y there"


def test_one_folder_in_two_spellings_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    check_distinct([tmp_path / "a", tmp_path])
    for other in (tmp_path / "a" / "." / ".." / "a", tmp_path / "link"):
        with pytest.raises(ConfigurationError):
            check_distinct([tmp_path / "a", other])


def test_a_batch_of_twenty_modules_opens_and_probes_its_store_once(tmp_path: Path) -> None:
    key, certificate = self_signed()
    pem_files(tmp_path, key, (certificate,))
    with serving(Nexus()) as server:
        context = run_context(
            {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            now=NOW,
            key_path=str(tmp_path / "signing.key.pem"),
            cert_path=str(tmp_path / "signing.cert.pem"),
            output_dir=tmp_path / "dist",
            repository_url=f"nexus+{server.repository}",
            repository_username=server.username,
            repository_password=SecretStr(server.password),
            require_unpublished=True,
        )
        paths = modules(tmp_path, *(f"m{number}" for number in range(20)))
        assert release_batch(paths, context) == "uploaded"
        assert len(server.matching(r"^GET /service/rest/v1/components$")) == 1
        assert len(server.matching(r"^DELETE /repository/modules/ign-deploy-probe-")) == 1

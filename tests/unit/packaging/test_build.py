"""From project to unsigned modules, with stand-ins for the build tool as real processes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, PackagingError, VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.packaging.build import PackageOptions, package_project
from ign_deploy.packaging.project import detect_project
from tests.support.builds import PATH, fake_java, gradle_wrapper
from tests.support.modules import build_module, module_files, zip_bytes
from tests.support.reporting import Recorder

ENV = {"PATH": PATH}


def build(
    root: Path,
    output: Path,
    *,
    env: Mapping[str, str] = ENV,
    reporter: Recorder | None = None,
    **options: object,
) -> tuple[UnsignedModule, ...]:
    return package_project(
        detect_project(root, env=env),
        options=PackageOptions(output_dir=output, **options),  # type: ignore[arg-type]  # as given
        env=env,
        reporter=reporter,
    )


def making(root: Path, **modules: Path) -> Path:
    """Make a project whose build copies these files to build/<name>.modl."""
    lines = [f"cp {path} build/{name.replace('__', '.')}.modl" for name, path in modules.items()]
    return gradle_wrapper(root, "mkdir -p build", *lines)


def names(path: Path) -> list[str]:
    with Archive.open(path) as archive:
        return [entry.name for entry in archive.entries]


def test_a_built_module_is_named_unsigned(tmp_path: Path) -> None:
    root = making(tmp_path / "p", Pump=build_module(tmp_path / "made"))
    (module,) = build(root, tmp_path / "dist")
    assert module.path == tmp_path / "dist" / "Pump.unsigned.modl"
    assert module.descriptor.id == "com.example.pump"
    assert module.findings == ()


def test_order_and_times_inside_do_not_matter(tmp_path: Path) -> None:
    files = module_files()
    (tmp_path / "one").write_bytes(zip_bytes(files))
    (tmp_path / "two").write_bytes(zip_bytes(dict(reversed(files.items()))))
    digests = set()
    for name in ("one", "two"):
        (module,) = build(
            making(tmp_path / f"p{name}", Pump=tmp_path / name), tmp_path / f"d{name}"
        )
        digests.add(hashlib.sha256(module.path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_source_s_date_is_the_entries_date(tmp_path: Path) -> None:
    root = making(tmp_path / "p", Pump=build_module(tmp_path / "made"))
    env = {**ENV, "SOURCE_DATE_EPOCH": "1700000000"}
    (module,) = build(root, tmp_path / "dist", env=env)
    with Archive.open(module.path) as archive:
        assert {entry.dos_date >> 9 for entry in archive.entries} == {2023 - 1980}


def test_a_source_date_that_is_none_is_rejected_before_the_build(tmp_path: Path) -> None:
    root = gradle_wrapper(tmp_path / "p", "touch started")
    with pytest.raises(ConfigurationError, match="SOURCE_DATE_EPOCH"):
        build(root, tmp_path / "dist", env={**ENV, "SOURCE_DATE_EPOCH": "yesterday"})
    assert not (root / "started").exists()


def test_a_signature_made_by_the_build_is_dropped_and_said(tmp_path: Path) -> None:
    signed = build_module(
        tmp_path / "made", files={"signatures.properties": b"x", "certificates.p7b": b"x"}
    )
    (module,) = build(making(tmp_path / "p", Pump=signed), tmp_path / "dist")
    assert "signatures.properties" not in names(module.path)
    assert [finding.code for finding in module.findings] == ["signature-dropped"]


def test_several_modules_come_in_order(tmp_path: Path) -> None:
    one = build_module(tmp_path / "1", texts={"id": "com.example.a"})
    two = build_module(tmp_path / "2", texts={"id": "com.example.b"})
    modules = build(making(tmp_path / "p", B=two, A__unsigned=one), tmp_path / "dist")
    assert [module.path.name for module in modules] == ["A.unsigned.modl", "B.unsigned.modl"]


def test_two_modules_with_one_id_are_rejected(tmp_path: Path) -> None:
    one = build_module(tmp_path / "1")
    with pytest.raises(VerificationError, match="share the id") as caught:
        build(making(tmp_path / "p", A=one, B=one), tmp_path / "dist")
    (finding,) = caught.value.findings
    assert finding.code == "module-id-repeated"
    assert "two lines of Ignition" in finding.hint
    assert not (tmp_path / "dist").exists()


def test_two_modules_with_one_file_name_are_rejected(tmp_path: Path) -> None:
    one = build_module(tmp_path / "1", texts={"id": "com.example.a"})
    two = build_module(tmp_path / "2", texts={"id": "com.example.b"})
    root = gradle_wrapper(
        tmp_path / "p",
        f"mkdir -p a/build b/build; cp {one} a/build/X.modl; cp {two} b/build/X.modl",
    )
    with pytest.raises(VerificationError, match="would both become") as caught:
        build(root, tmp_path / "dist")
    assert [finding.code for finding in caught.value.findings] == ["file-name-repeated"]


def test_another_version_than_requested_is_rejected_before_anything_is_written(
    tmp_path: Path,
) -> None:
    root = making(tmp_path / "p", Pump=build_module(tmp_path / "made"))
    with pytest.raises(VerificationError, match="version") as caught:
        build(root, tmp_path / "dist", expected_version="9.9.9")
    assert [finding.code for finding in caught.value.findings] == ["version-mismatch"]
    assert not (tmp_path / "dist").exists()


def test_a_build_that_makes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="made no"):
        build(gradle_wrapper(tmp_path / "p", "true"), tmp_path / "dist")


def test_a_build_that_makes_no_zip_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"no zip")
    with pytest.raises(VerificationError):
        build(making(tmp_path / "p", Pump=tmp_path / "made"), tmp_path / "dist")


def test_a_failed_build_is_explained(tmp_path: Path) -> None:
    root = gradle_wrapper(
        tmp_path / "p", """echo "Task 'zipModule' not found in root project 'p'."; exit 1"""
    )
    with pytest.raises(PackagingError, match=r"exit code 1\): the project has no task") as caught:
        build(root, tmp_path / "dist")
    assert "--gradle-args" in caught.value.hint


def test_a_failure_that_no_one_understands_points_to_the_output(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"Gradle wrapper failed \(exit code 3\)$") as caught:
        build(gradle_wrapper(tmp_path / "p", "exit 3"), tmp_path / "dist")
    assert caught.value.hint == "read the build's log."


def test_a_build_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    root = gradle_wrapper(tmp_path / "p", "echo started; sleep 60")
    recorder = Recorder()
    with pytest.raises(PackagingError, match=r"not finish within 0\.5 s") as caught:
        build(root, tmp_path / "dist", timeout=0.5, reporter=recorder)
    assert recorder.lines == ["started"]
    assert "--build-timeout" in caught.value.hint


def test_hostile_lines_go_through_the_untrusted_door_only(tmp_path: Path) -> None:
    hostile = "::set-output name=x::y"
    root = gradle_wrapper(tmp_path / "p", f"echo '{hostile}'; exit 1")
    recorder = Recorder()
    with pytest.raises(PackagingError) as caught:
        build(root, tmp_path / "dist", reporter=recorder)
    assert recorder.lines == [hostile]
    assert hostile not in caught.value.message + caught.value.hint + "".join(recorder.infos)


def test_lines_are_shown_before_a_silent_build_goes_on(tmp_path: Path) -> None:
    class Answering(Recorder):
        def untrusted(self, lines: Sequence[str]) -> None:
            super().untrusted(lines)
            (root / "seen").touch()

    root = gradle_wrapper(
        tmp_path / "p", "echo waiting", "while [ ! -e seen ]; do sleep 0.05; done", "exit 4"
    )
    with pytest.raises(PackagingError, match="exit code 4"):
        build(root, tmp_path / "dist", reporter=Answering(), timeout=20)


def test_many_lines_all_arrive_in_order(tmp_path: Path) -> None:
    root = gradle_wrapper(tmp_path / "p", "seq 1000; exit 1")
    recorder = Recorder()
    with pytest.raises(PackagingError):
        build(root, tmp_path / "dist", reporter=recorder)
    assert recorder.lines == [str(number) for number in range(1, 1001)]


def test_a_build_sees_no_secrets_but_its_caches_folder(tmp_path: Path) -> None:
    root = gradle_wrapper(tmp_path / "p", "env; exit 1")
    env = {
        **ENV,
        "HOME": str(tmp_path),
        "MODULE_SIGNING_PASSWORD": "hunter2",
        "GITHUB_TOKEN": "hunter2",
        "LC_ALL": "C",
    }
    recorder = Recorder()
    with pytest.raises(PackagingError):
        build(root, tmp_path / "dist", env=env, reporter=recorder)
    assert "hunter2" not in "\n".join(recorder.lines)
    assert f"GRADLE_USER_HOME={tmp_path}/.gradle" in recorder.lines
    assert "LC_ALL=C.UTF-8" in recorder.lines


def test_a_dead_java_home_is_left_out_with_a_warning(tmp_path: Path) -> None:
    root = gradle_wrapper(tmp_path / "p", 'echo "java: ${JAVA_HOME-none}"; exit 1')
    java = fake_java(tmp_path / "jdk", "17")
    path = {"PATH": f"{java}/bin:{PATH}"}
    for home, seen in (("/nowhere", "java: none"), (str(java), f"java: {java}")):
        recorder = Recorder()
        with pytest.raises(PackagingError):
            build(root, tmp_path / "dist", env={**path, "JAVA_HOME": home}, reporter=recorder)
        assert recorder.lines == [seen]
        assert bool(recorder.warnings) == (home == "/nowhere")


def test_a_prebuilt_module_stays_where_and_as_it_is(tmp_path: Path) -> None:
    path = build_module(tmp_path / "Pump.modl", files={"signatures.properties": b"x"})
    before = path.read_bytes()
    (module,) = build(path, tmp_path / "dist")
    assert (module.path, path.read_bytes()) == (path, before)
    assert not (tmp_path / "dist").exists()


def test_a_prebuilt_module_must_be_the_one_requested(tmp_path: Path) -> None:
    path = build_module(tmp_path / "Pump.modl")
    with pytest.raises(VerificationError):
        build(path, tmp_path / "dist", expected_id="com.example.other")


def test_a_prebuilt_git_lfs_pointer_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "Pump.modl"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(PackagingError, match="LFS"):
        build(path, tmp_path / "dist")

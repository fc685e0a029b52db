"""Builds as a user of their own: what they can't do, and that every file has its owner back."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, PackagingError
from ign_deploy.packaging import isolation
from ign_deploy.packaging.build import PackageOptions, package_project
from ign_deploy.packaging.project import detect_project
from ign_deploy.packaging.protected import Protected
from ign_deploy.pipeline.checks import check_project
from ign_deploy.process import Account, processes_of
from tests.support.build_user import (
    OWNER,
    add_build_user,
    as_root,
    owned,
    owners,
    reachable_folder,
)
from tests.support.builds import PATH, gradle_wrapper, script
from tests.support.modules import build_module
from tests.support.reporting import Recorder
from tests.support.runs import run_context
from tests.support.trees import owner_of_deep, remove_deep

ENV = {"PATH": PATH}
pytestmark = as_root


@pytest.fixture
def place() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Account:
    return add_build_user(monkeypatch, tmp_path)


def project_of(place: Path, *lines: str) -> Path:
    made = build_module(place / "made.modl")
    root = gradle_wrapper(place / "project", *lines, "mkdir -p build", f"cp {made} build/Pump.modl")
    return owned(root)


def build(root: Path, *, env: Mapping[str, str] = ENV, **options: object) -> Recorder:
    reporter = Recorder()
    package_project(
        detect_project(root, env=env),
        options=PackageOptions(output_dir=root.parent / "dist", **options),  # type: ignore[arg-type]
        env=env,
        reporter=reporter,
    )
    return reporter


def said(reporter: Recorder) -> str:
    return "\n".join(map(str, (*reporter.lines, *reporter.messages)))


def test_a_build_has_neither_rights_nor_capabilities(place: Path, account: Account) -> None:
    status = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status >rights"
    root = project_of(place, status)
    build(root, isolate="require")
    rights = dict(line.split(":\t") for line in (root / "rights").read_text().splitlines())
    assert set(rights["Uid"].split()) == {str(account.uid)}
    assert set(rights["Gid"].split()) == {str(account.gid)}
    assert rights["Groups"].strip() == ""
    assert rights["NoNewPrivs"] == "1"
    sets = [value for name, value in rights.items() if name.startswith("Cap")]
    assert len(sets) == 5
    assert {int(value, 16) for value in sets} == {0}


def test_files_have_their_owners_back(place: Path, account: Account) -> None:
    root = project_of(
        place,
        "test -w gradlew && test -w sub/file && test -w sub/of-root",
        "mkdir -p build/deep new && touch build/deep/file new/file",
        "ln -s /etc/passwd link && ln new/file new/twin",
        "echo changed >sub/of-root",
        "mv sub/moved sub/there",
    )
    (root / "sub").mkdir()
    for name in ("file", "of-root", "of-another", "moved"):
        (root / "sub" / name).touch(0o640)
    owned(root)
    os.chown(root / "sub" / "of-root", 0, 0)
    os.chown(root / "sub" / "of-another", 1234, 4321)
    before = owners(root)
    build(root)
    after = owners(root)
    assert {name: after[name] for name in before if name != "sub/moved"} == {
        name: before[name] for name in before if name != "sub/moved"
    }
    assert {each[:2] for name, each in after.items() if name not in before} == {(OWNER, OWNER)}
    assert os.stat("/etc/passwd").st_uid == 0


def test_what_lies_deeper_than_a_path_can_be_is_given_back(place: Path, account: Account) -> None:
    name = "d" * 100
    root = project_of(
        place,
        "here=$PWD",
        f"for i in $(seq 60); do mkdir {name}; cd -P {name}; done; touch end",
        "cd $here",
    )
    build(root)
    assert owner_of_deep(root, 60) == OWNER
    remove_deep(root)


def test_files_have_their_owners_back_when_the_build_fails(place: Path, account: Account) -> None:
    root = project_of(place, "touch new", "exit 1")
    before = owners(root)
    with pytest.raises(PackagingError):
        build(root)
    after = owners(root)
    assert after.pop("new")[0] == OWNER
    assert after == before


@pytest.mark.parametrize("everyone", [0, 0o777])
def test_what_is_kept_cannot_be_changed(place: Path, account: Account, everyone: int) -> None:
    root = project_of(
        place,
        "for each in .git/config store/deep/record; do",
        '  echo evil 2>/dev/null >"$each" && echo evil || true',
        "  mv .git moved 2>/dev/null && echo evil || true",
        "  mv store moved 2>/dev/null && echo evil || true",
        "  mv store/deep moved 2>/dev/null && echo evil || true",
        "  rm -rf .git store 2>/dev/null || true",
        "done",
        "touch store/new",
    )
    for name in (".git/config", "store/deep/record"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("ours")
    for each in root.rglob("*"):
        each.chmod(each.stat().st_mode | everyone)
    owned(root)
    before = owners(root)
    reporter = build(root, protected=Protected(kept=(root / "store" / "deep",)))
    assert "evil" not in said(reporter)
    assert (root / ".git/config").read_text() == (root / "store/deep/record").read_text() == "ours"
    assert before.items() <= owners(root).items()


@pytest.mark.parametrize("where", ["git", "sub/module"])
def test_where_git_leads_cannot_be_changed(place: Path, account: Account, where: str) -> None:
    """In a submodule or another working tree, ``.git`` is a file; it may be a link, too."""
    root = project_of(
        place,
        "rm -rf .git 2>/dev/null || true",
        "echo evil 2>/dev/null >.git || true",
        "mv .git moved 2>/dev/null || true",
        "ln -sfn /evil .git 2>/dev/null || true",
        f"echo evil 2>/dev/null >{where}/config || true",
        f"mv {where} moved 2>/dev/null || true",
    )
    (root / where).mkdir(parents=True)
    (root / where / "config").write_text("ours")
    for is_link in (False, True):
        git = root / ".git"
        git.unlink(missing_ok=True)
        if is_link:
            git.symlink_to(where)
        else:
            git.write_text(f"gitdir: {where}\n")
        owned(root)
        inode = git.lstat().st_ino
        build(root)
        assert git.lstat().st_ino == inode
        assert is_link or git.read_text() == f"gitdir: {where}\n"
        assert (root / where / "config").read_text() == "ours"


def test_our_own_code_in_the_project_cannot_be_changed(
    place: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project_of(
        place,
        "echo evil 2>/dev/null >.venv/lib/ours.py || true",
        "mv .venv moved 2>/dev/null || true",
    )
    (root / ".venv" / "lib").mkdir(parents=True)
    (root / ".venv" / "lib" / "ours.py").write_text("ours")
    owned(root)
    monkeypatch.setattr("sys.prefix", str(root / ".venv"))
    build(root)
    assert (root / ".venv" / "lib" / "ours.py").read_text() == "ours"


def test_our_temporary_files_in_the_project_cannot_be_changed(
    place: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the copies of certificate authorities."""
    root = project_of(
        place,
        "echo evil 2>/dev/null >tmp/ours/ca.pem || true",
        "mv tmp/ours moved 2>/dev/null || true",
        "mv tmp moved 2>/dev/null || true",
        "touch $TMPDIR/file",
    )
    (root / "tmp").mkdir()
    owned(root)
    (root / "tmp" / "ours").mkdir(mode=0o700)
    (root / "tmp" / "ours" / "ca.pem").write_text("ours")
    monkeypatch.setattr("tempfile.tempdir", str(root / "tmp"))
    build(root)
    assert (root / "tmp" / "ours" / "ca.pem").read_text() == "ours"
    assert [path.name for path in (root / "tmp").iterdir()] == ["ours"]


@pytest.mark.parametrize("inside", [True, False])
def test_a_key_cannot_be_read(place: Path, account: Account, *, inside: bool) -> None:
    root = project_of(place, f"cat {place}/*/key.pem {place}/key.pem 2>/dev/null && exit 1", "true")
    key = (root if inside else place) / "key.pem"
    key.write_text("secret")
    key.chmod(0o666)
    os.chown(key, OWNER, OWNER)
    build(root, protected=Protected(secret=(key,)))
    status = key.stat()
    assert (status.st_uid, status.st_mode & 0o777) == (OWNER, 0o666)


def test_a_key_that_it_can_read_nevertheless_is_named(
    place: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a read-only mount."""
    key = place / "key.pem"
    key.write_text("secret")
    key.chmod(0o644)
    monkeypatch.setattr(isolation, "_set_mode", lambda *_: None)
    root = project_of(place)
    protected = Protected(secret=(key,))
    assert f"the build can read {key}, which holds a secret" in said(
        build(root, protected=protected)
    )
    with pytest.raises(PackagingError, match=r"can read .*key\.pem"):
        build(root, isolate="require", protected=protected)


def test_hard_links_stay_what_they_are(place: Path, account: Account) -> None:
    outside = place / "outside"
    outside.write_text("ours")
    outside.chmod(0o600)
    root = project_of(place, "cat twin 2>/dev/null && exit 1", "chmod 777 twin 2>/dev/null || true")
    os.link(outside, root / "twin")
    build(root)
    assert (outside.stat().st_uid, outside.stat().st_mode & 0o777) == (0, 0o600)


def test_the_runner_s_files_are_closed_while_it_builds(place: Path, account: Account) -> None:
    commands, temp = place / "commands", place / "temp"
    commands.mkdir(mode=0o777)
    temp.mkdir()
    for folder in (commands, temp):
        folder.chmod(0o777)
        owned(folder)
    output = commands / "output"
    output.touch()
    output.chmod(0o666)
    before = owners(place / "commands")
    env = {**ENV, "GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(temp)}
    root = project_of(
        place,
        f"ls {commands} {temp} 2>/dev/null && exit 1",
        f"echo evil 2>/dev/null >>{output} && exit 1",
        f"echo evil 2>/dev/null >{temp}/evil && exit 1",
    )
    build(root, env=env)
    assert owners(commands) == before
    assert output.read_text() == ""
    assert list(temp.iterdir()) == []


def test_it_cannot_read_our_memory(place: Path, account: Account) -> None:
    ours = f"/proc/{os.getpid()}"
    files = " ".join(f"{ours}/{name}" for name in ("environ", "mem", "maps", "fd/0", "cwd/."))
    root = project_of(
        place, f'for each in {files}; do if head -c1 "$each" 2>/dev/null; then exit 1; fi; done'
    )
    build(root)


def test_nothing_outlives_it(place: Path, account: Account) -> None:
    root = project_of(place, "setsid sh -c 'trap \"\" TERM HUP; sleep 60; sleep 60' &")
    build(root, grace=0.1)
    assert processes_of(account) == []


def test_what_another_started_as_that_user_is_ended_too(place: Path, account: Account) -> None:
    """As cron or at would, for a build that asked them."""
    other = subprocess.Popen(["sleep", "60"], user=account.uid, group=account.gid, extra_groups=[])
    build(project_of(place))
    assert other.wait(timeout=5) == -9


@pytest.mark.parametrize("tool", ["java", "gradle"])
def test_tools_that_a_build_may_have_changed_are_tried_as_that_user(
    place: Path, account: Account, tool: str
) -> None:
    """Such as a JDK in Gradle's caches."""
    root = owned(gradle_wrapper(place / "project"))
    said_by = f"id -u >>{place}/said/ids; echo 'openjdk version \"17\"' >&2; echo Gradle 8.5"
    (place / "said").mkdir()
    (place / "said").chmod(0o777)
    home = place / "home"
    script(home / "bin" / tool, said_by)
    name = {"java": "JAVA_HOME", "gradle": "GRADLE_HOME"}[tool]
    if tool == "gradle":
        (root / "gradlew").unlink()
    context = run_context({**ENV, name: str(home)}, isolate="require")
    check_project(root, context)
    assert set((place / "said" / "ids").read_text().split()) == {str(account.uid)}


def test_what_it_leaves_in_shared_folders_is_removed(place: Path, account: Account) -> None:
    name = f"left-by-{account.uid}"
    ours = Path("/dev/shm") / f"of-root-{account.uid}"
    ours.touch()
    earlier = ours.with_name(f"earlier-{account.uid}")
    earlier.touch()
    os.chown(earlier, account.uid, account.gid)
    queues = "if command -v ipcmk >/dev/null; then ipcmk -M 1000; ipcmk -Q; ipcmk -S 1; fi"
    deep = f"mkdir -p /tmp/{name}/a/b && chmod 0 /tmp/{name}/a"
    build(project_of(place, deep, f"touch /dev/shm/{name} /var/tmp/{name}", queues))
    try:
        assert not [each for each in ("/tmp", "/dev/shm", "/var/tmp") if Path(each, name).exists()]
        assert ours.exists()
        assert earlier.exists(), "it may be a project"
    finally:
        ours.unlink()
        earlier.unlink(missing_ok=True)
    for kind in ("shm", "msg", "sem"):
        listed = Path("/proc/sysvipc", kind).read_text().split()
        assert str(account.uid) not in listed


def test_a_lock_on_our_files_changes_nothing(place: Path, account: Account) -> None:
    """Neither does one keep other runs waiting, nor keep its holder alive."""
    script = f"import fcntl, time; f = open({isolation.__file__!r}); fcntl.flock(f, {{}}); "
    script += "print('locked', flush=True); time.sleep(60)"
    for kind in ("fcntl.LOCK_SH", "fcntl.LOCK_EX"):
        holder = subprocess.Popen(
            ["/usr/bin/python3", "-c", script.format(kind)],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            stdout=subprocess.PIPE,
        )
        assert holder.stdout is not None
        with holder.stdout as output:
            assert output.readline() == b"locked\n"
        build(project_of(place / kind))
        assert holder.wait(timeout=5) == -9


def test_set_id_files_and_folders_stay_what_they_are(place: Path, account: Account) -> None:
    root = project_of(place, "touch group/new", "cp /bin/true evil; chmod 6755 evil")
    (root / "tool").touch()
    (root / "group").mkdir()
    owned(root)
    (root / "tool").chmod(0o6755)
    os.chown(root / "group", OWNER, 4321)
    (root / "group").chmod(0o2775)
    before = owners(root)
    build(root)
    after = owners(root)
    assert before.items() <= after.items()
    assert after["group/new"][:2] == (OWNER, 4321)
    assert after["evil"][:2] == (OWNER, OWNER)
    assert not after["evil"][2] & 0o6000


def test_a_folder_with_an_access_control_list_is_not_handed_over_silently(
    place: Path, account: Account
) -> None:
    root = project_of(place)
    entries = ((1, 7, -1), (2, 7, 1234), (4, 5, -1), (16, 7, -1), (32, 5, -1))
    packed = b"".join(struct.pack("<HHi", *each) for each in entries)
    acl = struct.pack("<I", 2) + packed
    try:
        os.setxattr(root, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("this file system has no access control lists")
    with pytest.raises(PackagingError, match="can't be given to") as caught:
        build(root)
    assert "setfacl -b" in caught.value.hint
    assert os.getxattr(root, "system.posix_acl_access") == acl


def test_a_deep_home_ends_no_run(place: Path, account: Account) -> None:
    deep = 'python3 -c \'import os; [(os.mkdir("d"), os.chdir("d")) for _ in range(2000)]\''
    build(project_of(place, f"(cd $HOME && {deep})"))


def test_the_socket_of_docker_host_counts_too(
    place: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "own.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        env = {**ENV, "DOCKER_HOST": f"unix://{path}"}
        assert f"could use the socket {path}" in said(build(project_of(place), env=env))


def test_caches_are_kept_where_it_can_reach_them(place: Path, account: Account) -> None:
    home = place / "home"
    home.mkdir()
    owned(home)
    root = project_of(
        place,
        "mkdir -p $GRADLE_USER_HOME",
        "touch $GRADLE_USER_HOME/cached $HOME/file $TMPDIR/file",
    )
    build(root, env={**ENV, "HOME": str(home)})
    assert (home / ".gradle" / "cached").stat().st_uid == OWNER
    assert [path.name for path in home.iterdir()] == [".gradle"]
    hidden = place / "hidden"
    hidden.mkdir(mode=0o700)
    build(root, env={**ENV, "HOME": str(hidden)})
    assert list(hidden.iterdir()) == []


def test_maven_keeps_its_repository(place: Path, account: Account) -> None:
    home = place / "home"
    home.mkdir()
    owned(home)
    made = build_module(place / "made.modl")
    root = place / "project"
    script(
        root / "mvnw",
        'home=$(echo "$MAVEN_OPTS" | sed "s/.*-Duser.home=//")',
        'touch "$home/.m2/cached"',
        f"mkdir -p target && cp {made} target/Pump.modl",
    )
    (root / "pom.xml").touch()
    build(owned(root), env={**ENV, "HOME": str(home)})
    assert (home / ".m2" / "cached").stat().st_uid == OWNER


def test_builds_in_one_tree_may_overlap(place: Path, account: Account) -> None:
    """The inner one ends while the outer one still builds."""
    from concurrent.futures import ThreadPoolExecutor

    outer = project_of(
        place, "while [ ! -e inner/done ]; do sleep 0.05; done", "touch inner/from-outside"
    )
    other = build_module(place / "other.modl", texts={"id": "com.example.other"})
    inner = gradle_wrapper(
        outer / "inner", "mkdir -p build", f"cp {other} build/Inner.modl", "touch done"
    )
    owned(outer)
    before = owners(outer)
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(build, outer)
        pool.submit(build, inner).result()
        slow.result()
    after = owners(outer)
    assert before.items() <= after.items()
    strangers = {name for name, each in after.items() if each[0] != OWNER}
    assert all(name.startswith("dist") for name in strangers)  # ours


def test_a_project_out_of_reach_is_not_isolated(
    place: Path, account: Account, tmp_path: Path
) -> None:
    assert not tmp_path.parent.parent.stat().st_mode & 0o001
    root = project_of(tmp_path)
    text = said(build(root))
    assert f"the build is not isolated, because the user {account.name} can't reach" in text
    with pytest.raises(ConfigurationError, match="can't be isolated"):
        build(root, isolate="require")


def test_a_socket_that_it_could_use_is_named(
    place: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        monkeypatch.setattr(isolation, "_SOCKETS", (str(path),))
        root = project_of(place)
        assert f"could use the socket {path}" in said(build(root))
        with pytest.raises(ConfigurationError, match=r"docker\.sock"):
            build(root, isolate="require")


def test_without_the_user_the_log_says_what_is_not_protected(place: Path) -> None:
    root = project_of(place, "id -u")
    text = said(build(root))
    assert "not isolated, because this machine has no user ign-build: it could read and" in text
    assert "its secrets and ign-deploy's own files included" in text
    with pytest.raises(ConfigurationError) as caught:
        build(root, isolate="require")
    assert "no user ign-build" in caught.value.message


def test_it_can_be_turned_off(place: Path, account: Account) -> None:
    root = project_of(place, "id -u >uid")
    text = said(build(root, isolate="off"))
    assert "--isolate off was given" in text
    assert (root / "uid").read_text() == "0\n"


def test_a_link_to_another_module_is_not_published(place: Path, account: Account) -> None:
    """As root, we could read what the build can't."""
    hidden = place / "hidden"
    hidden.mkdir(mode=0o700)
    build_module(hidden / "secret.modl")
    root = gradle_wrapper(
        place / "project", "mkdir -p build", f"ln -s {hidden}/secret.modl build/Pump.modl"
    )
    with pytest.raises(PackagingError, match="made no"):
        build(owned(root))


def test_without_root_it_is_not_isolated(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project_of(place)
    monkeypatch.setattr(os, "geteuid", lambda: 1500)
    project = detect_project(root, env=ENV)
    found = isolation.choose_isolation("auto", project=project, env=ENV)
    assert (found.account, found.gap) == (None, "ign-deploy doesn't run as root")
    with pytest.raises(ConfigurationError, match="doesn't run as root"):
        isolation.choose_isolation("require", project=project, env=ENV)

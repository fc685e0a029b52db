from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, NotInRepository
from ign_deploy.repositories import Repository
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.search import (
    ListFilter,
    choose_version,
    find_module,
    list_modules,
)
from tests.support.releases import release_of


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = open_repository(str(tmp_path / "repository"))
    for module_id, version, fields in (
        ("com.acme.alarms", "1.0.0", {"name": "Alarm Tools", "tags": ["Notification"]}),
        ("com.acme.alarms", "1.1.0-rc1", {"name": "Alarm Tools 2"}),
        ("com.acme.charts", "2.0.0-beta1", {"name": "Charts", "description": "Zeichnet GRÖSSEN"}),
        ("org.other.charts", "3.0.0", {"name": "Charts"}),
    ):
        release, files = release_of(tmp_path / "in", module_id=module_id, version=version, **fields)
        repository.publish(release, files=files)
    return repository


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["com.acme.alarms", "com.acme.charts", "org.other.charts"]),
        ("ACME", ["com.acme.alarms", "com.acme.charts"]),
        ("alarm tools", ["com.acme.alarms"]),
        ("notif", ["com.acme.alarms"]),
        ("größen", ["com.acme.charts"]),
        ("nothing of the kind", []),
    ],
)
def test_modules_are_searched_by_all_their_texts(
    search: str, found: list[str], repository: Repository
) -> None:
    assert [entry.id for entry in list_modules(repository, ListFilter(search=search))] == found


def test_the_listed_version_is_the_one_that_a_download_takes(repository: Repository) -> None:
    for entry in list_modules(repository):
        chosen = choose_version(repository, module_id=entry.id, wanted=None)
        assert chosen == entry.version


@pytest.mark.parametrize(
    "name", ["com.acme.alarms", "COM.ACME.alarms", "Alarm Tools", "alarm tools"]
)
def test_a_module_is_found_by_id_or_name_whatever_the_case(
    name: str, repository: Repository
) -> None:
    assert find_module(repository, name=name).id == "com.acme.alarms"


def test_an_ambiguous_name_lists_the_ids(repository: Repository) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_module(repository, name="charts")
    assert "com.acme.charts, org.other.charts" in caught.value.message
    assert "id" in caught.value.hint


@pytest.mark.parametrize("name", ["com.acme.alarm", "alarms", "Alarm Tool", "com.acme.alrams"])
def test_an_unknown_name_is_answered_with_near_ones(name: str, repository: Repository) -> None:
    with pytest.raises(NotInRepository, match=r"similar: .*com\.acme\.alarms"):
        find_module(repository, name=name)


def test_a_hostile_name_is_shown_harmless(repository: Repository) -> None:
    with pytest.raises(NotInRepository) as caught:
        find_module(repository, name="\x1b[2J\u202e")
    assert caught.value.message.isprintable()


def test_an_unknown_version_is_answered_with_the_newest(repository: Repository) -> None:
    wanted = choose_version(repository, module_id="com.acme.alarms", wanted="1.0.0")
    assert wanted == "1.0.0"
    with pytest.raises(NotInRepository, match=r"the newest are 1\.1\.0-rc1, 1\.0\.0"):
        choose_version(repository, module_id="com.acme.alarms", wanted="7")


def test_a_module_without_versions_has_no_newest(repository: Repository) -> None:
    with pytest.raises(NotInRepository):
        choose_version(repository, module_id="com.acme.none", wanted=None)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [(">=1", "1.0.0"), ("<1.1", "1.0.0"), (">1.0", "1.1.0-rc1"), ("!=1.0.0,>0.9", "1.1.0-rc1")],
)
def test_a_range_takes_the_newest_final_release_inside(
    wanted: str, chosen: str, repository: Repository
) -> None:
    assert choose_version(repository, module_id="com.acme.alarms", wanted=wanted) == chosen


def test_a_range_without_versions_names_the_newest(repository: Repository) -> None:
    with pytest.raises(NotInRepository, match=r"in the range '>=2,<3'; the newest are 1\.1\.0-rc1"):
        choose_version(repository, module_id="com.acme.alarms", wanted=">=2,<3")


@pytest.mark.parametrize(
    ("ignition", "found"),
    [
        ("8.1", ["com.acme.alarms", "com.acme.charts", "org.other.charts"]),
        ("8.1.0", ["com.acme.alarms", "com.acme.charts", "org.other.charts"]),
        ("8.3", ["org.acme.new"]),
        ("8.3.3", []),
        ("8.3.4", ["org.acme.new"]),
        ("8.0.17", []),
    ],
)
def test_modules_are_chosen_by_what_a_gateway_takes(
    ignition: str, found: list[str], repository: Repository, tmp_path: Path
) -> None:
    release, files = release_of(
        tmp_path / "in", module_id="org.acme.new", required_ignition_version="8.3.4"
    )
    repository.publish(release, files=files)
    entries = list_modules(repository, ListFilter(ignition=ignition))
    assert [entry.id for entry in entries] == found


def test_every_version_is_listed_newest_first(repository: Repository) -> None:
    wanted = ListFilter(search="alarm", every_version=True)
    assert [entry.version for entry in list_modules(repository, wanted)] == ["1.1.0-rc1", "1.0.0"]


@pytest.mark.parametrize("text", ["", "8", "eight", "8.3.x", "8.3.4; rm"])
def test_an_invalid_ignition_version_is_rejected(text: str, repository: Repository) -> None:
    if text:
        with pytest.raises(ConfigurationError, match="not a valid Ignition version"):
            list_modules(repository, ListFilter(ignition=text))

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, NotInRepository
from ign_deploy.repositories import Repository, open_repository
from ign_deploy.repositories.listing import (
    find_module,
    list_modules,
    newest_version,
    require_version,
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
    assert [entry.id for entry in list_modules(repository, search=search)] == found


def test_the_listed_version_is_the_one_that_a_download_takes(repository: Repository) -> None:
    for entry in list_modules(repository):
        assert newest_version(repository, module_id=entry.id) == entry.version


@pytest.mark.parametrize(
    "name", ["com.acme.alarms", "COM.ACME.alarms", "Alarm Tools", "alarm tools"]
)
def test_a_module_is_found_by_id_or_name_whatever_the_case(
    name: str, repository: Repository
) -> None:
    assert find_module(repository, name=name).id == "com.acme.alarms"


def test_an_ambiguous_name_lists_the_ids(repository: Repository) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        find_module(repository, name="charts")
    assert "com.acme.charts, org.other.charts" in refusal.value.message
    assert "id" in refusal.value.hint


@pytest.mark.parametrize("name", ["com.acme.alarm", "alarms", "Alarm Tool", "com.acme.alrams"])
def test_an_unknown_name_is_answered_with_near_ones(name: str, repository: Repository) -> None:
    with pytest.raises(NotInRepository, match=r"near to it: .*com\.acme\.alarms"):
        find_module(repository, name=name)


def test_a_hostile_name_is_shown_harmless(repository: Repository) -> None:
    with pytest.raises(NotInRepository) as refusal:
        find_module(repository, name="\x1b[2J\u202e")
    assert refusal.value.message.isprintable()


def test_an_unknown_version_is_answered_with_the_newest(repository: Repository) -> None:
    require_version(repository, module_id="com.acme.alarms", version="1.0.0")
    with pytest.raises(NotInRepository, match=r"the newest are 1\.1\.0-rc1, 1\.0\.0"):
        require_version(repository, module_id="com.acme.alarms", version="7")


def test_a_module_without_versions_has_no_newest(repository: Repository) -> None:
    with pytest.raises(NotInRepository):
        newest_version(repository, module_id="com.acme.none")

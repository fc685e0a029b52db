"""A repository's page as plant engineers would meet it, and a hostile one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ign_deploy.repositories.index import ModuleIndex, merge_module
from ign_deploy.repositories.page import (
    PAGE_NAME,
    document_script,
    module_script,
    page_bytes,
    script_path,
)
from ign_deploy.repositories.record import INDEX_NAME, RECORD_NAME, Release, make_release
from ign_deploy.repositories.root_index import ModuleEntry, make_root, module_entry
from ign_deploy.repositories.status_events import ModuleStatus, VersionState
from tests.support.releases import release_fields

SUBJECT = "CN=Acme Automation GmbH, OU=Release Engineering, O=Acme Automation GmbH, L=Graz, C=AT"

NOT_STATED: dict[str, Any] = {
    "required_ignition_version": "",
    "max_ignition_version": "",
    "tested_on": [],
}
OLD_LINE = NOT_STATED | {"required_ignition_version": "8.1.20"}
VALID_UNTIL = "2028-05-04T03:02:01Z"


def release(module_id: str, version: str, **changes: object) -> Release:
    """Return a record with everything in it that a record can have."""
    fields: dict[str, Any] = release_fields(module_id=module_id, version=version)
    fields["files"][0]["size"] = 12_345_678
    fields["files"].append(
        {**fields["files"][0], "name": "sbom.cdx.json", "role": "sbom", "size": 9}
    )
    fields["certificate"] |= {"subject": SUBJECT, "sha1": "0f" * 20, "sha256": "5c" * 32}
    fields["certificate"] |= {"not_after": VALID_UNTIL}
    fields |= {
        "required_ignition_version": "8.3.0",
        "required_framework_version": "8",
        "documentation_url": "https://docs.acme.example/meters/",
        "max_ignition_version": "8.3.6",
        "tested_on": ["8.3.2", "8.3.4"],
        "scopes": ["G", "DC"],
        "dependencies": [{"id": "com.inductiveautomation.opcua", "scope": "G", "required": True}],
        "licence_crc": 3_735_928_559,
        "tags": ["staging", "production"],
        "commit": "1f2e3d4c5b6a798897a6b5c4d3e2f1a0b9c8d7e6",
        "published_at": "2026-10-31T21:07:00Z",
        "description": "Reads energy meters over Modbus TCP and M-Bus into tags.",
        "notes": "Fixed\n- a reconnect storm after a switch restarts\n- negative values",
    }
    return make_release(**(fields | changes))


def meter_releases() -> list[tuple[Release, str | None]]:
    """A module of both lines, with more versions than are kept, one of them yanked."""
    name, shown = "com.acme.meters", "Energy Meters"
    return [
        *((release(name, f"2.{minor}.0", name=shown), None) for minor in range(12)),
        (release(name, "2.12.0", name=shown), "Loses values; see ticket 4711."),
        (release(name, "3.0.0-rc1", name=shown), None),
        (release(name, "1.9.4", name=shown, **OLD_LINE), None),
    ]


@dataclass
class SampleModule:
    """A module as its documents have it: its line of the root index, its index, its records."""

    entry: ModuleEntry
    index: ModuleIndex
    records: dict[str, Release]


def sample_module(versions: Sequence[tuple[Release, str | None]]) -> SampleModule:
    """Return a module, from all its records and why each is yanked."""
    index = module_index(versions)
    records = {release.version: release for release, _ in versions}
    return SampleModule(module_entry(index), index, records)


def module_index(versions: Sequence[tuple[Release, str | None]]) -> ModuleIndex:
    """Return the index of a module's versions, each with why it is yanked."""
    records = {release.version: release for release, _ in versions}
    states = {release.version: VersionState(yanked=reason) for release, reason in versions}
    index = merge_module(
        None,
        module_id=versions[0][0].id,
        present=list(records),
        read=records.get,
        status=ModuleStatus(states=states),
    )
    assert index is not None
    return index


def write_site(folder: Path, modules: Sequence[SampleModule]) -> Path:
    """Write a repository's page and all that it reads; return the page."""
    write_document(folder / INDEX_NAME, make_root((), added=[each.entry for each in modules]))
    for each in modules:
        location = folder / "modules" / each.index["id"]
        write_document(location / INDEX_NAME, each.index)
        script = module_script(each.index, read=each.records.get)
        (location / script_path(INDEX_NAME)).write_bytes(script)
        for version, record in each.records.items():
            (location / version).mkdir(exist_ok=True)
            (location / version / RECORD_NAME).write_bytes(record.to_json())
    page = folder / PAGE_NAME
    page.write_bytes(page_bytes())
    return page


def write_document(path: Path, document: object) -> None:
    """Write a document as JSON, and as a script beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    path.with_name(script_path(path.name)).write_bytes(document_script(document))


def single_version(
    module_id: str, version: str, *, yanked: str | None = None, **changes: object
) -> SampleModule:
    """Return a module of one version."""
    return sample_module([(release(module_id, version, **changes), yanked)])


def ordinary_modules() -> list[SampleModule]:
    """Modules by id, each with something special."""
    return [
        single_version(
            "com.acme.batch", "1.0.0-SNAPSHOT",
            name="Batch Reports", free=True, licence_crc=None, tags=[], dependencies=[],
        ),
        sample_module(meter_releases()),
        single_version(
            "com.acme.vision.gauges", "4.2.1",
            name="Vision Gauges", **OLD_LINE | {"required_ignition_version": "8.1.33"},
            description="Gauges for Vision.", dependencies=[{"id": "com.acme.meters"}],
        ),
        single_version(
            "org.example.opc-bridge", "0.9.0",
            name="OPC Bridge", **NOT_STATED, published_at="2025-02-03T04:05:06Z",
            yanked="The certificate's key was stolen. Remove it from every gateway.",
        ),
    ]  # fmt: skip


HOSTILE_TEXTS = (
    "<img src=x onerror=\"hacked=1\"><svg onload='hacked=1'>",
    "</script><script>hacked=1</script><!--<script>",
    "</noscript></style></title><iframe srcdoc='<script>parent.hacked=1</script>'>",
    "javascript:hacked=1",
    "\u202egnp.exe\u2066 \u200b\x00\x07\x1b[31m \u2028 \U000e0041 e\u0301" + "\u0301" * 500,
    "{{data}} {{script}} ${alert(1)} $& \\u003cscript\\u003e",
    "'\"><a href=//elsewhere.invalid>" + "W" * 1_000,
)


def hostile_module() -> SampleModule:
    """A module whose record is sound, but whose texts all try to do something."""
    everything = " ".join(HOSTILE_TEXTS)
    return single_version(
        "com.hostile",
        "1.0.0+b_1",
        yanked=everything,
        name=HOSTILE_TEXTS[1] + "N" * 90_000,
        description=everything,
        notes=everything,
        tags=HOSTILE_TEXTS,
        scopes=HOSTILE_TEXTS,
        commit=HOSTILE_TEXTS[3],
        required_ignition_version="8.3.0 " + HOSTILE_TEXTS[0],
        required_framework_version=HOSTILE_TEXTS[1],
        dependencies=[{"id": text, "scope": text} for text in HOSTILE_TEXTS],
        documentation_url=HOSTILE_TEXTS[3],
        max_ignition_version=HOSTILE_TEXTS[1],
        tested_on=HOSTILE_TEXTS,
        certificate={"subject": f"O={everything}", "sha1": "0" * 40, "sha256": "0" * 64},
    )


FORGED = "com.forged"


def write_forged_site(folder: Path) -> Path:
    """Write a page and documents as someone with a text editor might; return the page."""
    page = write_site(folder, [hostile_module()])
    root, location = folder / INDEX_NAME, folder / "modules" / FORGED
    entry = {
        "count": HOSTILE_TEXTS[0],
        "id": FORGED,
        "latest": "1.0.0",
        "lines": {HOSTILE_TEXTS[1]: "1.0.0", "8.1": "javascript:hacked=1", "8.2": "2.0.0"},
        "name": HOSTILE_TEXTS[1],
        "upload-time": HOSTILE_TEXTS[4],
        "tags": "tags",
        "vendor": HOSTILE_TEXTS[6],
        "yanked": {},
    }
    broken: list[object] = [None, 7, [], {}, {**entry, "id": "_query'\"><b onclick=hacked=1>"}]
    known = json.loads(root.read_text())["modules"]
    write_document(root, {"modules": [*broken, {**entry, "latest": "../.."}, entry, *known]})
    write_document(
        location / INDEX_NAME,
        {"files": [*broken, *_forged_lines()], "records": [None, 7, _forged_record()]},
    )
    write_document(location / "1.0.0" / RECORD_NAME, _forged_record())
    return page


def _forged_lines() -> list[dict[str, object]]:
    line: dict[str, object] = {
        "filename": "a.modl",
        "hashes": {"sha256": HOSTILE_TEXTS[0]},
        "max-ignition": HOSTILE_TEXTS[1],
        "requires-ignition": HOSTILE_TEXTS[1],
        "size": 1,
        "upload-time": HOSTILE_TEXTS[4],
        "version": "1.0.0",
        "yanked": HOSTILE_TEXTS[2],
    }
    changes: list[dict[str, object]] = [
        {"size": "1"}, {"version": "../.."}, {"version": HOSTILE_TEXTS[0]}, {"version": {}},
        {"filename": HOSTILE_TEXTS[3]}, {"filename": None},
    ]  # fmt: skip
    return [{**line, **each} for each in changes] + [line]


def _forged_record() -> dict[str, object]:
    file = {"name": "javascript:hacked=1", "role": HOSTILE_TEXTS[0], "sha256": [], "size": 1}
    return {
        "id": FORGED,
        "version": "1.0.0",
        "certificate": {
            "not_after": HOSTILE_TEXTS[4],
            "sha1": HOSTILE_TEXTS[2],
            "sha256": {},
            "subject": HOSTILE_TEXTS[5],
        },
        "commit": [HOSTILE_TEXTS[3]],
        "dependencies": [None, 7, {"id": HOSTILE_TEXTS[6], "required": "yes", "scope": {}}],
        "files": [None, file, {**file, "name": "sbom.json"}, {**file, "name": "../../x"}],
        "documentation_url": "https://user:secret@elsewhere.invalid/",
        "free": "yes",
        "licence_crc": HOSTILE_TEXTS[0],
        "notes": " ".join(HOSTILE_TEXTS),
        "scopes": [HOSTILE_TEXTS[1], {}],
        "tags": {"length": 3},
        "tested_on": [7, "8.3", HOSTILE_TEXTS[2]],
    }

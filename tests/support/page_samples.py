"""A repository's page as plant engineers would meet it, and a hostile one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ign_deploy.repositories.index import merge_module
from ign_deploy.repositories.page import PageModule, refresh_module
from ign_deploy.repositories.record import Release, make_release
from ign_deploy.repositories.status_events import ModuleStatus, VersionState
from tests.support.releases import release_fields

SUBJECT = "CN=Acme Automation GmbH, OU=Release Engineering, O=Acme Automation GmbH, L=Graz, C=AT"


def release(module_id: str, version: str, **changes: object) -> Release:
    """Return a record with everything in it that a record can have."""
    fields: dict[str, Any] = release_fields(module_id=module_id, version=version)
    fields["files"][0]["size"] = 12_345_678
    fields["files"].append(
        {**fields["files"][0], "name": "sbom.cdx.json", "role": "sbom", "size": 9}
    )
    fields["certificate"] |= {"subject": SUBJECT, "sha1": "0f" * 20, "sha256": "5c" * 32}
    fields |= {
        "required_ignition_version": "8.3.0",
        "required_framework_version": "8",
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
        (release(name, "1.9.4", name=shown, required_ignition_version="8.1.20"), None),
    ]


def page_module(versions: Sequence[tuple[Release, str | None]]) -> PageModule:
    """Return what the page shows of a module, from all its records and why each is yanked."""
    records = {release.version: release for release, _ in versions}
    states = {release.version: VersionState(yanked=reason) for release, reason in versions}
    module_id = versions[0][0].id
    index = merge_module(
        None,
        module_id=module_id,
        present=list(records),
        read=records.get,
        status=ModuleStatus(states=states),
    )
    return refresh_module(index, module_id=module_id, old=None, read=records.get)


def single_version(
    module_id: str, version: str, *, yanked: str | None = None, **changes: object
) -> PageModule:
    """Return a module of one version."""
    return page_module([(release(module_id, version, **changes), yanked)])


def ordinary_modules() -> list[PageModule]:
    """Modules by id, each with something special."""
    return [
        single_version(
            "com.acme.batch", "1.0.0-SNAPSHOT",
            name="Batch Reports", free=True, licence_crc=None, tags=[], dependencies=[],
        ),
        page_module(meter_releases()),
        single_version(
            "com.acme.vision.gauges", "4.2.1",
            name="Vision Gauges", required_ignition_version="8.1.33",
            description="Gauges for Vision.", dependencies=[{"id": "com.acme.meters"}],
        ),
        single_version(
            "org.example.opc-bridge", "0.9.0",
            name="OPC Bridge", required_ignition_version="", published_at="2025-02-03T04:05:06Z",
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


def hostile_module() -> PageModule:
    """A module whose record is sound, but whose texts all try to do something."""
    everything = " ".join(HOSTILE_TEXTS)
    return single_version(
        "com.hostile",
        "1.0.0+b_1",
        yanked=everything,
        name=HOSTILE_TEXTS[1] + "N" * 900_000,
        description=everything,
        notes=everything,
        tags=HOSTILE_TEXTS,
        scopes=HOSTILE_TEXTS,
        commit=HOSTILE_TEXTS[3],
        required_ignition_version="8.3.0 " + HOSTILE_TEXTS[0],
        required_framework_version=HOSTILE_TEXTS[1],
        dependencies=[{"id": text, "scope": text} for text in HOSTILE_TEXTS],
        certificate={"subject": everything, "sha1": "0" * 40, "sha256": "0" * 64},
    )


def forged_module() -> PageModule:
    """What no record gives: a module as someone with a text editor might put it into a page."""
    module = hostile_module()
    module["id"] = module["latest"] = "_query'\"><b onclick=hacked=1>"
    version = module["versions"][0]
    version["folder"] = "javascript:hacked=1//"
    version["file"]["name"] = "javascript:hacked=1"
    version["version"] = module["id"]
    version["signer"]["sha1"] = HOSTILE_TEXTS[2]
    version["published_at"] = HOSTILE_TEXTS[4]
    return module

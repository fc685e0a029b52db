"""Rendered files: exact modules, only what was consented to, no secrets."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.render import EVERYTHING, KINDS, RenderKind, Secret, render
from ign_deploy.render.kubernetes import SEED_SCRIPT
from tests.support.rendering import (
    OPTIONS,
    PUMP,
    VALVE,
    documents,
    fetch_commands,
    gateway_files,
    gateway_variables,
    init_containers,
    kubernetes_value,
    rendered,
)

GOLDEN = Path(__file__).with_name("golden")
# IGN_DEPLOY_REFRESH_GOLDEN=1 pytest tests/unit/render rewrites the files; review the diff.
REFRESH = bool(os.environ.get("IGN_DEPLOY_REFRESH_GOLDEN"))
BARE: dict[str, Any] = {
    "image": "inductiveautomation/ignition:8.3.8",
    "ign_deploy_image": "ign-deploy:slim",
    "credentials": Secret(),
    "admin_secret": "",
    "accept_certificates": (),
    "accept_licenses": (),
    "accept_ignition_eula": False,
}
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@EACH_KIND
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("full", {}),
        ("bare", BARE),
        (
            "folder",
            {
                "repository_url": "releases/modules",
                "repository_claim": "modules",
                "credentials": Secret(),
                "namespace": "plant",
                "name": "line-7",
                "storage_size": "",
            },
        ),
        ("ignition-8.1", {"image": "inductiveautomation/ignition:8.1.48"}),
    ],
)
def test_text_equals_the_golden_file(kind: RenderKind, name: str, changes: dict[str, Any]) -> None:
    golden = GOLDEN / f"{kind}-{name}.golden"
    text = rendered(kind, **changes).text
    if REFRESH:
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")


@EACH_KIND
def test_each_module_is_downloaded_exactly(kind: RenderKind) -> None:
    commands = fetch_commands(kind, rendered(kind))
    assert commands == [
        [
            *("ign-deploy", "download", module.id, "--version", module.version),
            *("--sha256", module.sha256, "--output-dir", f"/modules/{module.id}"),
            *("--repository-url", "https://modules.example.com/ignition"),
        ]
        for module in (PUMP, VALVE)
    ]


@EACH_KIND
def test_modules_are_mounted_as_single_files(kind: RenderKind) -> None:
    folder = "/usr/local/bin/ignition/user-lib/modules"
    assert gateway_files(kind, rendered(kind)) == {
        f"{folder}/com.example.pump.modl": "com.example.pump/com.example.pump-1.4.2.modl",
        f"{folder}/com.example.valve.modl": "com.example.valve/com.example.valve-2.0.0-rc1.modl",
    }
    assert f"{folder}\n" not in rendered(kind).text


@EACH_KIND
def test_consents_become_variables(kind: RenderKind) -> None:
    variables = gateway_variables(kind, rendered(kind))
    assert variables["ACCEPT_MODULE_CERTS"] == "com.example.pump,com.example.valve"
    assert variables["ACCEPT_MODULE_LICENSES"] == "com.example.pump"
    assert variables["ACCEPT_IGNITION_EULA"] == "Y"


@EACH_KIND
def test_missing_consents_are_noted(kind: RenderKind) -> None:
    result = rendered(kind, accept_certificates=(VALVE.certificate_sha256,), accept_licenses=())
    variables = gateway_variables(kind, result)
    assert variables["ACCEPT_MODULE_CERTS"] == "com.example.valve"
    assert "ACCEPT_MODULE_LICENSES" not in variables
    missing = [note for note in result.notes if note.startswith(PUMP.id)]
    assert f"--accept-certificate {PUMP.certificate_sha256}" in missing[0]
    assert f"--accept-license {PUMP.licence_crc}" in missing[1]
    assert not any(note.startswith(VALVE.id) for note in result.notes)


@EACH_KIND
def test_without_any_consent_no_acceptance_variable_is_written(kind: RenderKind) -> None:
    text = rendered(kind, **BARE).text
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert "ACCEPT_" not in body
    assert "acceptIgnitionEULA" not in body


@EACH_KIND
def test_yes_accepts_everything(kind: RenderKind) -> None:
    everything = (EVERYTHING,)
    result = rendered(kind, accept_certificates=everything, accept_licenses=everything)
    assert gateway_variables(kind, result) == gateway_variables(kind, rendered(kind))


def test_fingerprints_can_have_colons_and_upper_case() -> None:
    shown = ":".join(PUMP.certificate_sha1[i : i + 2] for i in range(0, 40, 2)).upper()
    result = rendered("compose", PUMP, accept_certificates=(shown,))
    assert gateway_variables("compose", result)["ACCEPT_MODULE_CERTS"] == PUMP.id


@EACH_KIND
def test_enabled_modules_are_never_listed(kind: RenderKind) -> None:
    result = rendered(kind)
    lines = [line for line in result.text.splitlines() if "GATEWAY_MODULES_ENABLED" in line]
    assert all(line.startswith("#") for line in lines)
    assert any("GATEWAY_MODULES_ENABLED" in note for note in result.notes)


@EACH_KIND
def test_notes_are_comments_of_the_file(kind: RenderKind) -> None:
    result = rendered(kind, **BARE)
    comments = [line[1:] for line in result.text.splitlines() if line.startswith("#")]
    text = " ".join(" ".join(comments).split())
    assert [note for note in result.notes if f"- {note}" not in text] == []


@EACH_KIND
def test_older_gateways_get_no_unsupported_variables(kind: RenderKind) -> None:
    result = rendered(kind, image="inductiveautomation/ignition:8.1.48")
    assert {"ACCEPT_MODULE_CERTS", "ACCEPT_MODULE_LICENSES"}.isdisjoint(
        gateway_variables(kind, result)
    )
    assert any("8.1 doesn't support the ACCEPT_MODULE" in note for note in result.notes)
    assert any(note.startswith("uncertain") and "8.1" in note for note in result.notes)


@pytest.mark.parametrize(
    ("image", "line"),
    [
        ("inductiveautomation/ignition:8.3.8", (8, 3)),
        ("registry.example.com:5000/ignition:8.1", (8, 1)),
        ("ignition:8.10.0", (8, 10)),
        ("ignition:latest", None),
        ("registry.example.com:5000/ignition", None),
        ("ignition@sha256:" + "8" * 64, None),
    ],
)
def test_the_ignition_line_comes_from_the_tag(image: str, line: tuple[int, int] | None) -> None:
    assert replace(OPTIONS, image=image).ignition_line == line


def test_an_unknown_line_is_noted() -> None:
    notes = rendered("compose", image="ignition:latest").notes
    assert "the image tag doesn't say which Ignition version it is; assuming 8.3" in notes


def test_images_without_digest_are_noted() -> None:
    notes = " ".join(rendered("compose", **BARE).notes)
    assert "the gateway image is not pinned" in notes
    assert "the ign-deploy image is not pinned" in notes
    assert "not pinned" not in " ".join(rendered("compose").notes)


@pytest.mark.parametrize("kind", ["kubernetes", "helm-values"])
def test_secrets_are_references(kind: RenderKind) -> None:
    for container in init_containers(kind, rendered(kind)):
        assert container["env"] == [
            {
                "name": "REPOSITORY_API_TOKEN",
                "valueFrom": {"secretKeyRef": {"name": "module-repository", "key": "token"}},
            }
        ]


def test_compose_takes_secrets_from_its_environment() -> None:
    services = documents(rendered("compose"))[0]["services"]
    variables = services["fetch-1-com-example-pump"]["environment"]
    assert {*variables} == {"REPOSITORY_API_TOKEN"}
    assert variables["REPOSITORY_API_TOKEN"].startswith("${REPOSITORY_API_TOKEN:?set it")


@EACH_KIND
def test_secrets_of_a_signed_url_are_not_shown(kind: RenderKind) -> None:
    signed = replace(PUMP, url="https://me:pw@store.example.com/a.modl?X-Signature=abc#def")
    text = rendered(kind, signed, accept_certificates=()).text
    assert "https://store.example.com/a.modl" in text
    assert not [word for word in ("pw@", "X-Signature", "#def") if word in text]


@pytest.mark.parametrize("kind", ["kubernetes", "helm-values"])
def test_init_containers_have_no_rights(kind: RenderKind) -> None:
    for container in init_containers(kind, rendered(kind)):
        assert container["securityContext"] == {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert {*container["resources"]} == {"requests", "limits"}


def test_gateway_starts_only_after_all_modules_are_verified() -> None:
    services = documents(rendered("compose"))[0]["services"]
    done = {"condition": "service_completed_successfully"}
    assert services["gateway"]["depends_on"] == {
        "fetch-1-com-example-pump": done,
        "fetch-2-com-example-valve": done,
    }


def test_folder_is_mounted_read_only_for_compose() -> None:
    services = documents(rendered("compose", repository_url="file:///srv/mod$les"))[0]["services"]
    mount = services["fetch-1-com-example-pump"]["volumes"][1]
    assert (mount["source"], mount["target"]) == ("/srv/mod$$les", "/repository")
    assert mount["read_only"] is True


@pytest.mark.parametrize("kind", ["kubernetes", "helm-values"])
def test_a_folder_that_no_pod_can_read_is_rejected(kind: RenderKind) -> None:
    with pytest.raises(ConfigurationError, match="no pod can read"):
        rendered(kind, repository_url="/srv/modules")


@pytest.mark.parametrize("kind", ["kubernetes", "helm-values"])
def test_credentials_without_a_secret_are_rejected(kind: RenderKind) -> None:
    with pytest.raises(ConfigurationError, match="without --credentials-secret"):
        rendered(kind, credentials=Secret("", (("REPOSITORY_API_TOKEN", "token"),)))


def test_the_chart_rebuilds_the_image_reference() -> None:
    for reference in (
        OPTIONS.image,
        "registry.example.com:5000/plant/ignition:8.3.8",
        "localhost/ignition:8.3",
    ):
        image = documents(rendered("helm-values", image=reference))[0]["image"]
        joined = f"{image['registry']}/{image['repository']}:{image['tag']}"
        assert joined.removeprefix("docker.io/") == reference


def test_an_image_without_tag_is_rejected_for_the_chart() -> None:
    with pytest.raises(ConfigurationError, match="has no tag"):
        rendered("helm-values", image="inductiveautomation/ignition@sha256:" + "1" * 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"accept_certificates": ("ab" * 20,)},
            "no requested module has the accepted certificate .*; theirs are 3c3c",
        ),
        (
            {"accept_licenses": ("1",)},
            "no requested module has the accepted licence .*; theirs are 3405691582",
        ),
        ({"repository_url": "https://me:secret@example.com/m"}, "contains credentials"),
        ({"repository_url": "https://[::1/m"}, "is not valid"),
        ({"repository_url": ""}, "is empty"),
        ({"repository_url": "--help"}, "invalid characters"),
        ({"repository_url": "https://a/\nb"}, "invalid characters"),
        ({"image": "ignition:8.3 --privileged"}, "gateway image"),
        ({"ign_deploy_image": ""}, "ign-deploy image"),
        ({"name": "Ignition"}, "the name is"),
        ({"name": "a" * 53}, "the name is"),
        ({"namespace": "a/b"}, "the namespace"),
        ({"repository_claim": "A"}, "volume claim"),
        ({"admin_secret": "a b"}, "administrator secret"),
        ({"credentials": Secret("s", (("A=B", "k"),))}, "variable of a credential"),
        ({"credentials": Secret("s", (("A", "k/l"),))}, "secret key of a credential"),
        ({"storage_size": "lots"}, "storage size"),
        ({"http_port": 0}, "HTTP port is 0"),
        ({"http_port": 65536}, "HTTP port is 65536"),
    ],
)
def test_invalid_options_are_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        rendered("compose", **changes)
    assert caught.value.hint
    assert "me:secret" not in str(caught.value)


@pytest.mark.parametrize("field", ["id", "version", "file_name"])
@pytest.mark.parametrize("text", ["", "../x", "a,b", "a b", "-x", "a/b", "a:b", "a\n", "é", "$(x)"])
def test_ambiguous_names_are_rejected(field: str, text: str) -> None:
    changes: dict[str, Any] = {field: text}
    module = replace(PUMP, **changes)
    with pytest.raises(ConfigurationError, match="expected letters"):
        rendered("compose", module, accept_certificates=())


def test_an_invalid_digest_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match=r"SHA-256 of com\.example\.pump"):
        rendered("compose", replace(PUMP, sha256="latest"), accept_certificates=())


def test_no_module_and_duplicate_modules_are_rejected() -> None:
    with pytest.raises(ConfigurationError, match="no module"):
        render("compose", [], OPTIONS)
    with pytest.raises(ConfigurationError, match="twice"):
        rendered("compose", PUMP, replace(PUMP, id=PUMP.id.upper()))


def test_an_unknown_kind_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="cannot render"):
        render("nomad", [PUMP], OPTIONS)  # type: ignore[arg-type]


def test_kubernetes_replaces_nothing_in_the_script() -> None:
    assert kubernetes_value(SEED_SCRIPT) == SEED_SCRIPT


def seed(source: Path, volume: Path) -> None:
    subprocess.run(
        ["/bin/bash", "-euc", SEED_SCRIPT, "seed-data", volume],
        env={"PATH": os.environ["PATH"], "IGNITION_INSTALL_LOCATION": str(source)},
        check=True,
        timeout=60,
    )


def seeded_world(tmp_path: Path) -> tuple[Path, Path]:
    install, volume = tmp_path / "ignition", tmp_path / "volume"
    for folder in (install / "data", install / "data_clean" / "deep", volume / "lost+found"):
        folder.mkdir(parents=True)
    (install / "data" / "used.txt").write_text("x")
    (install / "data_clean" / "deep" / "clean.txt").write_text("clean")
    return install, volume


def test_an_empty_data_volume_gets_the_images_data(tmp_path: Path) -> None:
    install, volume = seeded_world(tmp_path)
    seed(install, volume)
    assert (volume / "deep" / "clean.txt").read_text() == "clean"
    assert not (volume / "used.txt").exists()
    (volume / "deep" / "clean.txt").write_text("changed by the gateway")
    seed(install, volume)
    assert (volume / "deep" / "clean.txt").read_text() == "changed by the gateway"


def test_existing_data_is_kept(tmp_path: Path) -> None:
    install, volume = seeded_world(tmp_path)
    (volume / "gateway.xml").write_text("mine")
    seed(install, volume)
    assert not (volume / "deep").exists()
    assert (volume / "gateway.xml").read_text() == "mine"


def test_an_interrupted_copy_is_repeated(tmp_path: Path) -> None:
    install, volume = seeded_world(tmp_path)
    (volume / "deep").mkdir()
    (volume / "deep" / "clean.txt").write_text("cl")
    (volume / ".ign-deploy-seed-begun").touch()
    seed(install, volume)
    assert (volume / "deep" / "clean.txt").read_text() == "clean"
    assert not (volume / ".ign-deploy-seed-begun").exists()

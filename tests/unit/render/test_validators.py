"""The rendered files are sound for the validators of their readers."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from kubernetes_validate.utils import all_versions  # type: ignore[import-untyped]

from ign_deploy.render import Secret
from tests.support.rendering import OPTIONS, PUMP, VALVE, documents, rendered

# The oldest cluster the vendor's chart runs on is 1.29.
CLUSTERS = [version for version in all_versions() if int(version.split(".")[1]) >= 29]
FOLDER: dict[str, Any] = {
    "repository_url": "/srv/modules",
    "repository_claim": "modules",
    "credentials": Secret(),
}
VARIANTS = pytest.mark.parametrize(
    "changes",
    [{}, FOLDER, {"storage_size": "", "namespace": "plant", "admin_secret": ""}],
    ids=["url", "folder", "ephemeral"],
)

# What version 0.2.1 of the vendor's chart takes: each value by its path, with its type.
CHART_VALUES: dict[str, type] = {
    "fullnameOverride": str,
    "image.registry": str,
    "image.repository": str,
    "image.tag": str,
    "commissioning.acceptIgnitionEULA": bool,
    "commissioning.acceptModuleLicenses": list,
    "commissioning.acceptModuleCertificates": list,
    "commissioning.auth.existingSecret": str,
    "gateway.initContainers": list,
    "gateway.volumes": list,
    "gateway.volumeMounts": list,
    "gateway.dataVolumeStorageSize": str,
    "gateway.dataVolumeUseEmptyDir": bool,
}


def validate_everywhere(manifest: dict[str, Any]) -> None:
    for version in CLUSTERS:
        kubernetes_validate.validate(manifest, version, strict=True)


def check_compose(path: Path) -> subprocess.CompletedProcess[str]:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=120, check=False
    )


def test_there_are_several_cluster_versions() -> None:
    assert len(CLUSTERS) >= 5


ODD = replace(PUMP, id="Com.Example." + "Very-long_name+" * 8 + "x", version="1.0+b7")


@VARIANTS
def test_manifests_are_valid_for_every_cluster(changes: dict[str, Any]) -> None:
    manifests = documents(rendered("kubernetes", PUMP, VALVE, ODD, **changes))
    assert [each["kind"] for each in manifests] == ["Service", "StatefulSet"]
    for manifest in manifests:
        validate_everywhere(manifest)


def test_the_validator_detects_a_wrong_field() -> None:
    manifest = copy.deepcopy(documents(rendered("kubernetes"))[1])
    manifest["spec"]["template"]["spec"]["initContainers"][0]["argz"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        validate_everywhere(manifest)


@VARIANTS
def test_names_in_a_pod_match(changes: dict[str, Any]) -> None:
    spec = documents(rendered("kubernetes", **changes))[1]["spec"]
    pod = spec["template"]["spec"]
    volumes = [each["name"] for each in pod["volumes"]]
    volumes += [each["metadata"]["name"] for each in spec.get("volumeClaimTemplates", [])]
    containers = [*pod["initContainers"], *pod["containers"]]
    used = {mount["name"] for each in containers for mount in each["volumeMounts"]}
    assert sorted(volumes) == sorted(used)
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_names_of_containers_are_dns_labels() -> None:
    (_, stateful_set) = documents(rendered("kubernetes", PUMP, VALVE, ODD))
    names = [each["name"] for each in stateful_set["spec"]["template"]["spec"]["initContainers"]]
    assert len({*names}) == 4
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in names)


@VARIANTS
def test_the_compose_file_matches_the_official_schema(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(rendered("compose", PUMP, VALVE, ODD, **changes).text, "utf-8")
    checked = check_compose(path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_schema_detects_a_wrong_field(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(rendered("compose").text.replace("cap_drop:", "cap_dropped:"), "utf-8")
    assert check_compose(path).returncode == 1


@VARIANTS
def test_the_chart_accepts_the_values(changes: dict[str, Any]) -> None:
    values = documents(rendered("helm-values", **changes))[0]
    given = {
        path: value
        for path, value in leaves(values, stop=CHART_VALUES)
        if type(value) is not CHART_VALUES.get(path)
    }
    assert given == {}


def leaves(
    tree: dict[str, Any], *, stop: dict[str, type], above: str = ""
) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        path = f"{above}{name}"
        if path in stop or not isinstance(value, dict):
            found.append((path, value))
        else:
            found += leaves(value, stop=stop, above=f"{path}.")
    return found


@VARIANTS
def test_the_charts_pod_is_valid(changes: dict[str, Any]) -> None:
    """The chart adds these lists to those of its StatefulSet, as they are."""
    gateway = documents(rendered("helm-values", PUMP, VALVE, ODD, **changes))[0]["gateway"]
    labels = {"app.kubernetes.io/name": "ignition"}
    container = {"name": "gateway", "image": OPTIONS.image, "volumeMounts": gateway["volumeMounts"]}
    validate_everywhere(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "ignition-gateway"},
            "spec": {
                "serviceName": "ignition",
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "initContainers": gateway["initContainers"],
                        "containers": [container],
                        "volumes": gateway["volumes"],
                    },
                },
            },
        }
    )

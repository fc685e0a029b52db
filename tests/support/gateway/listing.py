"""The simulated gateway's two listings of modules, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.gateway.state import NO_CERTIFICATE, Listed, State

DEFAULT_LIMIT = 25


def healthy_items(state: State) -> list[dict[str, Any]]:
    """Return every module that is not kept out, faulted and inactive ones too."""
    return [_healthy(state, state.listed[module_id]) for module_id in sorted(state.listed)]


def quarantined_items(state: State) -> list[dict[str, Any]]:
    """Return every module that is kept out, and why."""
    return [
        {
            "id": modl.id,
            "name": modl.name,
            "version": modl.shown_version,
            "certAccepted": modl.fingerprint in state.accepted_certificates,
            "licenseAccepted": state.accepts_license(modl),
            "reason": state.obstacle(modl) or NO_CERTIFICATE,
        }
        for _, modl in sorted(state.quarantined.items())
    ]


def page(items: Sequence[dict[str, Any]], query: Mapping[str, str], cap: int) -> dict[str, Any]:
    """Return the part that was asked for; ``cap`` bounds it, whatever was asked."""
    limit = min(int(query.get("limit", DEFAULT_LIMIT)), cap)
    offset = int(query.get("offset", 0))
    return {
        "items": list(items[offset : offset + limit]),
        "metadata": {
            "total": len(items),
            "matching": len(items),
            "limit": limit,
            "offset": offset,
        },
    }


def _healthy(state: State, listed: Listed) -> dict[str, Any]:
    modl = listed.modl
    license_state = "TRIAL" if state.options.trial else "ACTIVATED"
    item: dict[str, Any] = {
        "id": modl.id,
        "name": modl.name,
        "version": modl.shown_version,
        "onStartup": "enabled" if listed.enabled else "disabled",
        "shouldUpgrade": state.should_upgrade(modl.id),
        "state": listed.state,
        "faultCause": None,
        "faultTime": None,
        "exception": None,
        "selfSigned": modl.self_signed,
        "licenseState": "FREE" if modl.free else license_state,
        "vendorName": "Example",
    }
    if listed.fault:
        item["faultCause"] = listed.fault
        item["faultTime"] = "2026-08-21T22:03:29Z"
        item["exception"] = {
            "message": listed.fault,
            "stacktrace": "java.lang.IllegalStateException\n\tat com.example.GatewayHook.startup",
        }
    return item

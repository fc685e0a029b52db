"""What the reference pages say about options and settings beyond their help."""

from __future__ import annotations

from collections.abc import Mapping

OPTION_NOTES: Mapping[tuple[str, str], str] = {
    ("module", "--format"): "The signed `.modl` is always created.",
    ("module", "--resign"): "See [Renew a certificate](renew-a-certificate.md).",
    ("sign", "--resign"): (
        "So it can be published with another certificate. See [Renew a "
        "certificate](renew-a-certificate.md)."
    ),
    ("upload", "--resign"): (
        "Records that FILE has the content of a published version, compared file by file. See "
        "[Renew a certificate](renew-a-certificate.md)."
    ),
    ("module", "--skip-signing"): (
        "With `--skip-upload`, verification is skipped as well, unless a bundle is created."
    ),
    ("module", "--dry-run"): "Runs the preflight, and prints the command that would build.",
    ("package", "--dry-run"): "Runs the preflight, and prints the command that would build.",
    ("plan", "--build-timeout"): "Here, the build only lists its modules.",
    ("plan", "--all"): "Otherwise only those changed since their newest published version.",
    ("download", "--version"): "That is the newest final release, else the newest prerelease.",
    ("list-modules", "--search"): "In any letter case.",
    ("history", "--audit-file"): "`history forget` adds an entry.",
    ("audit", "--audit-file"): "Read if FILE isn't given.",
    ("status", "--exit-code"): (
        "Gateways that don't list their modules don't count, unless there are no others."
    ),
    ("status", "--gateway"): "Without it: those of the environment, or all in the config file.",
    ("status", "--metrics-file"): "See [metrics of gateways](metrics.md#gateways).",
    ("render", "--ign-deploy-image"): "It is [your own](container.md).",
    ("remove", "--confirm"): "Required, once for each version.",
    ("prune", "--keep"): "Required, at least 1.",
    ("validate-env", "--packaging"): "Also checks settings and output folder.",
    ("validate-env", "--signing"): (
        "Also shows where the key is, its speed, and when its certificate expires."
    ),
    ("validate-env", "--repository"): "Also shows what a store guarantees.",
    ("validate-env", "--environment"): "Its gateways in the config file are checked.",
    ("validate-env", "--gateway"): (
        "Checks that it can be reached and changed, and shows what it is."
    ),
    ("validate-env", "--conformance"): (
        "Exit code 10 if it answers otherwise than expected. See [Try it on a throw-away "
        "gateway](deploy-and-roll-back.md#try-it-on-a-throw-away-gateway)."
    ),
    ("validate-env", "--timeout"): "With `--conformance`: how long a restart may take.",
    ("Options for maintenance", "--reason"): (
        "`yank` requires it, and shows it wherever the version is listed."
    ),
    ("Options for signing", "--key"): (
        "See [Keys in hardware](keys-in-hardware.md) and [Keys in services](keys-in-services.md)."
    ),
    ("Options of the repository", "--repository-url"): (
        "The default is in the current folder. See [Publish to a store](publish-to-a-store.md)."
    ),
    ("Options for gateways", "--gateway"): "See [Gateways](settings.md#gateways).",
    ("Options for notifications", "--webhook-format"): "See [Notifications](notifications.md).",
    ("Options for notifications", "--audit-file"): "See [Audit trail](audit.md).",
    ("Options for notifications", "--metrics-file"): "See [Metrics](metrics.md).",
}
"""(command or title of shared options, option) → what follows its help."""

SETTING_NOTES: Mapping[str, str] = {
    "version": "See [versions](build-a-module.md#versions).",
    "environment": (
        "It is written into the release record and into the environment's "
        "[history](deploy-and-roll-back.md#environments-and-history)."
    ),
    "notes-file": "UTF-8, no symbolic link, read before anything is built.",
    "tags": "Also one per line.",
    "tested-on": "Also one per line.",
    "skip-signing": "What is uploaded must already be signed.",
    "rehearsal": "The result file is kept.",
    "continue-on-error": "See [Several modules](batch-and-matrix.md).",
    "max-parallel": "`0`: one per usable CPU.",
    "all": "See [Plan a matrix](batch-and-matrix.md#plan-a-matrix).",
    "protected-branch": "One of several is enough.",
    "build-timeout": "In seconds.",
    "isolate": "See [Isolation](build-a-module.md#isolation).",
    "key": "Secret, unless it is a path or a URI.",
    "key-path": "Secret, unless it is a path.",
    "keystore": "Secret, unless it is a path.",
    "resign": "See [Renew a certificate](renew-a-certificate.md).",
    "repository-url": (
        "The folder may be a `file:` URL; the default is in the current folder. See [Publish to a "
        "folder](publish-to-a-folder.md) and [Publish to a store](publish-to-a-store.md)."
    ),
    "cache-dir": "At most 2 GiB; the least recently used files are deleted.",
    "source-token": "See [mirror](maintain-a-repository.md#mirror).",
    "confirm": (
        "See [remove](maintain-a-repository.md#remove). Of [`history "
        "forget`](commands.md#history): the environment."
    ),
    "keep": "See [prune](maintain-a-repository.md#prune), which requires at least 1.",
    "gateway": (
        "Without it, `install`, `rollback` and `promote` take the environment's gateways in the "
        "[config file](#gateways)."
    ),
    "gateway-token": "See [The token](deploy-and-roll-back.md#the-token).",
    "gateway-ca": "They replace the public CAs.",
    "gateway-pin": "It replaces any CA.",
    "accept-certificate": ("SHA-1 or SHA-256. See [Consent](deploy-and-roll-back.md#consent)."),
    "restart": "See [Restarts](deploy-and-roll-back.md#restarts).",
    "timeout": "In seconds.",
    "health-url": "See [Health checks](deploy-and-roll-back.md#health-checks).",
    "health-command": "It gets the gateway's address in `IGN_DEPLOY_GATEWAY_URL`.",
    "wait-for-lock": "In seconds.",
    "webhook-url": "See [Notifications](notifications.md).",
    "webhook-secret": "HMAC-SHA-256.",
    "audit-file": "See [Audit trail](audit.md).",
    "expect-count": "`0`: not checked.",
    "metrics-file": "See [Metrics](metrics.md).",
}
"""Setting → what follows its help."""

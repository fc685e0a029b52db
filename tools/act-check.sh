#!/usr/bin/env bash
# Run the action with act, an independent runner of GitHub workflows: act-check.sh IMAGE RUNNER
#
# RUNNER is the image that jobs run in. More arguments go to pytest. The caller sets Podman's
# configuration (CONTAINERS_CONF, CONTAINERS_STORAGE_CONF).
set -euo pipefail
cd "$(dirname "$0")/.."

export IGN_DEPLOY_ACT_IMAGE=$1 IGN_DEPLOY_ACT_RUNNER=$2

# What act leaves behind when it is stopped, and its volume for tools.
cleanup() {
  podman ps --all --quiet --filter "name=^act-" |
    xargs --no-run-if-empty podman rm --force
  podman volume rm --force act-toolcache
} >/dev/null 2>&1
trap cleanup EXIT

.venv/bin/python -m pytest tests/act "${@:3}"

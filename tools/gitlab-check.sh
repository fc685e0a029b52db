#!/usr/bin/env bash
# Run the GitLab example with gitlab-ci-local inside a built image: gitlab-check.sh IMAGE BASE
#
# BASE is a Debian image for the helper with which gitlab-ci-local copies files.
# The caller sets Podman's configuration (CONTAINERS_CONF, CONTAINERS_STORAGE_CONF).
set -euo pipefail
cd "$(dirname "$0")/.."

image=$1
base=$2
root=$PWD
helper=localhost/ign-deploy-gitlab-helper:1
work=$(mktemp -d)

volumes() {
  podman volume ls --quiet --filter name=gcl- | sort
}

# gitlab-ci-local leaves Podman containers and volumes behind.
cleanup() {
  local volume
  for volume in $(volumes | comm -13 "$work/volumes" -); do
    podman ps --all --quiet --filter "volume=$volume" | xargs --no-run-if-empty podman rm --force
    podman volume rm --force "$volume"
  done >/dev/null 2>&1
  rm -rf "$work"
}
volumes >"$work/volumes"
trap cleanup EXIT

fail() {
  tail -n 60 "$work/log" >&2
  echo "gitlab-check: $*" >&2
  exit 1
}

make_helper() {
  if podman image exists "$helper"; then return; fi
  mkdir "$work/helper"
  printf 'FROM %s\nRUN apt-get update -q && apt-get install -y -q --no-install-recommends rsync\n' "$base" \
    >"$work/helper/Containerfile"
  buildah bud --isolation chroot --network host --timestamp 0 --quiet --tag "$helper" "$work/helper" \
    >"$work/log" 2>&1 || fail "the helper image did not build"
}

# Run the pipeline of a tag in the image that the example names.
pipeline() { # <tag>
  podman tag "$image" registry.example.com/tools/ign-deploy:jdk
  (cd "$work/pump" && "$root/.venv/bin/node" "$root/tools/node_modules/.bin/gitlab-ci-local" \
    --container-executable podman --pull-policy if-not-present --helper-image "$helper" \
    --variable "CI_COMMIT_TAG=$1") >"$work/log" 2>&1
}

tools/setup.sh tests
make_helper
.venv/bin/python -m tests.support.gitlab "$work/pump"
pipeline v1.2.3 || fail "the pipeline failed"
grep -q '> com.example.pump 1.2.3 is uploaded, SHA-256 [0-9a-f]\{64\}$' "$work/log" ||
  fail "a later job did not read the outputs"
if grep -q a-password-to-be-redacted "$work/log"; then fail "the password is in the log"; fi
if pipeline v9.9.9; then fail "the pipeline of an invalid tag passed"; fi

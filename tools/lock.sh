#!/usr/bin/env bash
# Write requirements.lock (runtime) and requirements-dev.lock (everything) from pyproject.toml.
#
# Universal (every platform and Python >= 3.11), with the SHA-256 of every published file. This
# machine's pip and uv settings are ignored, so that only the public index is used and no
# host or local path gets into the files. Extra arguments go to uv, e.g. `tools/lock.sh --upgrade`.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
[ -x "$uv" ] || { echo "tools/lock.sh: $uv is missing; run: make setup" >&2; exit 1; }

compile() { # <output> <uv arguments…>
  local output=$1
  shift
  env -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS \
    "$uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
    --output-file "$output" pyproject.toml "$@"
  echo "$output: $(grep -c '==' "$output") packages"
}

compile requirements.lock --extra s3 --extra otel --extra pkcs11 "$@"
# Runtime versions must be the same in both files.
compile requirements-dev.lock --extra s3 --extra otel --extra pkcs11 --group dev --constraint requirements.lock "$@"

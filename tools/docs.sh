#!/usr/bin/env bash
# Build the site of docs/ into build/site; any warning, such as a broken link, is an error.
# The argument names the Python to use, which has the packages of requirements-dev.lock.
set -euo pipefail
cd "$(dirname "$0")/.."

rm -rf build/site
"${1:-.venv/bin/python}" -m sphinx --fail-on-warning --keep-going --nitpicky --quiet \
  --conf-dir tools/site docs build/site
echo "built build/site/index.html"

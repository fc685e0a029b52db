#!/usr/bin/env bash
# Release the example module with the public command line, from source to a repository and back.
#
# Everything is made below demo/, which is made anew.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
project=../examples/gradle-module
password=demo-password # protects a throw-away key that never leaves demo/

# Only what is given here counts, whatever the shell around has set.
while read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(MODULE_|REPOSITORY_|DEPLOYMENT_|IGN_DEPLOY_|INPUT_|GITHUB_)' || true)

title() {
  printf '\n== %s\n' "$*"
}

deploy() {
  printf '$ ign-deploy%s\n' "$(printf ' %q' "$@")"
  "$root/.venv/bin/ign-deploy" "$@"
}

rm -rf demo
mkdir demo
cd demo

title "1. A throw-away certificate to sign with"
export MODULE_SIGNING_PASSWORD=$password
deploy generate-certificate --common-name "ign-deploy demo" --output-dir identity

title "2. Build, sign, verify and upload examples/gradle-module"
deploy module "$project" --cert-path identity/signing.cert.pem --key-path identity/signing.key.pem \
  --notes "made by the demo" --tags demo

title "3. What the repository holds"
deploy list-modules

title "4. Download it again, verified before it is handed over"
id=$("$root/.venv/bin/ign-deploy" list-modules --json |
  "$root/.venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["modules"][0]["id"])')
deploy download "$id" --output-dir download

title "5. Who signed it, and is every byte covered?"
module=$(find download -name '*.modl' | head -n 1)
deploy verify "$module" --trust-anchor identity/signing.cert.pem

signed=$(find dist -name '*.modl' ! -name '*unsigned*' | head -n 1)
cmp "$signed" "$module"

title "Made, all in the folder demo/"
cat <<END
  certificate and key   identity/signing.cert.pem, identity/signing.key.pem
  signed module         $signed
  repository            module-repository (the default: no --repository-url was given)
  release record        $(find module-repository -name release.json | head -n 1)
  downloaded again      $module, the same bytes
Remove it all with: rm -rf demo
END

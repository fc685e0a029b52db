#!/usr/bin/env bash
# Release the example module with the public command line, from source to a repository and back.
#
# Everything is made below demo/, which is made anew.
set -euo pipefail
cd "$(dirname "$0")/.."

project=examples/gradle-module
work=$PWD/demo
repository=$work/module-repository
password=demo-password # protects a throw-away key that never leaves demo/

# Only what is given here counts, whatever the shell around has set.
while read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(MODULE_|REPOSITORY_|DEPLOYMENT_|IGN_DEPLOY_|INPUT_)' || true)

title() {
  printf '\n== %s\n' "$*"
}

deploy() {
  printf '$ ign-deploy%s\n' "$(printf ' %q' "$@" | sed "s|$PWD/||g")"
  .venv/bin/ign-deploy "$@"
}

rm -rf "$work"
mkdir -p "$work"

title "1. A throw-away certificate to sign with"
export MODULE_SIGNING_PASSWORD=$password
deploy generate-certificate --common-name "ign-deploy demo" --output-dir "$work/identity"
certificate=$work/identity/signing.cert.pem
key=$work/identity/signing.key.pem

title "2. Build, sign, verify and upload $project"
deploy module "$project" --output-dir "$work/dist" --repository-url "$repository" \
  --cert-path "$certificate" --key-path "$key" --notes "made by the demo" --tags demo

title "3. What the repository holds"
deploy list-modules --repository-url "$repository"

title "4. Download it again, verified before it is handed over"
id=$(.venv/bin/ign-deploy list-modules --repository-url "$repository" --json |
  .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["modules"][0]["id"])')
deploy download "$id" --repository-url "$repository" --output-dir "$work/download"

title "5. Who signed it, and is every byte covered?"
module=$(find "$work/download" -name '*.modl' | head -n 1)
deploy verify "$module" --trust-anchor "$certificate"

title "Made"
cat <<END
  certificate and key   ${certificate#"$PWD"/}, ${key#"$PWD"/}
  signed module         $(cd "$PWD" && find demo/dist -name '*.modl' ! -name '*unsigned*' | head -n 1)
  repository            ${repository#"$PWD"/} (module $id)
  downloaded again      ${module#"$PWD"/} ($(sha256sum "$module" | cut -c 1-16)…)
The module, its signature and the published copy agree. Remove it all with: rm -rf demo
END

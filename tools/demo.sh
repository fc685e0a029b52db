#!/usr/bin/env bash
# Release the example module with the public command line, from source to a simulated gateway, and
# roll back a version that fails there.
#
# Everything is created in demo/, which is deleted first. REPOSITORY_URL names another repository than
# the folder there, such as oci://127.0.0.1:5000/modules; what is published there stays.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
project=../examples/gradle-module
id=com.example.shiftclock
password=demo-password # protects a temporary key that never leaves demo/
python=$root/.venv/bin/python
url=${REPOSITORY_URL:-}

# Ignore settings from the surrounding shell.
while read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(MODULE_|REPOSITORY_|DEPLOYMENT_|IGN_DEPLOY_|INPUT_|GITHUB_)' || true)

# A published version never changes, so in a permanent repository each demo has its own versions.
stamp=0
where="module-repository (the default: no --repository-url was given)"
if [ -n "$url" ]; then
  stamp=$(date +%s)
  export MODULE_REPOSITORY_URL=$url
  where=$url
fi
first=1.0.$stamp
second=1.1.$stamp

# Short builds: half the time goes into optimising code that runs once.
export JAVA_OPTS=${JAVA_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC}

title() {
  printf '\n== %s\n' "$*"
}

deploy() {
  printf '$ ign-deploy%s\n' "$(printf ' %q' "$@")"
  "$root/.venv/bin/ign-deploy" "$@"
}

# Run a command that must fail with this exit code.
fails() {
  local expected=$1 code=0
  shift
  deploy "$@" || code=$?
  printf '(exit code %s)\n' "$code"
  [ "$code" = "$expected" ]
}

# Print one value of a signed module's verification.
value() {
  "$root/.venv/bin/ign-deploy" verify "$1" --json |
    "$python" -c "import json, sys; print(json.load(sys.stdin)['modules'][0]$2)"
}

release() { # version, output folder
  deploy module "$project" --cert-path identity/signing.cert.pem --key-path identity/signing.key.pem \
    --version "$1" --gradle-args="-PmoduleVersion=$1" --output-dir "$2" --notes "created by the demo" --tags demo
}

started=() # background processes, by process id
stop_all() {
  for pid in ${started[@]+"${started[@]}"}; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}
trap stop_all EXIT

rm -rf demo
mkdir demo
cd demo

title "1. Generate a temporary signing certificate"
export MODULE_SIGNING_PASSWORD=$password
deploy generate-certificate --common-name "ign-deploy demo" --output-dir identity

title "2. Build, sign, verify and upload examples/gradle-module"
release "$first" dist
# The next version is built in the meantime, which takes longer than steps 3 to 7.
release "$second" dist-next >release-next.log 2>&1 &
build=$!
started+=("$build")

title "3. List what the repository contains"
deploy list-modules

title "4. Download it again, verified"
deploy download "$id" --version "$first" --output-dir download

title "5. Check who signed it, and that every byte is covered"
module=$(find download -name '*.modl' | head -n 1)
deploy verify "$module" --trust-anchor identity/signing.cert.pem

signed=$(find dist -name '*.modl' ! -name '*unsigned*' | head -n 1)
cmp "$signed" "$module"

title "6. Start a simulated Ignition 8.3.8 gateway, on which version $second will fail"
export IGN_DEPLOY_GATEWAY_TOKEN=demo:s3cret
(cd "$root" && exec "$python" -m tests.support.gateway --token "$IGN_DEPLOY_GATEWAY_TOKEN" \
  --fault "$id=$second") >gateway.url &
started+=($!)
for _ in $(seq 100); do
  [ -s gateway.url ] && break
  sleep 0.1
done
gateway=$(cat gateway.url)
[ -n "$gateway" ]
echo "the gateway is at $gateway"
there=(--gateway "$gateway" --environment "demo-$stamp" --audit-file audit.jsonl)

title "7. Install without consent: nothing is accepted"
fails 7 install "$id@$first" "${there[@]}"

title "8. Install, with consent to this signer and licence, and permission to restart"
there+=(--accept-certificate "$(value "$module" "['certificates'][0]['sha1']")"
  --accept-license "$(value "$module" "['licence_crc']")" --restart if-needed)
deploy install "$id@$first" "${there[@]}"

title "9. Install the next version, which fails on the gateway and is rolled back"
wait "$build" || { cat release-next.log; exit 1; }
echo "$id $second is published, see demo/release-next.log"
fails 7 install "$id@$second" "${there[@]}"

title "10. Show the history"
deploy history --environment "demo-$stamp"
deploy audit verify audit.jsonl

title "11. Roll back once more: nothing to do, since $second was rolled back already; $first still runs"
deploy rollback --environment "demo-$stamp" "${there[@]}" | tee rollback.txt
grep -qF "nothing to roll back: $id $second was rolled back already, and $first runs" rollback.txt
deploy status --environment "demo-$stamp"

title "Results, all in the folder demo/"
cat <<END
  certificate and key   identity/signing.cert.pem, identity/signing.key.pem
  signed module         $signed
  repository            $where
  downloaded module     $module, the same bytes
  audit trail           audit.jsonl
Delete everything with: rm -rf demo
END

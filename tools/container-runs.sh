#!/usr/bin/env bash
# Run the images like CI hosts do; sourced by container-check.sh.
set -euo pipefail

run() { # <podman arguments…>
  podman run --rm --passwd=false --network none "$@"
}

prints_its_version() {
  run "localhost/ign-deploy:$1" --version | grep -q "[0-9]" || fail "--version printed nothing"
}

# Byte code for all of our code, never checked against a date, and for the standard library.
has_byte_code() {
  run -i --entrypoint /opt/ign-deploy/bin/python "localhost/ign-deploy:$1" -I - <<'PYTHON' || fail "no byte code in $1"
import argparse
import sys
from importlib.util import cache_from_source
from pathlib import Path

UNCHECKED_HASH = b"\1\0\0\0"
for source in Path("/opt/ign-deploy").rglob("*.py"):
    code = Path(cache_from_source(str(source)))
    if not code.exists() or code.read_bytes()[4:8] != UNCHECKED_HASH:
        sys.exit(f"{source} has no byte code, or one with a date")
if not Path(argparse.__cached__).exists():
    sys.exit("the standard library has no byte code")
PYTHON
}

has_no_pip() {
  if run --entrypoint /opt/ign-deploy/bin/python "localhost/ign-deploy:$1" -c 'import pip' 2>/dev/null; then
    fail "pip is in the image $1"
  fi
}

# Run a step like the GitHub runner: hyphenated variables, empty inputs, the /github mounts, no
# terminal, another owner of everything mounted. Log, outputs and summary are in
# $work/github; returns the exit code. ${as[@]} has more podman options.
runner_user=1001:1001
as=()
action_step() { # <target> <INPUT_NAME=value…>
  local target=$1 github=$work/github input inputs=()
  shift
  for input in "$@"; do inputs+=(-e "$input"); done
  mkdir -p "$github"/{workspace,home,workflow,file_commands,runner_temp}
  : >"$github/file_commands/output"
  : >"$github/file_commands/summary"
  chown -R "$runner_user" "$github"
  run "${as[@]}" -w /github/workspace "${inputs[@]}" -e "INPUT_MODULE-ID=" -e "INPUT_SKIP-UPLOAD=" \
    -e CI=true -e GITHUB_ACTIONS=true -e HOME=/github/home -e RUNNER_TEMP=/github/runner_temp \
    -e GITHUB_WORKSPACE=/github/workspace \
    -e GITHUB_OUTPUT=/github/file_commands/output -e GITHUB_STEP_SUMMARY=/github/file_commands/summary \
    -v "$github/workspace:/github/workspace" -v "$github/home:/github/home" \
    -v "$github/workflow:/github/workflow" -v "$github/file_commands:/github/file_commands" \
    -v "$github/runner_temp:/github/runner_temp" \
    "localhost/ign-deploy:$target" >"$github/log" 2>&1
}

# Show the step's log and outputs, then fail.
explain() {
  tail -n 60 "$work/github/log" "$work/github/file_commands/output" >&2
  fail "$*"
}

# The bindings are there; the token's own library is up to whoever has the token.
can_load_pkcs11_libraries() {
  local message
  message=$(run -v "$PWD/tests/data/vectors:/vectors:ro" localhost/ign-deploy:slim sign \
    /vectors/vector.unsigned.modl --key 'pkcs11:?module-path=/usr/lib/os-release' 2>&1) || true
  grep -q "can't be used as a PKCS#11 library" <<<"$message" || fail "no PKCS#11 in slim: $message"
}

explains_a_missing_file() {
  local code=0
  action_step slim INPUT_COMMAND=module INPUT_PATH=missing.modl || code=$?
  # A missing file is a usage error or a packaging error, never a traceback (1).
  case $code in
    2 | 3) ;;
    *) explain "the action ended with $code for a missing file" ;;
  esac
  if grep -q Traceback "$work/github/log"; then explain "the action printed a traceback"; fi
}

# Sign, verify and publish a prebuilt module into a folder in the workspace, twice.
releases_a_module() {
  local inputs=(
    INPUT_COMMAND=module INPUT_PATH=pumps.unsigned.modl
    "INPUT_CERT-PATH=identity/signing.cert.pem" "INPUT_KEY-PATH=identity/signing.key.pem"
    "INPUT_SIGNING-PASSWORD=$password" "INPUT_REPOSITORY-URL=repository" "INPUT_OUTPUT-DIR=dist"
  )
  local password_forms result
  make_module "$work/github/workspace/pumps.unsigned.modl"
  run -w /ws -v "$work/github/workspace:/ws" -e "MODULE_SIGNING_PASSWORD=$password" \
    localhost/ign-deploy:slim generate-certificate --common-name check -o identity >/dev/null
  for result in uploaded unchanged; do
    action_step slim "${inputs[@]}" || explain "the action failed"
    grep -qx "$result" "$work/github/file_commands/output" || explain "the result was not '$result'"
    [ -s "$work/github/file_commands/summary" ] || explain "the action wrote no summary"
    password_forms=$(grep -v '^::add-mask::' "$work/github/log" | grep -c "$password" || true)
    [ "$password_forms" = 0 ] || explain "the password is in the log"
  done
}

# Like Kubernetes with strict settings: only the mounts and /tmp are writable, no root.
releases_without_rights() {
  rm -rf "$work/github/workspace"/{repository,dist}
  as=(--read-only --read-only-tmpfs=false --tmpfs "/tmp:rw,size=64m" --cap-drop all
    --security-opt no-new-privileges -u "$runner_user")
  action_step slim INPUT_COMMAND=module INPUT_PATH=pumps.unsigned.modl \
    "INPUT_CERT-PATH=identity/signing.cert.pem" "INPUT_KEY-PATH=identity/signing.key.pem" \
    "INPUT_SIGNING-PASSWORD=$password" "INPUT_REPOSITORY-URL=repository" \
    || explain "the action failed on a read-only root"
  as=()
}

# A build as root in another user's checkout: it runs git and creates files.
builds_in_another_users_workspace() {
  local workspace=$work/github/workspace strangers arguments code
  rm -rf "$work/github" && mkdir -p "$workspace/project/gradle/wrapper"
  make_module "$workspace/made.modl"
  : >"$workspace/project/settings.gradle"
  : >"$workspace/project/gradle/wrapper/gradle-wrapper.jar"
  echo 'distributionUrl=https\://services.gradle.org/distributions/gradle-8.5-bin.zip' \
    >"$workspace/project/gradle/wrapper/gradle-wrapper.properties"
  cat >"$workspace/project/gradlew" <<'GRADLEW'
set -eu
echo "the tree is $(git rev-parse --show-toplevel)"
echo "java is $(javac -version)"
echo "built by $(id -un), $(tr -d '\t' </proc/self/status | grep -E '^(CapBnd|NoNewPrivs):' | tr '\n' ' ')"
for closed in /github/file_commands /github/runner_temp /github/workspace/.git; do
  if touch "$closed/evil" 2>/dev/null; then echo "evil: wrote to $closed"; fi
done
if ls /github/file_commands >/dev/null 2>&1; then echo "evil: saw the runner's files"; fi
mkdir -p build/deep .gradle "$GRADLE_USER_HOME/caches"
touch build/deep/file .gradle/file "$GRADLE_USER_HOME/caches/file"
for argument; do [ "$argument" != --fail ] || exit 1; done
cp ../made.modl build/Pump.modl
GRADLEW
  git init --quiet "$workspace"
  as=(-e JAVA_HOME=/opt/hostedtoolcache/Java_Temurin-Hotspot_jdk/17/x64) # set by setup-java
  for arguments in zipModule --fail; do
    action_step jdk INPUT_COMMAND=package INPUT_PATH=project "INPUT_GRADLE-ARGS=$arguments" \
      INPUT_ISOLATE=require \
      && code=0 || code=$?
    case $arguments$code in
      zipModule0 | --fail3) ;;
      *) explain "the build with $arguments ended with $code" ;;
    esac
    grep -q "the tree is /github/workspace" "$work/github/log" || explain "git refused the checkout"
    grep -q "built by ign-build, CapBnd:0* NoNewPrivs:1" "$work/github/log" \
      || explain "the build was not isolated"
    if grep "evil:" "$work/github/log" >&2; then explain "the build could change what isn't its own"; fi
    strangers=$(find "$workspace" "$work/github/home" ! -user "${runner_user%:*}")
    [ -z "$strangers" ] || explain "not given back: $strangers"
    [ -e "$work/github/home/.gradle/caches/file" ] || explain "Gradle's caches are not under a mount"
  done
  as=()
}

# Start the image with `cat` as a user it doesn't know, and run the job's steps inside.
runs_as_jenkins_does() {
  local workspace=$work/jenkins said
  mkdir -p "$workspace"
  make_module "$workspace/pumps.unsigned.modl"
  chown -R 1000:1000 "$workspace"
  podman run -t -d --passwd=false --network none --name "$jenkins" -u 1000:1000 -w "$workspace" \
    -v "$workspace:$workspace" -e JENKINS_URL=http://jenkins.example/ -e "WORKSPACE=$workspace" \
    localhost/ign-deploy:jdk cat >/dev/null
  podman exec "$jenkins" ps -A -o args= | grep -qx cat || fail "the container doesn't run cat"
  said=$(podman exec -e "MODULE_SIGNING_PASSWORD=$password" "$jenkins" sh -c \
    'ign-deploy generate-certificate --common-name check -o identity >&2 &&
     ign-deploy module pumps.unsigned.modl --cert-path identity/signing.cert.pem \
       --key-path identity/signing.key.pem' 2>&1) || fail "the job's step failed: $said"
  grep -qx 'RESULT=uploaded' "$workspace/dist/ign-deploy.properties" \
    || fail "no result in the properties: $said"
  cp -R "$work/github/workspace/project" "$work/github/workspace/made.modl" "$workspace"
  chown -R 1000:1000 "$workspace"
  said=$(podman exec "$jenkins" ign-deploy package project 2>&1) || fail "the build failed: $said"
  grep -q "the build is not isolated, because ign-deploy doesn't run as root" <<<"$said" \
    || fail "the build doesn't say that it isn't isolated: $said"
  podman rm --force --time 0 "$jenkins" >/dev/null
}

make_module() { # <file>
  mkdir -p "$(dirname "$1")"
  .venv/bin/python - "$1" <<'PYTHON'
import sys
from pathlib import Path

from tests.support.modules import build_module

build_module(Path(sys.argv[1]))
PYTHON
}

compiles_java() {
  mkdir -p "$work/java"
  printf 'public class Hello { public static void main(String[] a) { System.out.print("hello"); } }\n' \
    >"$work/java/Hello.java"
  chmod -R a+rwX "$work/java"
  local said
  said=$(run -v "$work/java:/src" -w /src -u 1000:1000 --entrypoint sh localhost/ign-deploy:jdk -c \
    'javac Hello.java && jar cf hello.jar Hello.class && java -cp hello.jar Hello')
  [ "$said" = hello ] || fail "the JDK of the image said '$said'"
}

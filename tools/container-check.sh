#!/usr/bin/env bash
# Build both images and run them as CI hosts do, without a Docker service (buildah and podman).
#
# The base is a plain Debian made by mmdebstrap, cached in ~/.cache/ign-deploy. Missing packages
# are a failure, not a skip: as root they are installed through apt-get.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/ign-deploy
base_tar=$cache/base-bookworm-v1.tar
base=localhost/ign-deploy-base:bookworm
authorities=/etc/ssl/certs/ca-certificates.crt
work=$(mktemp -d)
storage=$cache/containers
password=a-password-that-must-stay-hidden

cleanup() {
  rm -rf "$work"
}
trap cleanup EXIT

fail() {
  echo "container-check: $*" >&2
  exit 1
}

install_tools() {
  local missing=()
  local tool
  for tool in buildah podman runc mmdebstrap; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" = 0 ] || fail "missing: ${missing[*]}; install them: apt-get install ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; fail "apt-get could not install ${missing[*]}"; }
}

configure() {
  mkdir -p "$storage/root" "$storage/run"
  cat >"$work/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$storage/root"
runroot = "$storage/run"
CONF
  cat >"$work/containers.conf" <<CONF
[containers]
netns = "host"
default_ulimits = ["nofile=4096:4096", "nproc=8192:8192"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
  export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$work/containers.conf
  export TMPDIR=$work
}

# Layers of earlier builds make the next one fast, up to a point.
forget_old_layers() {
  if [ "$(du -sm "$storage/root" | cut -f 1)" -gt 5000 ]; then
    podman rmi --all --force >/dev/null
  fi
}

make_base() {
  if [ ! -s "$base_tar" ]; then
    mkdir -p "$cache"
    mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
      bookworm "$base_tar.partial"
    mv "$base_tar.partial" "$base_tar"
  fi
  podman image exists "$base" || podman import --quiet "$base_tar" "$base" >/dev/null
}

build() { # <target>
  local options=(--isolation chroot --network host --timestamp 0 --layers --quiet)
  if [ -r "$authorities" ]; then
    options+=(-v "$authorities:$authorities:ro" --build-arg "SSL_CERT_FILE=$authorities")
  fi
  buildah bud "${options[@]}" --build-arg "BASE=$base" --target "$1" --tag "localhost/ign-deploy:$1" . \
    >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log" >&2; fail "the image $1 did not build"; }
}

run() { # <podman arguments…>
  podman run --rm --passwd=false --network none "$@"
}

size_mb() { # <image>
  podman image inspect --format '{{.Size}}' "$1" | awk '{printf "%d", $1 / 1000000}'
}

step() { # <title> <command…>
  local title=$1 started=$SECONDS
  shift
  "$@"
  printf 'container-check: %-52s ok, %d s\n' "$title" $((SECONDS - started))
}

prints_its_version() {
  run "localhost/ign-deploy:$1" --version | grep -q "[0-9]" || fail "--version printed nothing"
}

has_no_pip() {
  if run --entrypoint /opt/ign-deploy/bin/python "localhost/ign-deploy:$1" -c 'import pip' 2>/dev/null; then
    fail "pip is in the image $1"
  fi
}

has_no_writable_layer_needs() {
  run --read-only --cap-drop all "localhost/ign-deploy:slim" --version >/dev/null
  run --read-only --cap-drop all -u 1000:1000 "localhost/ign-deploy:slim" --version >/dev/null
}

# Run a step as the GitHub runner does: hyphenated variables, empty inputs, the /github mounts, no
# terminal. Its log, outputs and summary are left in $work/github; returns its exit code.
action_step() { # <target> <INPUT_NAME=value…>
  local target=$1 github=$work/github input inputs=()
  shift
  for input in "$@"; do inputs+=(-e "$input"); done
  mkdir -p "$github"/{workspace,home,workflow,file_commands,runner_temp}
  : >"$github/file_commands/output"
  : >"$github/file_commands/summary"
  run -w /github/workspace "${inputs[@]}" -e "INPUT_MODULE-ID=" -e "INPUT_SKIP-UPLOAD=" \
    -e CI=true -e GITHUB_ACTIONS=true -e HOME=/github/home -e RUNNER_TEMP=/github/runner_temp \
    -e GITHUB_WORKSPACE=/github/workspace \
    -e GITHUB_OUTPUT=/github/file_commands/output -e GITHUB_STEP_SUMMARY=/github/file_commands/summary \
    -v "$github/workspace:/github/workspace" -v "$github/home:/github/home" \
    -v "$github/workflow:/github/workflow" -v "$github/file_commands:/github/file_commands" \
    -v "$github/runner_temp:/github/runner_temp" \
    "localhost/ign-deploy:$target" >"$github/log" 2>&1
}

# The step's log and outputs, before the check ends.
explain() {
  tail -n 60 "$work/github/log" "$work/github/file_commands/output" >&2
  fail "$*"
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

# A prebuilt module: signed, verified and published into a folder of the workspace, then again.
releases_a_module() {
  local inputs=(
    INPUT_COMMAND=module INPUT_PATH=pumps.unsigned.modl
    "INPUT_CERT-PATH=identity/signing.cert.pem" "INPUT_KEY-PATH=identity/signing.key.pem"
    "INPUT_SIGNING-PASSWORD=$password" "INPUT_REPOSITORY-URL=repository" "INPUT_OUTPUT-DIR=dist"
  )
  local password_forms result
  mkdir -p "$work/github/workspace"
  .venv/bin/python - "$work/github/workspace/pumps.unsigned.modl" <<'PYTHON'
import sys
from pathlib import Path

from tests.support.modules import build_module

build_module(Path(sys.argv[1]))
PYTHON
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

runs_as_jenkins_does() {
  # Jenkins starts the image with its own command as any user, then executes steps in it.
  run -u 1000:1000 -e HOME=/tmp --entrypoint "" "localhost/ign-deploy:jdk" ign-deploy --version >/dev/null
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

step "tools" install_tools
configure
forget_old_layers
step "base image" make_base
step "build slim" build slim
step "build jdk" build jdk
step "slim: --version" prints_its_version slim
step "jdk: --version" prints_its_version jdk
step "slim: no pip" has_no_pip slim
step "slim: read-only, no capabilities, any user" has_no_writable_layer_needs
step "slim: a missing file as the GitHub runner gives it" explains_a_missing_file
step "slim: a release as the GitHub runner runs it" releases_a_module
step "jdk: as Jenkins runs it" runs_as_jenkins_does
step "jdk: javac, jar and java" compiles_java
echo "container-check: base $(size_mb "$base") MB, slim $(size_mb localhost/ign-deploy:slim) MB," \
  "jdk $(size_mb localhost/ign-deploy:jdk) MB"

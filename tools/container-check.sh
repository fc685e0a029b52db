#!/usr/bin/env bash
# Build both images and run them like CI hosts do, without a Docker service (buildah and podman).
# container-runs.sh has the runs.
#
# The base is a plain Debian created by mmdebstrap, cached in ~/.cache/ign-deploy. As root, missing
# packages are installed with apt-get; otherwise the check fails rather than skips.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/ign-deploy
base_tar=$cache/base-bookworm-v1.tar
base=localhost/ign-deploy-base:bookworm
authorities=/etc/ssl/certs/ca-certificates.crt
work=$(mktemp -d)
storage=$cache/containers
password=a-password-that-must-stay-hidden

slim_limit_mb=120 # on top of the base
jenkins=ign-deploy-check-$$

cleanup() {
  podman rm --force --time 0 "$jenkins" >/dev/null 2>&1 || true
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

# Layers of earlier builds speed up the next one; limit their size.
forget_old_layers() {
  if [ "$(du -sm "$storage/root" | cut -f 1)" -gt 5000 ]; then
    podman rmi --all --force >/dev/null
  fi
}

make_base() {
  if [ ! -f "$base_tar" ]; then
    mkdir -p "$cache"
    rm -rf "$base_tar"
    mmdebstrap --quiet --format=tar --variant=minbase \
      --include=python3,python3-venv,ca-certificates \
      bookworm "$base_tar.partial"
    mv "$base_tar.partial" "$base_tar"
  fi
  podman image exists "$base" || podman import --quiet "$base_tar" "$base" >/dev/null
}

# The password is a marker for secrets in the build's arguments and environment: no layer may contain it.
build() { # <target> [<tag> <buildah options…>]
  local target=$1 tag=${2:-$1}
  local options=(--isolation chroot --network host --timestamp 0 --layers --quiet)
  options+=(--build-arg "MODULE_SIGNING_PASSWORD=$password" "${@:3}")
  if [ -r "$authorities" ]; then
    options+=(-v "$authorities:$authorities:ro" --build-arg "SSL_CERT_FILE=$authorities")
  fi
  MODULE_SIGNING_PASSWORD=$password buildah bud "${options[@]}" --build-arg "BASE=$base" \
    --target "$target" --tag "localhost/ign-deploy:$tag" . >"$work/build.log" 2>&1 \
    || { tail -n 50 "$work/build.log" >&2; fail "the image $target did not build"; }
}

digest() { # <tag>
  podman image inspect --format '{{.Digest}}' "localhost/ign-deploy:$1"
}

# Build again without the cache.
is_reproducible() {
  build slim again --no-cache
  [ "$(digest slim)" = "$(digest again)" ] \
    || fail "two builds gave $(digest slim) and $(digest again)"
  podman rmi --no-prune localhost/ign-deploy:again >/dev/null 2>&1 || true
}

holds_no_secrets() { # <target>
  podman save --quiet --format docker-archive --output "$work/image.tar" "localhost/ign-deploy:$1"
  mkdir "$work/layers"
  tar -C "$work/layers" -xf "$work/image.tar"
  if grep -qrF "$password" "$work/layers"; then fail "a build argument is in the image $1"; fi
  find "$work/layers" -name '*.tar' -exec tar -tf {} \; >"$work/names"
  if grep -E '(^|/)(\.env|\.git|\.netrc|\.pypirc|pip\.conf|id_[a-z0-9]+)(/|$)' "$work/names" >&2; then
    fail "the image $1 contains files that may hold secrets"
  fi
  rm -rf "$work/layers" "$work/image.tar"
}

is_small() {
  local above=$(($(size_mb localhost/ign-deploy:slim) - $(size_mb "$base")))
  echo "container-check: slim is $above MB on top of its base (limit: $slim_limit_mb MB)"
  [ "$above" -le "$slim_limit_mb" ] || fail "the slim image grew too large"
}

has_labels() {
  local label
  for label in title description licenses source version revision; do
    podman image inspect --format '{{json .Labels}}' "localhost/ign-deploy:$1" \
      | grep -q "org.opencontainers.image.$label\":\"[^\"]" || fail "no label $label on the image $1"
  done
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

# shellcheck source=tools/container-runs.sh
. tools/container-runs.sh

step "tools" install_tools
configure
forget_old_layers
step "base image" make_base
step "build slim" build slim
step "build jdk" build jdk
step "slim: size" is_small
step "slim: the same digest from another build" is_reproducible
for target in slim jdk; do
  step "$target: labels" has_labels "$target"
  step "$target: --version" prints_its_version "$target"
  step "$target: no pip" has_no_pip "$target"
  step "$target: byte code" has_byte_code "$target"
done
step "jdk: no build argument, no private file in any layer" holds_no_secrets jdk
step "slim: loads PKCS#11 libraries" can_load_pkcs11_libraries
step "slim: a missing file as the GitHub runner gives it" explains_a_missing_file
step "slim: a release as the GitHub runner runs it" releases_a_module
step "slim: the same read-only, without capabilities" releases_without_rights
step "jdk: a build in the GitHub runner's user's workspace" builds_in_another_users_workspace
step "jdk: as Jenkins runs it, an unknown user" runs_as_jenkins_does
step "jdk: javac, jar and java" compiles_java
step "jdk: the GitLab example, by gitlab-ci-local" tools/gitlab-check.sh localhost/ign-deploy:jdk "$base"
step "jdk: every workflow of the documentation, by act" tools/act-check.sh localhost/ign-deploy:jdk "$base"
step "slim: start-up" .venv/bin/python -m benchmarks.container localhost/ign-deploy:slim
echo "container-check: base $(size_mb "$base") MB, slim $(size_mb localhost/ign-deploy:slim) MB," \
  "jdk $(size_mb localhost/ign-deploy:jdk) MB"

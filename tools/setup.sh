#!/usr/bin/env bash
# Create the virtual environment from the lock file, and install Java and Gradle if missing.
#
# The argument `tests` adds Maven and its plugins, servers and a browser for the tests, and npm
# tools; `lint` adds only the npm tools. PYTHON names the Python to use.
# Runs on Debian 12, Ubuntu, or anything that has these programs. A second run takes no time.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "setup: $*" >&2
  exit 1
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

# Debian packages of missing programs.
missing_packages() {
  if ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then echo "python3-venv"; fi
  if ! command -v javac >/dev/null; then echo "openjdk-17-jdk-headless"; fi
  local program
  for program in gradle openssl unzip; do
    if ! command -v "$program" >/dev/null; then echo "$program"; fi
  done
  if [ "$2" = tests ]; then
    missing_maven_packages
    missing_server_packages
    if ! command -v rsync >/dev/null; then echo "rsync"; fi
    if ! command -v chromium >/dev/null; then echo "chromium"; fi
    if ! command -v zsh >/dev/null; then echo "zsh"; fi
    if ! command -v fish >/dev/null; then echo "fish"; fi
  fi
}

missing_maven_packages() {
  if ! command -v mvn >/dev/null; then echo "maven"; fi
  local plugin
  for plugin in antrun clean jar; do
    if [ ! -d "/usr/share/maven-repo/org/apache/maven/plugins/maven-$plugin-plugin" ]; then
      echo "libmaven-$plugin-plugin-java"
    fi
  done
}

# The servers of tests/support/servers, some of which are outside a normal user's PATH.
missing_server_packages() {
  local PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  if ! command -v nginx >/dev/null; then echo "nginx-light"; fi
  if [ ! -e /usr/lib/nginx/modules/ngx_http_dav_ext_module.so ]; then echo "libnginx-mod-http-dav-ext"; fi
  # The package apache2 would add a service.
  if ! command -v apache2 >/dev/null; then echo "apache2-bin"; fi
  if ! command -v htpasswd >/dev/null; then echo "apache2-utils"; fi
  if ! command -v lighttpd >/dev/null; then echo "lighttpd"; fi
  if [ ! -e /usr/lib/lighttpd/mod_webdav.so ]; then echo "lighttpd-mod-webdav"; fi
  if ! command -v php >/dev/null; then echo "php-cli"; fi
  if [ ! -e /usr/share/php/Sabre/autoload.php ]; then echo "php-sabre-dav"; fi
  if ! command -v rclone >/dev/null; then echo "rclone"; fi
  if ! command -v docker-registry >/dev/null; then echo "docker-registry"; fi
  if ! command -v softhsm2-util >/dev/null; then echo "softhsm2"; fi
  if ! command -v pkcs11-tool >/dev/null; then echo "opensc"; fi
  if ! command -v gcc >/dev/null; then printf "gcc\nlibc6-dev\n"; fi
  if ! command -v memcached >/dev/null; then echo "memcached"; fi
  local part
  for part in account container object proxy; do
    if ! command -v "swift-$part-server" >/dev/null; then echo "swift-$part"; fi
  done
}

# Keep server packages from starting services; the tests start their own.
forbid_services() {
  if [ -e /usr/sbin/policy-rc.d ]; then return; fi
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}

install_packages() {
  local packages=("$@")
  echo "setup: missing: ${packages[*]}"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "install these first (or run as root on Debian or Ubuntu): apt-get install ${packages[*]}"
  fi
  local log
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  # Installing a JDK writes manual pages, whose folder minimal images lack.
  mkdir -p /usr/share/man/man1
  forbid_services
  if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${packages[@]}"; } \
    >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    fail "apt-get could not install ${packages[*]}"
  fi
  rm -f "$log"
}

# Identify the environment: it is rebuilt for another Python, lock file, folder or project.
fingerprint() {
  { "$1" --version; pwd; cat requirements-dev.lock pyproject.toml; } | sha256sum | cut -d ' ' -f 1
}

make_environment() {
  local python=$1 stamp=.venv/setup.stamp wanted
  wanted=$(fingerprint "$python")
  if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  echo "setup: virtual environment .venv from requirements-dev.lock"
  rm -f "$stamp"
  .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
  local pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet install)
  # Byte code of what is used is written at its first use; all of it takes ten seconds.
  "${pip[@]}" --no-compile --require-hashes --requirement requirements-dev.lock
  # The project itself, editable, built by the locked hatchling.
  "${pip[@]}" --no-deps --no-build-isolation --editable .
  echo "$wanted" >"$stamp"
}

# Linters and test tools from npm's lock file; Node.js itself comes from the Python lock.
install_node_tools() {
  local stamp=tools/node_modules/setup.stamp wanted
  wanted=$(sha256sum tools/package-lock.json | cut -d ' ' -f 1)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  echo "setup: tools/node_modules from tools/package-lock.json"
  PATH=$PWD/.venv/bin:$PATH npm ci --prefix tools --silent || fail "npm could not install tools/package-lock.json"
  echo "$wanted" >"$stamp"
}

python=$(find_python)
[ -n "$python" ] || fail "Python 3.11 or newer is missing; install it: apt-get install python3"
mapfile -t packages < <(missing_packages "$python" "${1:-}")
[ ${#packages[@]} -eq 0 ] || install_packages "${packages[@]}"
make_environment "$python"
case ${1:-} in tests | lint) install_node_tools ;; esac

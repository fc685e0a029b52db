"""Apache httpd with mod_dav: a WebDAV store that is stricter than nginx."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.processes import (
    Credentials,
    WebServer,
    accepts,
    find_program,
    free_port,
    output_of,
    require_file,
    running,
)

PACKAGES = "apache2-bin"
_MODULES = Path("/usr/lib/apache2/modules")

_CONFIGURATION = """\
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
Mutex fcntl:{folder}
ErrorLog {folder}/error.log
LogLevel warn
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authn_file_module {modules}/mod_authn_file.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule auth_basic_module {modules}/mod_auth_basic.so
LoadModule dav_module {modules}/mod_dav.so
LoadModule dav_fs_module {modules}/mod_dav_fs.so
LoadModule dav_lock_module {modules}/mod_dav_lock.so
StartServers 1
ServerLimit 2
ThreadsPerChild 16
MaxRequestWorkers 32
DavLockDB {folder}/locks
DocumentRoot {root}
LimitRequestBody 0
LimitXMLRequestBody 1048576
<Directory {root}>
  Dav On
  AllowOverride None
  Options None
{access}
</Directory>
"""


class ApacheServer(WebServer):
    """A running Apache httpd."""


@contextmanager
def apache(folder: Path, *, credentials: Credentials | None = None) -> Iterator[ApacheServer]:
    """Run Apache httpd with its files in the folder; what it serves is in ``root``."""
    program = find_program("apache2", packages=PACKAGES)
    require_file(_MODULES / "mod_dav_fs.so", packages=PACKAGES)
    root = folder / "served"
    root.mkdir(parents=True)
    port = free_port()
    configuration = folder / "apache.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            root=root,
            port=port,
            modules=_MODULES,
            access="\n".join(_access(folder, credentials)),
        ),
        "utf-8",
    )
    command = (*_as_other_user(), program, "-f", str(configuration), "-DFOREGROUND")
    with running(command, name="apache", folder=folder, ready=lambda: accepts(port)):
        yield ApacheServer(
            url=f"http://127.0.0.1:{port}",
            version=output_of(program, "-v").splitlines()[0],
            root=root,
            credentials=credentials,
        )


def _access(folder: Path, credentials: Credentials | None) -> Iterator[str]:
    if credentials is None:
        yield "  Require all granted"
        return
    users = folder / "users"
    users.write_text(credentials.sha_line, "utf-8")
    yield '  AuthType Basic\n  AuthName "store"'
    yield f"  AuthUserFile {users}\n  Require valid-user"


def _as_other_user() -> tuple[str, ...]:
    """Return how root starts Apache, which refuses to serve as root.

    It becomes `nobody`, with root's right to all files: the test's folder is closed to others.
    These rights are among those that a container's root has.
    """
    if os.geteuid() != 0:
        return ()
    rights = "+dac_override,+fowner"
    return (
        find_program("setpriv", packages="util-linux"),
        *("--reuid", "65534", "--regid", "65534", "--clear-groups"),
        *("--inh-caps", rights, "--ambient-caps", rights),
        "--",
    )

"""lighttpd with mod_webdav: it answers a PROPFIND whose body has no type with 415."""

from __future__ import annotations

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

PACKAGES = "lighttpd lighttpd-mod-webdav"
_CONFIGURATION = """\
server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/error.log"
server.upload-dirs = ("{folder}")
server.max-request-size = 0
webdav.activate = "enable"
webdav.is-readonly = "disable"
webdav.sqlite-db-name = "{folder}/locks.db"
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "{folder}/users"
auth.require = ("/" => ("method" => "basic", "realm" => "store", "require" => "valid-user"))
"""


@contextmanager
def lighttpd(folder: Path, *, credentials: Credentials) -> Iterator[WebServer]:
    """Run lighttpd with its files in the folder; what it serves is in ``root``."""
    program = find_program("lighttpd", packages=PACKAGES)
    require_file(Path("/usr/lib/lighttpd/mod_webdav.so"), packages=PACKAGES)
    root = folder / "served"
    root.mkdir(parents=True)
    port = free_port()
    (folder / "users").write_text(credentials.sha_line, "utf-8")
    configuration = folder / "lighttpd.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, root=root, port=port), "utf-8")
    command = (program, "-D", "-f", str(configuration))
    with running(command, name="lighttpd", folder=folder, ready=lambda: accepts(port)):
        yield WebServer(
            url=f"http://127.0.0.1:{port}",
            version=output_of(program, "-v").splitlines()[0],
            root=root,
            credentials=credentials,
        )

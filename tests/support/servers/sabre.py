"""sabre/dav in PHP's own server: two racing MKCOL may both be answered with 201."""

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

PACKAGES = "php-cli php-sabre-dav"
_AUTOLOAD = Path("/usr/share/php/Sabre/autoload.php")
_WORKERS = 4
_PROGRAM = """\
<?php
require '{autoload}';

class Users extends Sabre\\DAV\\Auth\\Backend\\AbstractBasic {{
    protected function validateUserPass($username, $password) {{
        return $username === getenv('DAV_USER') && $password === getenv('DAV_PASSWORD');
    }}
}}

$server = new Sabre\\DAV\\Server(new Sabre\\DAV\\FS\\Directory('{root}'));
$server->setBaseUri('/');
$server->addPlugin(new Sabre\\DAV\\Auth\\Plugin(new Users(), 'store'));
$server->exec();
"""


@contextmanager
def sabre(folder: Path, *, credentials: Credentials) -> Iterator[WebServer]:
    """Run sabre/dav with its files in the folder; what it serves is in ``root``."""
    program = find_program("php", packages=PACKAGES)
    require_file(_AUTOLOAD, packages=PACKAGES)
    root = folder / "served"
    root.mkdir(parents=True)
    port = free_port()
    script = folder / "server.php"
    script.write_text(_PROGRAM.format(autoload=_AUTOLOAD, root=root), "utf-8")
    # Its version of 2014 warns on PHP 8, which would get into its answers.
    options = ("-d", "display_errors=0", "-d", "log_errors=1", "-d", "error_reporting=1")
    env = {
        "PHP_CLI_SERVER_WORKERS": str(_WORKERS),
        "DAV_USER": credentials.username,
        "DAV_PASSWORD": credentials.password,
    }
    command = (program, *options, "-S", f"127.0.0.1:{port}", str(script))
    with running(command, name="sabre", folder=folder, ready=lambda: accepts(port), env=env):
        yield WebServer(
            url=f"http://127.0.0.1:{port}",
            version=f"sabre/dav {_version(program)}",
            root=root,
            credentials=credentials,
        )


def _version(program: str) -> str:
    return output_of(program, "-r", f"require '{_AUTOLOAD}'; echo Sabre\\DAV\\Version::VERSION;")

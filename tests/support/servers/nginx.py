"""nginx as a WebDAV store, with basic authentication, a token, TLS or JSON listings if wanted."""

from __future__ import annotations

import os
import re
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
from tests.support.tls import Tls, make_tls

PACKAGES = "nginx-light libnginx-mod-http-dav-ext"

_CONFIGURATION = """\
load_module {module};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
{user}
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_max_body_size 0;
  client_body_temp_path {folder}/temporary;
  proxy_temp_path {folder}/temporary-proxy;
  fastcgi_temp_path {folder}/temporary-fastcgi;
  uwsgi_temp_path {folder}/temporary-uwsgi;
  scgi_temp_path {folder}/temporary-scgi;
  server {{
    listen 127.0.0.1:{port}{ssl};
    root {root};
    {options}
    location / {{
      dav_methods PUT DELETE MKCOL COPY MOVE;
      dav_ext_methods PROPFIND OPTIONS;
      create_full_put_path off;
      dav_access user:rw group:r all:r;
    }}
  }}
}}
"""


class NginxServer(WebServer):
    """A running nginx; ``ca_file`` is what its TLS certificate is trusted by."""


@contextmanager
def nginx(
    folder: Path,
    *,
    credentials: Credentials | None = None,
    token: str | None = None,
    tls: bool = False,
    json_listing: bool = False,
) -> Iterator[NginxServer]:
    """Run nginx with its files in the folder; what it serves is in ``root``.

    ``token`` is the bearer token without which every request is answered 401. With
    ``json_listing``, reading a collection gives its members as JSON, else 403.
    """
    program = find_program("nginx", packages=PACKAGES)
    root = folder / "served"
    root.mkdir(parents=True)
    port = free_port()
    files = make_tls(folder, self_signed=False) if tls else None
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            module=_dav_module(program),
            folder=folder,
            root=root,
            port=port,
            ssl=" ssl" if files else "",
            # Without it, a worker of root's nginx is `nobody`, who can't enter the folder.
            user="user root;" if os.geteuid() == 0 else "",
            options="\n    ".join(
                _options(
                    folder, credentials=credentials, token=token, tls=files, listing=json_listing
                )
            ),
        ),
        "utf-8",
    )
    command = (program, "-e", "stderr", "-p", str(folder), "-c", str(configuration))
    with running(command, name="nginx", folder=folder, ready=lambda: accepts(port)):
        yield NginxServer(
            url=f"{'https' if files else 'http'}://127.0.0.1:{port}",
            version=output_of(program, "-v"),
            root=root,
            credentials=credentials,
            token=token,
            ca_file=files.ca if files else None,
        )


def _options(
    folder: Path,
    *,
    credentials: Credentials | None,
    token: str | None,
    tls: Tls | None,
    listing: bool,
) -> Iterator[str]:
    if credentials:
        users = folder / "users"
        users.write_text(credentials.sha_line, "utf-8")
        yield f'auth_basic "store"; auth_basic_user_file {users};'
    if token:
        yield f'if ($http_authorization != "Bearer {token}") {{ return 401; }}'
    if tls:
        yield f"ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key};"
    if listing:
        yield "autoindex on; autoindex_format json;"


def _dav_module(program: str) -> Path:
    found = re.search(r"--modules-path=(\S+)", output_of(program, "-V"))
    modules = Path(found[1]) if found else Path("/usr/lib/nginx/modules")
    return require_file(modules / "ngx_http_dav_ext_module.so", packages=PACKAGES)

"""Loading all of our code before a build runs, which may be able to change it on disk."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

# What our functions, and the libraries, import only when they need it.
_LATE = (
    *("actions_toolkit.command", "actions_toolkit.file_command", "botocore", "click"),
    *("cryptography.exceptions", "cryptography.hazmat.primitives.hashes"),
    "cryptography.hazmat.primitives.asymmetric.padding",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.asymmetric.utils",
    "cryptography.hazmat.primitives.ciphers.aead",
    *("cyclonedx.model", "cyclonedx.model.bom", "cyclonedx.model.component"),
    *("cyclonedx.output.json", "packageurl"),
    *("defusedxml", "defusedxml.ElementTree", "dotenv", "google.protobuf.message"),
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
    "opentelemetry.proto.common.v1.common_pb2",
    "opentelemetry.proto.resource.v1.resource_pb2",
    "opentelemetry.proto.trace.v1.trace_pb2",
    *("prometheus_client", "prometheus_client.exposition", "prometheus_client.metrics_core"),
    "prometheus_client.openmetrics.exposition",
    *("pydantic", "requests.exceptions", "tenacity", "urllib3.exceptions"),
    *("deflate", "pkcs11", "pkcs11._pkcs11", "zlib_ng"),
    *("rich.console", "rich.progress", "rich.text"),
    *("base64", "ctypes", "datetime", "difflib", "functools", "importlib", "ipaddress", "pwd"),
    *("selectors", "shutil", "socket", "tempfile", "tomllib", "xml.etree.ElementTree"),
    *("encodings.ascii", "encodings.cp437", "encodings.idna", "encodings.latin_1"),
    *(
        "encodings.punycode",
        "encodings.utf_8_sig",
        "http.client",
        "logging.handlers",
        "smtplib",
        "stringprep",
    ),
)


@cache
def load_everything() -> None:
    """Import every module of ours, and what they import later; takes about a second, once.

    Extras that aren't installed, such as those for S3, are left out: they can't be used either.
    """
    import ign_deploy

    ours = pkgutil.walk_packages(ign_deploy.__path__, "ign_deploy.", onerror=_ignore)
    for name in (*_LATE, *(module.name for module in ours)):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    # The page's files are kept once they have been read.
    importlib.import_module("ign_deploy.repositories.page.render").page_bytes()


def _ignore(name: str) -> None:
    """Ignore a package that can't be imported: the attempt to import it is ours."""

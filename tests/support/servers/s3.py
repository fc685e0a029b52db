"""What the S3 servers have in common: their address, and a client of botocore for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class S3Server:
    """A running S3 server; buckets are path-style: ``<url>/<bucket>/<key>``."""

    url: str
    version: str
    access_key: str
    secret_key: str
    region: str
    root: Path | None = None


def s3_client(
    server: S3Server, *, secret_key: str | None = None, checksums: bool = True, attempts: int = 1
) -> Any:
    """Return a botocore client that reads no configuration of the machine.

    Without ``checksums`` it sends no additional ones, which older servers don't know.
    """
    from botocore.config import Config
    from botocore.session import Session

    session = Session()
    session.set_config_variable("config_file", "/dev/null")
    session.set_config_variable("credentials_file", "/dev/null")
    when = "when_supported" if checksums else "when_required"
    return session.create_client(
        "s3",
        region_name=server.region,
        endpoint_url=server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=secret_key or server.secret_key,
        config=Config(
            retries={"total_max_attempts": attempts},
            s3={"addressing_style": "path"},
            proxies={},
            request_checksum_calculation=when,
            response_checksum_validation=when,
        ),
    )

"""Repositories in S3, or in a store that speaks its language (MinIO, Ceph, R2, Swift, …)."""

from __future__ import annotations

from ign_deploy.errors import ConfigurationError
from ign_deploy.report import Reporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access


def open_s3(url: str, access: Access, reporter: Reporter) -> Repository:
    """Return the repository at ``s3://bucket/prefix``; nothing is asked yet.

    Options in the URL: ``endpoint`` (``https://host:port``; http only on this machine), ``region``
    and ``path-style`` (``true`` or ``false``). The keys are the user name and password of
    ``access``, else ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN`` of
    its environment, else what botocore finds by itself: a web identity (OIDC), a profile, a
    container's or an instance's role. Raises ConfigurationError for a URL that can't be used, and
    when botocore isn't installed.
    """
    try:
        import botocore  # noqa: F401 - only whether it is there
    except ModuleNotFoundError:
        raise ConfigurationError(
            "S3 repositories need botocore, which isn't installed",
            hint="pip install 'ign-deploy[s3]', or use the container image, which has it.",
        ) from None
    from ign_deploy.repositories.backends.object_store import ObjectBackend
    from ign_deploy.repositories.backends.s3.address import read_address
    from ign_deploy.repositories.backends.s3.calls import Calls
    from ign_deploy.repositories.backends.s3.client import make_client, read_keys
    from ign_deploy.repositories.backends.s3.objects import S3ObjectStore
    from ign_deploy.repositories.repository import StoreRepository

    address = read_address(url, env=access.env)
    keys = read_keys(access)
    if keys is not None:
        reporter.mask(keys.secret)
        if keys.token:
            reporter.mask(keys.token)
    calls = Calls(
        address, client=lambda: make_client(address, access=access, keys=keys), reporter=reporter
    )
    objects = S3ObjectStore(calls, reporter=reporter, patience=access.patience)
    store = ObjectBackend(objects, reporter=reporter)
    return StoreRepository(store, reporter=reporter, access=access, has_page=True)

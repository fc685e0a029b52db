"""Repositories in S3, or in a store that speaks its language (MinIO, Ceph, R2, Swift, …)."""

from __future__ import annotations

from ign_deploy.errors import ConfigurationError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.store import Store


def open_s3(url: str, access: Access) -> Store:
    """Return the store at ``s3://bucket/prefix``; no request is made yet.

    Options in the URL: ``endpoint`` (``https://host:port``; http only on this machine), ``region``
    and ``path-style`` (``true`` or ``false``). What it omits comes from the standard AWS
    settings of ``access.env``. The keys are the user name and password of ``access``, else
    ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``, else those of a web
    identity (OIDC), a profile, or the role of a container or machine. Raises ConfigurationError
    for a URL or settings that can't be used, and when botocore isn't installed.
    """
    try:
        import botocore  # noqa: F401 - only whether it is there
    except ModuleNotFoundError:
        raise ConfigurationError(
            "S3 repositories need botocore, which isn't installed",
            hint="pip install 'ign-deploy[s3]', or use the container image, which has it.",
        ) from None
    from ign_deploy.repositories.backends.object_store import object_store
    from ign_deploy.repositories.backends.s3.client import open_client
    from ign_deploy.repositories.backends.s3.objects import S3ObjectStore

    env = access.env
    for secret in (access.password, env.get("AWS_SECRET_ACCESS_KEY"), env.get("AWS_SESSION_TOKEN")):
        if secret:
            access.reporter.mask(secret)
    client = open_client(url, access=access)
    objects = S3ObjectStore(client, wait_policy=access.wait_policy)
    return object_store(objects, access=access)

"""The settings of repositories: address, credentials, maintenance."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from ign_deploy.settings.source import Lines, Source


class RepositorySettings(BaseModel, defer_build=True):
    """Where modules are published, and how published versions are maintained."""

    repository_url: Annotated[
        str,
        Source(
            "Repository: a folder, or the URL of a store.",
            metavar="URL",
            env="MODULE_REPOSITORY_URL",
            default="module-repository",
        ),
    ] = ""
    repository_token: Annotated[
        SecretStr,
        Source("Token for the repository.", env="REPOSITORY_API_TOKEN", secret=True),
    ] = SecretStr("")
    repository_username: Annotated[
        str,
        Source("User name for the repository.", metavar="NAME", env="REPOSITORY_USERNAME"),
    ] = ""
    repository_password: Annotated[
        SecretStr,
        Source("Password of that user.", env="REPOSITORY_PASSWORD", secret=True),
    ] = SecretStr("")
    repository_ca: Annotated[
        str,
        Source("CA certificates (PEM file) for a repository with a private CA.", metavar="PATH"),
    ] = ""
    cache_dir: Annotated[
        str, Source("Folder that caches downloads by digest.", metavar="PATH", default="no cache")
    ] = ""
    source_token: Annotated[
        SecretStr, Source("Token for the repository to mirror.", secret=True)
    ] = SecretStr("")
    source_username: Annotated[
        str, Source("User name for the repository to mirror.", metavar="NAME")
    ] = ""
    source_password: Annotated[
        SecretStr, Source("Password for the repository to mirror.", secret=True)
    ] = SecretStr("")
    reason: Annotated[str, Source("Reason for the change, kept with the version.")] = ""
    confirm: Annotated[
        Lines,
        Source("Confirmation of a removal: repeat ID@VERSION; repeatable.", metavar="ID@VERSION"),
    ] = ()
    keep: Annotated[
        int, Field(ge=0), Source("Number of newest versions to keep when pruning.", metavar="N")
    ] = 0

"""The settings of repositories: where they are, how they are reached, and their care."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from ign_deploy.settings.source import Lines, Source


class RepositorySettings(BaseModel):
    """Where modules are published, and what is done with what is published."""

    repository_url: Annotated[
        str,
        Source(
            "The repository: a folder, or the URL of a store. Default: ./module-repository.",
            env="MODULE_REPOSITORY_URL",
        ),
    ] = ""
    repository_token: Annotated[
        SecretStr,
        Source("The token for the repository.", env="REPOSITORY_API_TOKEN", secret=True),
    ] = SecretStr("")
    repository_username: Annotated[
        str,
        Source("The user name for the repository, where it takes one.", env="REPOSITORY_USERNAME"),
    ] = ""
    repository_password: Annotated[
        SecretStr,
        Source("The password of that user.", env="REPOSITORY_PASSWORD", secret=True),
    ] = SecretStr("")
    repository_ca: Annotated[
        str, Source("A private authority's certificates (PEM file), for a repository behind it.")
    ] = ""
    cache_dir: Annotated[
        str, Source("Keep downloads in this folder, by digest, and take them from there again.")
    ] = ""
    source_token: Annotated[
        SecretStr, Source("The token for the repository that is mirrored.", secret=True)
    ] = SecretStr("")
    source_username: Annotated[
        str, Source("The user name for the repository that is mirrored.")
    ] = ""
    source_password: Annotated[
        SecretStr, Source("The password for the repository that is mirrored.", secret=True)
    ] = SecretStr("")
    reason: Annotated[str, Source("Why a version is yanked, taken back or removed.")] = ""
    confirm: Annotated[
        Lines, Source("Confirm a removal by repeating it: ID@VERSION; may be repeated.")
    ] = ()
    keep: Annotated[
        int, Field(ge=0), Source("When pruning, keep so many newest versions; 0: not set.")
    ] = 0

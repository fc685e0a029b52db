"""Files of a repository by one request, whatever their number: by GitHub's GraphQL API.

The REST API needs a request for each. What comes is as good as what that returns: every file is
compared with the hash that Git has of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ign_deploy.errors import IgnDeployError
from ign_deploy.net.response import ANY_STATUS
from ign_deploy.net.retry import QUICK
from ign_deploy.repositories.backends.github.api import GitHubApi, blob_hash

_MAX_RESPONSE = 16 << 20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Blob(_Part):
    oid: str = ""
    text: str | None = None

    @property
    def content(self) -> bytes | None:
        """The whole file; None if the server left some of it out, or it isn't a file or text."""
        content = (self.text or "").encode()
        return content if blob_hash(content) == self.oid else None


class _Data(_Part):
    repository: dict[str, _Blob | None]


class _Answer(_Part):
    data: _Data


_ANSWER = TypeAdapter(_Answer)


class GraphQl:
    """The GraphQL API; it isn't asked any more once it has failed, since all it saves is requests.

    It takes no request without a token, and some proxies before an Enterprise Server don't pass it.
    """

    def __init__(self, api: GitHubApi) -> None:
        self._api = api
        self._is_usable = bool(api.location.token)

    def files(self, paths: Sequence[str], *, ref: str) -> Mapping[str, bytes | None]:
        """Return the files, None for one that isn't there; without those that don't come whole.

        None of them if they can't be read so.
        """
        if not self._is_usable:
            return {}
        try:
            answer = self._ask(paths, ref=ref)
        except IgnDeployError:
            answer = None
        if answer is None:
            self._is_usable = False
            return {}
        files: dict[str, bytes | None] = {}
        for number, path in enumerate(paths):
            blob = answer.data.repository.get(_alias(number))
            content = None if blob is None else blob.content
            if blob is None or content is not None:
                files[path] = content
        return files

    def _ask(self, paths: Sequence[str], *, ref: str) -> _Answer | None:
        location = self._api.location
        wanted = {_alias(number): f"{ref}:{path}" for number, path in enumerate(paths)}
        response = self._api.request(
            "POST", location.graphql, title=f"reading {' and '.join(paths)}", limit=_MAX_RESPONSE,
            json={
                "query": _query(list(wanted)),
                "variables": {"owner": location.owner, "name": location.repository, **wanted},
            },
            expect=ANY_STATUS, retry=QUICK,
        )  # fmt: skip
        # It says so in "errors" if anything is missing, with the status of a success.
        if not response.ok or "errors" in response.fields():
            return None
        return response.parse(_ANSWER)


def _alias(number: int) -> str:
    return f"file{number}"


def _query(names: Sequence[str]) -> str:
    variables = "".join(f", ${name}: String!" for name in names)
    files = " ".join(
        f"{name}: object(expression: ${name}) {{ ... on Blob {{ oid text }} }}" for name in names
    )
    return (
        f"query($owner: String!, $name: String!{variables}) "
        f"{{ repository(owner: $owner, name: $name) {{ {files} }} }}"
    )

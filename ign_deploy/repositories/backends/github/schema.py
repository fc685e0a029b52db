"""What GitHub answers: the few fields that are used, and refusals explained."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ign_deploy.errors import RepositoryError, explain_validation

UPLOADED = "uploaded"
RIGHTS = (
    "give the job `permissions: contents: write`, or the token read and write access to the "
    "repository's contents."
)
TOKEN = "set REPOSITORY_API_TOKEN to a valid token, or hand the job's GITHUB_TOKEN on."  # noqa: S105
_LONGEST_WORDS = 300

Answer = TypeVar("Answer")
_Id = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class AssetAnswer(_Part):
    """A file of a release; ``state`` is ``uploaded``, else it isn't whole (``starter``).

    ``digest`` is ``sha256:…``; older servers don't state it.
    """

    id: _Id
    name: str
    state: str
    size: int
    digest: str | None = None

    def holds(self, *, size: int, sha256: str) -> bool:
        """Tell whether it is whole, and what a record says, as far as the server states it."""
        same = self.digest in {None, f"sha256:{sha256}"}
        return self.state == UPLOADED and self.size == size and same


class ReleaseAnswer(_Part):
    """A release, a draft or published."""

    id: _Id
    draft: bool
    tag_name: str
    upload_url: str
    body: str | None = None
    immutable: bool = False
    assets: tuple[AssetAnswer, ...] = Field(default=(), strict=False)


class RepositoryAnswer(_Part):
    """A repository."""

    full_name: str
    archived: bool = False


class RefAnswer(_Part):
    """A Git reference, such as ``refs/tags/v1``."""

    ref: str


class ShaAnswer(_Part):
    """Any Git object that was made."""

    sha: str


class EntryAnswer(_Part):
    """What is in a folder; ``type`` is ``file``, ``dir``, … (in a tree ``blob``, ``tree``)."""

    name: str = ""
    path: str
    type: str
    sha: str


class TreeAnswer(_Part):
    """A folder as Git keeps it; the server may leave some of it out (``truncated``)."""

    tree: tuple[EntryAnswer, ...] = Field(strict=False)
    truncated: bool = False


RELEASE = TypeAdapter(ReleaseAnswer)
RELEASES = TypeAdapter(list[ReleaseAnswer])
ASSET = TypeAdapter(AssetAnswer)
ASSETS = TypeAdapter(list[AssetAnswer])
REPOSITORY = TypeAdapter(RepositoryAnswer)
REFS = TypeAdapter(list[RefAnswer])
SHA = TypeAdapter(ShaAnswer)
ENTRIES = TypeAdapter(list[EntryAnswer])
TREE = TypeAdapter(TreeAnswer)


def parse(kind: TypeAdapter[Answer], body: bytes, *, location: str) -> Answer:
    """Read an answer; raises RepositoryError without repeating its values."""
    try:
        return kind.validate_json(body)
    except ValidationError as cause:
        # Not chained: pydantic's own error prints the answer's values.
        raise RepositoryError(
            f"GitHub's answer about {location} can't be read: {explain_validation(cause)}",
            hint="check the address of the API; a proxy may answer in GitHub's place.",
        ) from None


def refusal(status: int, body: bytes, *, doing: str) -> RepositoryError:
    """Return the error for an answer that refuses; ``doing`` says what was wanted."""
    said = words(body)
    message = f"GitHub answered {status} when {doing}" + (f": {said}" if said else "")
    if status == 401:
        return RepositoryError(f"{message}; the token is wrong or has expired", hint=TOKEN)
    if is_rule(body):
        return RepositoryError(
            message,
            hint="exempt the branch ign-deploy and the tags modl/** from the repository's rules, "
            "for whoever publishes.",
        )
    if status in {403, 404}:
        return RepositoryError(f"{message}; the token may lack a right", hint=RIGHTS)
    return RepositoryError(message, hint="look at GitHub's words above, and at its status page.")


def is_rule(body: bytes) -> bool:
    """Tell whether a refusal is due to the repository's own rules (rulesets, protection)."""
    return b"rule violation" in body.lower() or b"protected branch" in body.lower()


def is_empty(status: int, body: bytes) -> bool:
    """Tell whether a refusal is due to the repository having no commit yet."""
    return status == 409 and "repository is empty" in words(body).lower()


def words(body: bytes) -> str:
    """Return GitHub's own explanation as one printable line; empty without one."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    parts = [document.get("message")]
    for each in errors[:5] if isinstance(errors, list) else ():
        if isinstance(each, dict):
            parts += [each.get("message") or f"{each.get('field')} {each.get('code')}"]
    text = "; ".join(part for part in parts if isinstance(part, str))
    line = "".join(char if char.isprintable() else " " for char in text)
    return line[:_LONGEST_WORDS].strip()

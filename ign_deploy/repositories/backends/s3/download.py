"""Downloads: GetObject in the shape that ``net/download`` takes: streamed, resumed, compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.net.download import receive
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.s3.calls import Calls
from ign_deploy.repositories.backends.s3.errors import Refusal
from ign_deploy.repositories.backends.s3.reading import Stream
from ign_deploy.repositories.record import ReleaseFile

if TYPE_CHECKING:
    from ign_deploy.net.session import Session

_UNSATISFIABLE = 416


def receive_file(
    calls: Calls, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
) -> None:
    """Copy an object to ``to``, compared with its record; see ``net.download.receive``.

    Raises NotInRepository when it is gone.
    """
    receive(
        cast("Session", _ObjectSession(calls, path)),
        calls.address.asked,
        to=to,
        size=expected.size,
        sha256=expected.sha256,
        name=calls.address.url(path),
        reporter=calls.reporter,
        progress=progress,
        policy=calls.rules(expected.size),
        error=RepositoryError,
    )


class _ObjectSession:
    """Answers every request with one object, or the rest of it."""

    def __init__(self, calls: Calls, path: str) -> None:
        self._calls = calls
        self._path = path

    def follow(
        self, _method: str, url: str, *, headers: Mapping[str, str], **_: Any
    ) -> _ObjectAnswer:
        """Get the object; ``Range`` holds only while it is the one that ``If-Range`` names."""
        options = {}
        if "Range" in headers:
            options = {"Range": headers["Range"], "IfMatch": headers["If-Range"]}
        try:
            answer = self._calls.once("get_object", path=self._path, **options)
        except Refusal as refusal:
            if refusal.refused == "NoSuchKey":
                raise NotInRepository(
                    f"{self._calls.address.url(self._path)} is gone",
                    hint="restore the file from a backup: what is published must stay.",
                ) from refusal
            if options and refusal.status in {412, 416}:
                return _ObjectAnswer(url, {}, status=_UNSATISFIABLE, body=None)
            raise
        about = answer["ResponseMetadata"]
        return _ObjectAnswer(
            url, about["HTTPHeaders"], status=about["HTTPStatusCode"], body=answer["Body"]
        )


class _ObjectAnswer:
    """An answer as requests would give it, as far as a reception looks at it."""

    def __init__(self, url: str, headers: Mapping[str, str], *, status: int, body: Any) -> None:
        from urllib3 import HTTPHeaderDict

        self.url = url
        self.status_code = status
        self.headers = HTTPHeaderDict(headers)
        self.raw = Stream(body, length=int(self.headers.get("Content-Length", -1)))
        self._body = body

    def close(self) -> None:
        """Let the connection go."""
        if self._body is not None:
            self._body.close()

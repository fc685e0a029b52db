"""Large files whose upload broke off: continued in one session, where the registry allows that."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ign_deploy.errors import RepositoryError
from ign_deploy.net.errors import TransientResponse
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.upload import UploadSource, rest_of
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.oci.client import RegistryClient

_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")


@dataclass
class ResumedUpload:
    """A session that later attempts continue: ``offset`` bytes are in the registry.

    ``begin`` returns the address of a new session, ``session`` that in a response. Registries that
    forget a session in which a request broke off get everything again; one that doesn't take
    uploads in this way at all ``is_refused``.
    """

    client: RegistryClient
    source: UploadSource
    title: str
    progress: Progress
    begin: Callable[[], str]
    session: Callable[[Response], str]
    address: str = ""
    offset: int = 0
    is_refused: bool = False

    def fill(self, once: RetryPolicy) -> str:
        """Send what the registry lacks; return the address at which to end the upload."""
        self._find_out()
        begin = self.offset
        if begin < self.source.size:
            headers = {"Content-Range": f"{begin}-{self.source.size - 1}"} if begin else {}
            sent = self.client.upload(
                "PATCH", self.address, source=rest_of(self.source, begin, error=RepositoryError),
                title=self.title, progress=self.progress, retry=once, headers=headers,
                expect=ANY_STATUS,
            )  # fmt: skip
            if not sent.ok:
                self.address = ""
                self.is_refused = begin == 0
                raise TransientResponse(
                    f"{sent.host} returned {sent.status} in the middle of an upload",
                    hint="run again; if it persists, check the registry's log and disk.",
                )
            self.address, self.offset = self.session(sent), self.source.size
        self.progress(begin)
        return self.address

    def _find_out(self) -> None:
        """Ask for what the registry has of the session; begin another if it has forgotten it."""
        if self.address:
            found = self.client.request("GET", self.address, title=self.title, expect=ANY_STATUS)
            match = _RANGE.fullmatch(found.headers.get("Range", "").strip())
            if found.status == 204 and match is not None:
                # A session without a byte has the range 0-0, too.
                self.offset = min(int(match[1]) + 1, self.source.size) if int(match[1]) else 0
                if "Location" in found.headers:
                    self.address = self.session(found)
                return
        self.address, self.offset = self.begin(), 0

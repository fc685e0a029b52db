"""Requests to one bucket: each is made once here, and again only by the one retry policy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from ign_deploy.net.retry import Deadline, RetryPolicy, retrying
from ign_deploy.report import Reporter
from ign_deploy.repositories.backends.s3.address import Address
from ign_deploy.repositories.backends.s3.errors import explained


class Calls:
    """S3's operations by botocore's names for them (``put_object``), for one bucket.

    ``client`` makes the client, at the first call. Several threads may share it.
    """

    def __init__(
        self,
        address: Address,
        *,
        client: Callable[[], Any],
        reporter: Reporter,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.address = address
        self.reporter = reporter
        self._policy = policy
        self._make_client = client
        self._lock = threading.Lock()
        self._told: tuple[datetime, float] | None = None

    @cached_property
    def _client(self) -> Any:
        return self._make_client()

    def rules(self, size: int) -> RetryPolicy:
        """Return the retry policy for so many bytes."""
        return self._policy or RetryPolicy.for_size(size)

    def deadline(self, size: int) -> Deadline:
        """Return the end of a transfer of so many bytes that begins now."""
        return Deadline(self.rules(size), url=self.address.asked)

    def once(self, operation: str, *, path: str | None = None, **options: Any) -> dict[str, Any]:
        """Make one request; ``path`` in the repository becomes its key.

        Raises TransientResponse, TransientFailure, Refusal, or what ``explained`` makes of it.
        """
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
        from urllib3.exceptions import HTTPError

        if path is not None:
            options["Key"] = self.address.key(path)
        try:
            with self._lock:
                call = getattr(self._client, operation)
            answer: dict[str, Any] = call(Bucket=self.address.bucket, **options)
        except (BotoCoreError, ClientError, ResponseParserError, HTTPError, OSError) as cause:
            if isinstance(cause, ClientError):
                self._note_time(cause.response)
            raise explained(cause, operation=operation, address=self.address) from cause
        self._note_time(answer)
        return answer

    def ask(self, operation: str, *, path: str | None = None, **options: Any) -> dict[str, Any]:
        """Make a request, again as long as it may pass; its body, if any, is bytes."""
        return retrying(
            lambda: self.once(operation, path=path, **options),
            title=operation.replace("_", " "),
            reporter=self.reporter,
            policy=self.rules(len(options.get("Body", b""))),
        )

    def now(self) -> datetime:
        """Return the store's time, going on from its last answer; ours before any."""
        if self._told is None:
            return datetime.now(UTC)
        reported, at = self._told
        return reported + timedelta(seconds=time.monotonic() - at)

    def _note_time(self, answer: Mapping[str, Any]) -> None:
        text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        try:
            reported = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        if reported.tzinfo is not None:
            self._told = (reported, time.monotonic())

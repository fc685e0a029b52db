"""GitHub's rate limits, in the forms in which it states them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from tests.support.serving import Reply, json_reply

SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID 1A2B:3C4D."
)
PRIMARY = "API rate limit exceeded for installation ID 12345."


class Form(StrEnum):
    """How a limit is stated; GitHub uses all of these."""

    PRIMARY = "primary"
    RETRY_AFTER = "secondary, with Retry-After"
    TEXT = "secondary, with nothing but its text"
    STATUS = "429 without Retry-After"


@dataclass
class Limit:
    """All requests are refused until ``until`` (Unix time); ``refused`` counts them."""

    form: Form
    until: float
    refused: int = 0

    def refuse(self, now: float) -> Reply | None:
        """Return the refusal of a request, None when the limit is over."""
        if now >= self.until:
            return None
        self.refused += 1
        documentation = {"documentation_url": "https://docs.github.test/rest/rate-limits"}
        if self.form is Form.PRIMARY:
            headers = {
                "X-RateLimit-Limit": "1000",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(math.floor(self.until)),
                "X-RateLimit-Resource": "core",
            }
            return json_reply(403, {"message": PRIMARY, **documentation}, headers)
        # The primary limit has requests left: its reset says nothing about this one.
        headers = {"X-RateLimit-Remaining": "871", "X-RateLimit-Reset": str(int(now) + 3000)}
        if self.form is Form.RETRY_AFTER:
            headers["Retry-After"] = str(math.ceil(self.until - now))
        status = 429 if self.form is Form.STATUS else 403
        return json_reply(status, {"message": SECONDARY, **documentation}, headers)

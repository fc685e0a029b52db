"""S3's errors: which of them are transient, and what to do about the others."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ign_deploy.errors import RepositoryError
from ign_deploy.net.errors import TransientResponse, parse_retry_after
from ign_deploy.net.response import Response, parse_xml
from ign_deploy.repositories.backends.s3.bucket import Bucket

_CODE = re.compile(r"[A-Za-z0-9.:_-]{1,60}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_MAX_TEXT = 300
# These come with 400 and 409, too; a later attempt may succeed.
_TRANSIENT = frozenset(
    {
        "BadDigest", "ConditionalRequestConflict", "IncompleteBody", "InternalError",
        "OperationAborted", "RequestLimitExceeded", "RequestTimeout", "SlowDown", "SlowDownRead",
        "SlowDownWrite", "Throttling", "ThrottlingException", "XAmzContentSHA256Mismatch",
    }
)  # fmt: skip
_ELSEWHERE = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
_RULES = (
    (
        (401, "InvalidAccessKeyId", "InvalidSecurity", "InvalidToken", "SignatureDoesNotMatch"),
        "{host} rejects the access keys ({code})",
        "set both keys again, and AWS_SESSION_TOKEN only if they belong to a session.",
    ),
    (
        ("ExpiredToken", "RequestExpired", "TokenRefreshRequired"),
        "the session token for {host} has expired",
        "fetch new credentials right before this step.",
    ),
    (
        ("RequestTimeTooSkewed",),
        "the clock of this machine differs too much from that of {host}",
        "set the clock of this machine.",
    ),
    (
        ("NoSuchBucket",),
        "{host} has no bucket {bucket}",
        "fix the name in the repository URL, or create the bucket.",
    ),
    (
        (413, 507, "EntityTooLarge", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"),
        "{host} has no space left for this ({status}, {code})",
        "free or buy space, or raise the quota.",
    ),
)
_ACTIONS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
}


_ENCRYPTION = (
    " A bucket policy that requires encryption headers (x-amz-server-side-encryption) is not "
    "supported: set the bucket's default encryption instead."
)


class S3Error(RepositoryError):
    """The store refused a request for good; ``status`` is HTTP's, ``code`` is S3's."""

    def __init__(self, message: str, *, hint: str, status: int, code: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


def error_fields(response: Response) -> dict[str, str]:
    """Return the fields of S3's description of an error; none for any other response."""
    root = parse_xml(response.body)
    if root is None or root.tag.rpartition("}")[2] != "Error":
        return {}
    return {each.tag.rpartition("}")[2]: each.text or "" for each in root}


def raise_for_transient_code(response: Response) -> None:
    """Raise TransientResponse for a code after which trying again makes sense."""
    code = error_fields(response).get("Code", "")
    if code in _TRANSIENT:
        stated = response.headers.get("Retry-After")
        raise TransientResponse(
            f"{response.host} returned {response.status} ({code})",
            hint="try again later; if it persists, check the server's status page or log.",
            retry_after=parse_retry_after(stated, now=datetime.now(UTC)),
        )


def s3_error(operation: str, response: Response, *, bucket: Bucket) -> S3Error:
    """Return the error that a response to an operation means."""
    fields = error_fields(response)
    status, code = response.status, fields.get("Code", "")
    code = code if _CODE.fullmatch(code) else "no code"
    region = response.headers.get("x-amz-bucket-region") or fields.get("Region", "")
    rules = (rule[1:] for rule in _RULES if status in rule[0] or code in rule[0])
    message, hint = (
        _explain_region(status, code, region=region, bucket=bucket)
        or next(rules, None)
        or _explain_status(status, operation, bucket=bucket)
    )
    said = "".join(each if each.isprintable() else " " for each in fields.get("Message", ""))
    values = {"host": bucket.host, "bucket": bucket.name, "status": status, "code": code}
    text = message.format(**values, said=f": {said[:_MAX_TEXT]}" if said else "")
    return S3Error(text, hint=hint, status=status, code=code)


def not_s3(operation: str, bucket: Bucket) -> RepositoryError:
    """Return the error for a response that isn't what the operation's should be."""
    return RepositoryError(
        f"{bucket.host} returned something other than S3's XML to {operation}",
        hint="check that the endpoint is that of the S3 server.",
    )


def _explain_region(
    status: int, code: str, *, region: str, bucket: Bucket
) -> tuple[str, str] | None:
    is_known = _REGION.fullmatch(region) is not None and region != bucket.region
    if code not in _ELSEWHERE and not (is_known and status in {301, 307, 400}):
        return None
    actual = f"the region {region}" if is_known else "another region"
    return (
        f"the bucket {{bucket}} is in {actual}, not in {bucket.region}",
        f"add ?region={region if is_known else '…'} to the repository URL, or set AWS_REGION.",
    )


def _explain_status(status: int, operation: str, *, bucket: Bucket) -> tuple[str, str]:
    if status == 403:
        action = _ACTIONS.get(operation, "s3:PutObject")
        resource = bucket.name if action == "s3:ListBucket" else f"{bucket.name}/{bucket.key('*')}"
        return (
            f"{{host}} refuses {operation} ({{code}}): the credentials lack {action}",
            f"allow {action} on arn:aws:s3:::{resource} for the user or role."
            + (_ENCRYPTION if action == "s3:PutObject" else ""),
        )
    if 300 <= status < 400:
        return (
            f"{{host}} redirects {operation}, and redirects are not followed",
            "check endpoint, region and path-style of the repository URL.",
        )
    return (
        f"{{host}} returned {{status}} ({{code}}) to {operation}{{said}}",
        "check the endpoint, and the server's log.",
    )

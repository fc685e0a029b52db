"""What S3 or botocore complain about, told apart by whether it may pass, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ign_deploy.errors import ConfigurationError, IgnDeployError, NetworkError, RepositoryError
from ign_deploy.net.errors import (
    TransientFailure,
    TransientResponse,
    explain_failure,
    parse_retry_after,
)
from ign_deploy.repositories.backends.s3.address import Address

_CODE = re.compile(r"[A-Za-z0-9.:_-]{1,60}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_ACTIONS = {
    "list_objects_v2": "s3:ListBucket",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "delete_object": "s3:DeleteObject",
    "abort_multipart_upload": "s3:AbortMultipartUpload",
}
_PASSING_STATUSES = frozenset({408, 425, 429})
_PASSING_CODES = frozenset(
    {
        "BadDigest", "ConditionalRequestConflict", "IncompleteBody", "OperationAborted",
        "RequestLimitExceeded", "RequestTimeout", "SlowDown", "SlowDownRead", "SlowDownWrite",
        "Throttling", "ThrottlingException", "XAmzContentSHA256Mismatch",
    }
)  # fmt: skip
_LASTING_STATUSES = frozenset({501, 505, 507})
_REGION_CODES = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
_WRONG_KEYS = frozenset(
    {"InvalidAccessKeyId", "InvalidSecurity", "InvalidToken", "SignatureDoesNotMatch"}
)


class Refusal(RepositoryError):
    """The store refused a request for good; ``status`` is HTTP's, ``refused`` S3's own word."""

    def __init__(self, message: str, *, hint: str, status: int, refused: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.refused = refused


def explained(cause: Exception, *, operation: str, address: Address) -> IgnDeployError:
    """Map what botocore raised to an error of ours.

    TransientResponse and TransientFailure may pass; Refusal is the store's last word. What our own
    code raised below botocore (a file that changed) is returned as it was.
    """
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnection
    from urllib3.exceptions import HTTPError

    ours = getattr(cause, "kwargs", {}).get("error")
    if isinstance(ours, IgnDeployError):
        return ours
    if isinstance(cause, ClientError):
        return _answered(cause.response, operation=operation, address=address)
    if isinstance(cause, HTTPClientError | NoConnection | HTTPError | OSError):
        return _broken(cause, address=address)
    return _unusable(cause, operation=operation, address=address)


def _answered(
    answer: Mapping[str, Any], *, operation: str, address: Address
) -> TransientResponse | Refusal:
    about = answer.get("ResponseMetadata", {})
    headers: Mapping[str, str] = about.get("HTTPHeaders", {})
    error: Mapping[str, Any] = answer.get("Error", {})
    status = int(about.get("HTTPStatusCode", 0))
    code = str(error.get("Code", ""))
    code = code if _CODE.fullmatch(code) else "no code"
    if _may_pass(status, code):
        return TransientResponse(
            f"{address.host} answered {status} ({code}) to {_shown(operation)}",
            hint="try again later; if it stays, look at the server's status page or log.",
            retry_after=parse_retry_after(headers.get("retry-after"), now=datetime.now(UTC)),
        )
    region = headers.get("x-amz-bucket-region") or str(error.get("Region", ""))
    rules = (
        _region_rule(status, code, region=region, address=address)
        or _credentials_rule(status, code, operation=operation, address=address)
        or _other_rule(status, code, operation=operation, address=address)
    )
    return Refusal(rules[0], hint=rules[1], status=status, refused=code)


def _may_pass(status: int, code: str) -> bool:
    if status in _PASSING_STATUSES or code in _PASSING_CODES:
        return True
    return status >= 500 and status not in _LASTING_STATUSES


def _region_rule(
    status: int, code: str, *, region: str, address: Address
) -> tuple[str, str] | None:
    elsewhere = bool(_REGION.fullmatch(region)) and region != address.region
    if code not in _REGION_CODES and not (elsewhere and status in {301, 307, 400}):
        return None
    asked = f", not in {address.region}" if address.region else ""
    if elsewhere:
        return (
            f"the bucket {address.bucket} is in the region {region}{asked}",
            f"add ?region={region} to the repository URL, or set AWS_REGION.",
        )
    return (
        f"the bucket {address.bucket} is in another region{asked}",
        "add the bucket's ?region= to the repository URL, or set AWS_REGION.",
    )


def _credentials_rule(
    status: int, code: str, *, operation: str, address: Address
) -> tuple[str, str] | None:
    if code in _WRONG_KEYS or status == 401:
        return (
            f"{address.host} doesn't know these keys, or the secret is wrong ({code})",
            "set both keys anew, and AWS_SESSION_TOKEN only if they are a session's.",
        )
    if code in {"ExpiredToken", "TokenRefreshRequired", "RequestExpired"}:
        return (
            f"the session token for {address.host} has expired",
            "fetch new credentials right before this step.",
        )
    if code == "RequestTimeTooSkewed":
        return (
            f"the clock of this machine differs too much from that of {address.host}",
            "set this machine's clock.",
        )
    if status != 403:
        return None
    action = _ACTIONS.get(operation, "s3:PutObject")
    lists = action == "s3:ListBucket"
    resource = address.bucket if lists else f"{address.bucket}/{address.key('*')}"
    return (
        f"{address.host} refuses {_shown(operation)} ({code}): the credentials lack {action}",
        f"allow {action} on arn:aws:s3:::{resource} for the user or the role.",
    )


def _other_rule(status: int, code: str, *, operation: str, address: Address) -> tuple[str, str]:
    if code == "NoSuchBucket":
        return (
            f"{address.host} has no bucket {address.bucket}",
            "mend the name in the repository URL, or make the bucket.",
        )
    if status in {413, 507} or "Quota" in code or code == "EntityTooLarge":
        return (
            f"{address.host} has no room for this ({status}, {code})",
            "free or buy space, or raise the quota.",
        )
    if 300 <= status < 400:
        return (
            f"{address.host} redirects {_shown(operation)}, which isn't followed",
            "check endpoint, region and path-style in the repository URL.",
        )
    return (
        f"{address.host} answered {status} ({code}) to {_shown(operation)}",
        "check the endpoint in the repository URL, and look at the server's log.",
    )


def _broken(cause: Exception, *, address: Address) -> NetworkError:
    from botocore.exceptions import ProxyConnectionError

    if isinstance(cause, ProxyConnectionError):
        return TransientFailure(
            f"the proxy for {address.host} can't be used",
            hint="check the proxy's URL, and that it is running.",
        )
    return explain_failure(address.asked, cause)


def _unusable(cause: Exception, *, operation: str, address: Address) -> IgnDeployError:
    from botocore.exceptions import (
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
        SSOError,
        TokenRetrievalError,
    )
    from botocore.parsers import ResponseParserError

    if isinstance(cause, NoCredentialsError):
        return ConfigurationError(
            f"there are no credentials for {address.url('')}",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the job a role "
            "(OIDC: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE).",
        )
    found = (
        CredentialRetrievalError, PartialCredentialsError, ProfileNotFound, SSOError,
        TokenRetrievalError,
    )  # fmt: skip
    if isinstance(cause, found):
        return ConfigurationError(
            f"the credentials for {address.url('')} can't be had ({type(cause).__name__})",
            hint="check the AWS_… variables and the profile; `aws sts get-caller-identity` tells "
            "more.",
        )
    if isinstance(cause, ResponseParserError):
        return RepositoryError(
            f"{address.host} answered {_shown(operation)} with what isn't S3's",
            hint="check that the endpoint in the repository URL is the S3 server's.",
        )
    return RepositoryError(
        f"{_shown(operation)} can't be asked of {address.host} ({type(cause).__name__})",
        hint="check the repository URL.",
    )


def _shown(operation: str) -> str:
    """Return the operation as S3 calls it."""
    return "".join(word.capitalize() for word in operation.split("_"))

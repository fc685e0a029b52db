"""The settings of run events: notifications, audit trail, metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from ign_deploy.settings.source import Source


class EventSettings(BaseModel, defer_build=True):
    """Who is notified of deployments, and where they are recorded."""

    webhook_url: Annotated[
        SecretStr,
        Source(
            "URL that receives deployment notifications.", env="DEPLOYMENT_WEBHOOK_URL", secret=True
        ),
    ] = SecretStr("")
    webhook_format: Annotated[
        Literal["", "generic", "slack", "teams"],
        Source("Format of webhook notifications.", default="by host"),
    ] = ""
    webhook_secret: Annotated[
        SecretStr, Source("Secret that signs requests to a generic webhook.", secret=True)
    ] = SecretStr("")
    notification_email: Annotated[
        str,
        Source(
            "Recipients of notifications, separated by commas.",
            metavar="ADDRESS,…",
            env="DEPLOYMENT_NOTIFICATION_EMAIL",
        ),
    ] = ""
    smtp_url: Annotated[
        str, Source("Mail server: smtp://host:587 or smtps://host:465.", metavar="URL")
    ] = ""
    smtp_username: Annotated[str, Source("User name for the mail server.", metavar="NAME")] = ""
    smtp_sender: Annotated[
        str,
        Source(
            "Sender's address.",
            metavar="ADDRESS",
            default="the user if it is an address, or the first recipient",
        ),
    ] = ""
    smtp_password: Annotated[SecretStr, Source("Password of that user.", secret=True)] = SecretStr(
        ""
    )
    skip_deployment_statuses: Annotated[
        bool, Source("Don't send deployment statuses to GitHub or GitLab.")
    ] = False
    notification_ca: Annotated[
        str,
        Source("CA certificates (PEM file) for notifications and metrics.", metavar="PATH"),
    ] = ""
    audit_file: Annotated[
        str,
        Source("Audit trail: the file that records every change.", metavar="PATH", default="none"),
    ] = ""
    expect_head: Annotated[
        str, Source("For `audit verify`: the head noted earlier.", metavar="HASH")
    ] = ""
    expect_count: Annotated[
        int, Field(ge=0), Source("For `audit verify`: the minimum number of entries.", metavar="N")
    ] = 0
    metrics_file: Annotated[str, Source("Metrics file (OpenMetrics).", metavar="PATH")] = ""
    pushgateway_url: Annotated[
        str, Source("Pushgateway that receives the metrics.", metavar="URL")
    ] = ""
    metrics_job: Annotated[str, Source("Job name at the Pushgateway.", metavar="NAME")] = (
        "ign-deploy"
    )
    otlp_endpoint: Annotated[
        str,
        Source(
            "OpenTelemetry collector (OTLP over HTTP).",
            metavar="URL",
            env="OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
    ] = ""
    otlp_headers: Annotated[
        SecretStr,
        Source(
            "Headers for the collector: name=value,name=value.",
            env="OTEL_EXPORTER_OTLP_HEADERS",
            secret=True,
        ),
    ] = SecretStr("")

"""The settings of what is told about a run: notifications, audit trail, metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from ign_deploy.settings.source import Source


class EventSettings(BaseModel):
    """Who is told about deployments, and where they are written down."""

    webhook_url: Annotated[
        SecretStr,
        Source(
            "The URL that is told about deployments.", env="DEPLOYMENT_WEBHOOK_URL", secret=True
        ),
    ] = SecretStr("")
    webhook_format: Annotated[
        Literal["", "generic", "slack", "teams"],
        Source("What the webhook reads: generic, slack or teams. Default: by its host."),
    ] = ""
    webhook_secret: Annotated[
        SecretStr, Source("Signs what the generic webhook gets.", secret=True)
    ] = SecretStr("")
    notification_email: Annotated[
        str,
        Source("Who gets e-mail, separated by commas.", env="DEPLOYMENT_NOTIFICATION_EMAIL"),
    ] = ""
    smtp_url: Annotated[str, Source("The mail server: smtp://host:587 or smtps://host:465.")] = ""
    smtp_username: Annotated[str, Source("The user at the mail server.")] = ""
    smtp_sender: Annotated[str, Source("The sender's address.")] = ""
    smtp_password: Annotated[SecretStr, Source("The password of that user.", secret=True)] = (
        SecretStr("")
    )
    skip_deployment_statuses: Annotated[
        bool, Source("Don't tell GitHub or GitLab about deployments.")
    ] = False
    notification_ca: Annotated[
        str,
        Source("A private authority's certificates (PEM file), for notifications and metrics."),
    ] = ""
    audit_file: Annotated[str, Source("The file that records every change; empty: none.")] = ""
    expect_head: Annotated[str, Source("For `audit verify`: the head that was noted earlier.")] = ""
    expect_count: Annotated[
        int, Field(ge=0), Source("For `audit verify`: at least so many entries; 0: not checked.")
    ] = 0
    metrics_file: Annotated[str, Source("The file for metrics (OpenMetrics).")] = ""
    pushgateway_url: Annotated[str, Source("The Pushgateway that gets the metrics.")] = ""
    metrics_job: Annotated[str, Source("The job's name at the Pushgateway.")] = "ign-deploy"
    otlp_endpoint: Annotated[
        str,
        Source("The OpenTelemetry collector (OTLP over HTTP).", env="OTEL_EXPORTER_OTLP_ENDPOINT"),
    ] = ""
    otlp_headers: Annotated[
        SecretStr,
        Source(
            "Headers for it: name=value,name=value.",
            env="OTEL_EXPORTER_OTLP_HEADERS",
            secret=True,
        ),
    ] = SecretStr("")

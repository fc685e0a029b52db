"""Settings → the gateways to deploy to, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError, DeploymentError, IgnDeployError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.preflight import PreflightFailed
from ign_deploy.report import Reporter
from ign_deploy.settings import GatewayEntry, Settings

if TYPE_CHECKING:
    from ign_deploy.deployment.health import HealthCheck, HealthResponse
    from ign_deploy.deployment.options import DeployOptions, Gateway

_HEALTH_LIMIT = 1 << 20
_COMMAND_TIMEOUT = 300
_TIMED_OUT = 124


def open_gateways(
    settings: Settings, *, env: Mapping[str, str], reporter: Reporter
) -> list[Gateway]:
    """Return the gateways that were asked for; nothing is asked of them yet.

    Those of --gateway, by name or URL; without any, those that the config file has for the
    environment. Raises ConfigurationError.
    """
    found = [
        _open(entry, settings, env=env, reporter=reporter) for entry in chosen_entries(settings)
    ]
    locations = [gateway.location for gateway in found]
    for location in locations:
        if locations.count(location) > 1:
            raise ConfigurationError(
                f"the gateway {location} is given twice", hint="give each gateway once."
            )
    return found


def chosen_entries(settings: Settings) -> list[GatewayEntry]:
    """Return the gateways that were asked for, as the config file would name them."""
    known = {entry.name: entry for entry in settings.gateways}
    if settings.gateway:
        return [
            known.get(text) or GatewayEntry(name=f"gateway {number}", url=text)
            for number, text in enumerate(settings.gateway, start=1)
        ]
    wanted = settings.environment
    return [entry for entry in settings.gateways if wanted and entry.environment == wanted]


def check_gateways(settings: Settings, *, env: Mapping[str, str], reporter: Reporter) -> None:
    """Ask every gateway what it is; raises PreflightFailed with all that stands against it."""
    if settings.skip_upload and settings.gateway:
        raise ConfigurationError(
            "--gateway and --skip-upload exclude each other: what isn't published can't be "
            "brought back later",
            hint="drop one of them; to install a file alone, use `ign-deploy install FILE`.",
        )
    problems: list[IgnDeployError] = []
    for gateway in open_gateways(settings, env=env, reporter=reporter):
        try:
            facts = gateway.target.facts()
        except IgnDeployError as problem:
            problems.append(problem)
            continue
        if facts.obstacle:
            problems.append(
                DeploymentError(
                    f"{gateway.title} can't be changed: {facts.obstacle}",
                    hint="give the address of the gateway that is in charge, or wait.",
                )
            )
        about = ", ".join(
            text for text in (facts.edition, facts.redundancy_role, facts.license_state) if text
        )
        reporter.info(
            f"{gateway.title}: Ignition {facts.version or 'of an unknown version'}"
            + (f" ({about})" if about else "")
        )
    if problems:
        raise PreflightFailed(tuple(problems))


def _open(
    entry: GatewayEntry, settings: Settings, *, env: Mapping[str, str], reporter: Reporter
) -> Gateway:
    from ign_deploy.deployment.gateway import GatewayAccess, Timing, open_target
    from ign_deploy.deployment.options import Gateway
    from ign_deploy.net.proxies import proxies_from

    _require_place(entry)
    ca, pin = _tls(entry, settings)
    manifest = entry.manifest or settings.gateway_manifest
    is_web = entry.url.partition(":")[0].rpartition("+")[2] in ("http", "https")
    access = GatewayAccess(
        token=_token(entry, settings, env),
        ca=ca,
        pin=pin,
        allow_insecure_http=settings.insecure_http or entry.insecure_http,
        proxies=proxies_from(env, entry.url.rpartition("+")[2]) if is_web else None,
        manifest=Path(manifest) if manifest else None,
    )
    timing = Timing(deadline=float(settings.timeout))
    target = open_target(entry.url, access=access, timing=timing, reporter=reporter)
    is_named = entry in settings.gateways
    return Gateway(target, name=entry.name if is_named else "")


def _require_place(entry: GatewayEntry) -> None:
    """Raise ConfigurationError for a name without https://: it would be taken for a folder."""
    if ":" in entry.url.partition("/")[0] or "/" in entry.url or Path(entry.url).is_dir():
        return
    raise ConfigurationError(
        f"the gateway {entry.url[:200]!a} is neither a URL, nor a name in the config file, nor a "
        "folder",
        hint=f"write https://{entry.url[:200]}" if entry.url.isprintable() else "mend --gateway.",
    )


def _tls(entry: GatewayEntry | None, settings: Settings) -> tuple[Path | None, str | None]:
    """Return what a gateway is recognised by: its own CA or pin, else the ones for all."""
    own = (entry.ca, entry.pin) if entry is not None else ("", "")
    ca, pin = own if any(own) else (settings.gateway_ca, settings.gateway_pin)
    return Path(ca) if ca else None, pin or None


def _token(entry: GatewayEntry, settings: Settings, env: Mapping[str, str]) -> str:
    if not entry.token_variable:
        return settings.gateway_token.get_secret_value().strip()
    token = env.get(entry.token_variable, "").strip()
    if not token:
        raise ConfigurationError(
            f"the gateway {entry.name!a} takes its token from {entry.token_variable}, which isn't "
            "set",
            hint="set that variable from a secret of the CI host.",
        )
    return token


def deploy_options(
    settings: Settings,
    *,
    env: Mapping[str, str],
    obtain: Callable[[str, str], VerifiedModule],
    reporter: Reporter,
) -> DeployOptions:
    """Return how to deploy; ``obtain`` fetches a published version as a verified file."""
    from ign_deploy.deployment.gateway import Timing
    from ign_deploy.deployment.options import (
        AcceptOptions,
        DeployOptions,
        Restart,
        normal_fingerprint,
    )

    return DeployOptions(
        obtain=obtain,
        consents=AcceptOptions(
            frozenset(map(normal_fingerprint, settings.accept_certificate)),
            frozenset(text.strip().lower() for text in settings.accept_license),
        ),
        restart=Restart(settings.restart),
        allow_downgrade=settings.allow_downgrade,
        checks=tuple(_checks(settings, env=env, reporter=reporter)),
        timing=Timing(deadline=float(settings.timeout)),
        wave=settings.wave_size,
        canary=settings.canary,
        continue_on_error=settings.continue_on_error,
        all_or_nothing=settings.all_or_nothing,
    )


def _checks(
    settings: Settings, *, env: Mapping[str, str], reporter: Reporter
) -> Iterator[HealthCheck]:
    from ign_deploy.deployment.health import CommandCheck, UrlCheck

    for url in settings.health_url:
        yield UrlCheck(
            url,
            partial(_get, settings=settings, env=env, reporter=reporter),
            status=settings.health_status,
            text=settings.health_text,
        )
    if settings.health_command:
        yield CommandCheck(settings.health_command, partial(_execute, env=env, reporter=reporter))


def _get(
    url: str, *, settings: Settings, env: Mapping[str, str], reporter: Reporter
) -> HealthResponse:
    from ign_deploy.deployment.health import HealthResponse
    from ign_deploy.net.fetching import read_small
    from ign_deploy.net.proxies import proxies_from
    from ign_deploy.net.session import open_session

    same = [each for each in chosen_entries(settings) if _is_on(each, url)]
    ca, pin = _tls(same[0] if same else None, settings)
    with open_session(
        ca=ca, pin=pin if same else None, proxies=partial(proxies_from, env)
    ) as session:
        answer = read_small(
            session, url, limit=_HEALTH_LIMIT, title="the health check", reporter=reporter
        )
    return HealthResponse(answer.status, answer.body.decode("utf-8", "replace"))


def _is_on(entry: GatewayEntry, url: str) -> bool:
    """Tell whether the URL is of that gateway, whose certificate may be its own."""
    from ign_deploy.net.credentials import origin

    try:
        return origin(entry.url.rpartition("+")[2]) == origin(url)
    except ConfigurationError:
        return False


def _execute(command: str, gateway: str, *, env: Mapping[str, str], reporter: Reporter) -> int:
    """Run the user's command, split as a shell does but without one; return its exit code."""
    from ign_deploy.packaging.arguments import split_arguments
    from ign_deploy.process import ProcessTimeout, build_environment, run

    try:
        done = run(
            split_arguments(command),
            cwd=Path.cwd(),
            env=build_environment(env, extra={"IGN_DEPLOY_GATEWAY_URL": gateway}),
            timeout=_COMMAND_TIMEOUT,
            on_line=lambda line: reporter.untrusted([line]),
        )
    except ProcessTimeout:
        reporter.warning(f"the health command was ended after {_COMMAND_TIMEOUT} s")
        return _TIMED_OUT
    return done.returncode

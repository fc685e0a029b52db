"""Settings → the gateways to deploy to, how to reach them, and what to check afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError, DeploymentError, IgnDeployError, NetworkError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.parallel import map_parallel
from ign_deploy.pipeline.checks import require_no_problems
from ign_deploy.pipeline.context import RunContext
from ign_deploy.settings import GatewayEntry, Settings, default_variable, missing_secret

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway.client import Observer
    from ign_deploy.deployment.health import HealthCheck
    from ign_deploy.deployment.options import DeployOptions, Gateway
    from ign_deploy.net.response import Response

_HEALTH_LIMIT = 1 << 20
_PERMISSIONS = (
    "repository_url",
    "accept_certificate",
    "accept_license",
    "restart",
    "allow_downgrade",
    "allow_uninstall",
    "insecure_http",
    "gateway_manifest",
)
"""What decides which modules a gateway gets, and what may happen to it for that."""
_COMMAND_TIMEOUT = 300
_WORKERS = 8
_TIMED_OUT = 124


def open_gateways(context: RunContext) -> list[Gateway]:
    """Return the requested gateways; nothing is sent to them yet.

    Those of --gateway, by name or URL; without any, those that the config file has for the
    environment. Raises ConfigurationError.
    """
    found = [open_gateway(entry, context) for entry in chosen_entries(context.settings)]
    locations = [gateway.location for gateway in found]
    for location in locations:
        if locations.count(location) > 1:
            raise ConfigurationError(
                f"the gateway {location} is given twice", hint="give each gateway once."
            )
    return found


def gateways_or_tracking(context: RunContext) -> list[Gateway]:
    """Return the requested gateways; none only if the settings say that none is to be changed.

    Raises ConfigurationError where nothing would be installed: mostly a misspelt environment.
    """
    found = open_gateways(context)
    if found and context.settings.track_only:
        raise ConfigurationError(
            f"--track-only was given, but {context.settings.environment} has gateways",
            hint="drop --track-only, or the gateways.",
        )
    if found or context.settings.track_only:
        return found
    raise no_gateways(context.settings)


def no_gateways(settings: Settings, *, is_change: bool = True) -> ConfigurationError:
    """Return the error that an environment has no gateways, naming those that have."""
    instead = "; --track-only records the versions without installing them" if is_change else ""
    names = sorted({entry.environment for entry in settings.gateways if entry.environment})
    if not settings.gateways:
        return ConfigurationError(
            "no gateway given" + (", so nothing would be installed" if is_change else ""),
            hint="give --gateway URL, or list the gateways in the config file" + instead + ".",
        )
    what, verb = (
        (f"no gateway in the config file has the environment {settings.environment!r}", "correct")
        if settings.environment
        else ("no environment given", "give")
    )
    return ConfigurationError(
        f"{what}; the environments with gateways are {', '.join(names) or 'none'}",
        hint=f"{verb} --environment, or give --gateway{instead}.",
    )


def chosen_entries(settings: Settings) -> list[GatewayEntry]:
    """Return the requested gateways, as the config file would name them."""
    known = {entry.name: entry for entry in settings.gateways}
    if settings.gateway:
        return [
            known.get(text) or GatewayEntry(name=f"gateway {number}", url=text)
            for number, text in enumerate(settings.gateway, start=1)
        ]
    environment = settings.environment
    return [
        entry for entry in settings.gateways if environment and entry.environment == environment
    ]


def check_gateways(context: RunContext) -> None:
    """Ask every gateway what it is; raises CombinedError with everything that prevents changes.

    With ``continue_on_error``, one that can't be reached doesn't, unless it is the only one.
    """
    settings = context.settings
    if settings.skip_upload and settings.gateway:
        raise ConfigurationError(
            "--gateway and --skip-upload exclude each other: what isn't published can't be "
            "brought back later",
            hint="drop one of them; to install a file alone, use `ign-deploy install FILE`.",
        )
    context.workspace.ca_file(settings.gateway_ca)  # health checks may need it after the build
    from ign_deploy.deployment.outcome import named_problem

    gateways = open_gateways(context)

    def check(gateway: Gateway) -> IgnDeployError | None:
        try:
            _check_gateway(gateway, context)
        except IgnDeployError as problem:
            return named_problem(problem, gateway)
        return None

    found = map_parallel(check, gateways, workers=_WORKERS)
    problems = [each for each in found if each is not None]
    unreachable = [each for each in problems if isinstance(each, NetworkError)]
    if settings.continue_on_error and len(unreachable) < len(gateways):
        for each in unreachable:
            context.reporter.warning(f"{each.message}; the others go on")
        problems = [each for each in problems if each not in unreachable]
    require_no_problems(problems)


def _check_gateway(gateway: Gateway, context: RunContext) -> None:
    facts = gateway.target.facts()
    about = ", ".join(
        text for text in (facts.edition, facts.redundancy_role, facts.license_mode) if text
    )
    context.reporter.info(
        f"{gateway.title}: Ignition {facts.version or 'of an unknown version'}"
        + (f" ({about})" if about else "")
    )
    if facts.obstacle:
        raise DeploymentError(
            f"cannot change {gateway.title}: {facts.obstacle}",
            hint="give the address of the active gateway, or wait.",
        )


def open_gateway(
    entry: GatewayEntry,
    context: RunContext,
    *,
    observe: Observer | None = None,
    is_anonymous: bool = False,
) -> Gateway:
    """Return a gateway of the config file or of --gateway; nothing is sent to it yet.

    ``observe`` gets every request to it; ``is_anonymous``: none has the token.
    """
    from ign_deploy.deployment.gateway import GatewayAccess, Timing, open_target
    from ign_deploy.deployment.options import Gateway
    from ign_deploy.net.proxies import proxies_from

    settings = context.settings
    _require_address(entry, [each.name for each in settings.gateways])
    ca, pin = _tls(entry, context)
    manifest = entry.manifest or settings.gateway_manifest
    is_web = entry.url.partition(":")[0].rpartition("+")[2] in ("http", "https")
    token = "" if is_anonymous else _token(entry, context)
    if token:
        _require_named_host(entry, settings)
    access = GatewayAccess(
        token=token,
        ca=ca,
        pin=pin,
        allow_insecure_http=settings.insecure_http or entry.insecure_http,
        proxies=proxies_from(context.env, entry.url.rpartition("+")[2]) if is_web else None,
        manifest=Path(manifest) if manifest else None,
        name=entry.name if entry in settings.gateways else "",
        token_variable=entry.token_variable or default_variable("gateway_token"),
    )
    timing = Timing(deadline=float(settings.timeout))
    target = open_target(
        entry.url, access=access, timing=timing, reporter=context.reporter, observe=observe
    )
    is_named = entry in settings.gateways
    return Gateway(target, name=entry.name if is_named else "")


def _require_named_host(entry: GatewayEntry, settings: Settings) -> None:
    """Raise ConfigurationError if only a config file that was found says who gets the token."""
    own = entry in settings.gateways
    names = ["gateways" if own else "gateway"]
    if not (own and (entry.ca or entry.pin)):
        names += ["gateway_ca", "gateway_pin"]
    settings.require_named(*names, decides="which host gets a gateway's token")


def _require_named_permissions(settings: Settings) -> None:
    """Raise ConfigurationError if a config file that was found allows what another source must.

    Whoever can change that file decides for the gateways in it, none of which gets a token; but
    not for those of the environment, the inputs or the command.
    """
    if "gateway" in settings.found:
        return
    if all(entry in settings.gateways for entry in chosen_entries(settings)):
        return
    allowed = [
        name
        for name in _PERMISSIONS
        if getattr(settings, name) != Settings.model_fields[name].get_default()
    ]
    settings.require_named(*allowed, decides="what may be installed on a gateway named elsewhere")


def _require_address(entry: GatewayEntry, known: list[str]) -> None:
    """Raise ConfigurationError for a name without https://: it would be taken for a folder."""
    if ":" in entry.url.partition("/")[0] or "/" in entry.url or Path(entry.url).is_dir():
        return
    shown = entry.url[:200]
    raise ConfigurationError(
        f"the gateway {shown!r} is neither a URL, nor a name in the config file, nor a folder",
        hint=f"give one of these names: {', '.join(known)}."
        if known
        else f"write https://{shown}."
        if entry.url.isprintable()
        else "correct --gateway.",
    )


def _tls(entry: GatewayEntry, context: RunContext) -> tuple[Path | None, str | None]:
    """Return what a gateway is recognised by: its own CA or pin, else the ones for all."""
    settings = context.settings
    own = (entry.ca, entry.pin)
    ca, pin = own if any(own) else (settings.gateway_ca, settings.gateway_pin)
    return None if pin and not ca else context.workspace.ca_file(ca), pin or None


def _token(entry: GatewayEntry, context: RunContext) -> str:
    if not entry.token_variable:
        return context.settings.gateway_token.get_secret_value().strip()
    token = context.env.get(entry.token_variable, "").strip()
    if not token:
        raise ConfigurationError(
            f"the token of the gateway {entry.name!r} is missing: {entry.token_variable} isn't set",
            hint=missing_secret(
                context.env,
                name="",
                variable=entry.token_variable,
                secret=entry.token_variable,
            )
            or f"set {entry.token_variable} to its API token (NAME:KEY).",
        )
    return token


def deploy_options(
    context: RunContext, *, obtain: Callable[[str, str], VerifiedModule]
) -> DeployOptions:
    """Return how to deploy; ``obtain`` fetches a published version as a verified file."""
    from ign_deploy.deployment.options import (
        AcceptOptions,
        DeployOptions,
        Restart,
        normal_fingerprint,
    )

    settings = context.settings
    _require_named_permissions(settings)
    return DeployOptions(
        obtain=obtain,
        accept=AcceptOptions(
            frozenset(map(normal_fingerprint, settings.accept_certificate)),
            frozenset(text.strip().lower() for text in settings.accept_license),
        ),
        restart=Restart(settings.restart),
        allow_downgrade=settings.allow_downgrade,
        allow_uninstall=settings.allow_uninstall,
        checks=tuple(_health_checks(context)),
        wave=settings.wave_size,
        canary=settings.canary,
        continue_on_error=settings.continue_on_error,
        all_or_nothing=settings.all_or_nothing,
    )


def _health_checks(context: RunContext) -> Iterator[HealthCheck]:
    from ign_deploy.deployment.health import CommandCheck, UrlCheck

    settings = context.settings
    for url in settings.health_url:
        yield UrlCheck(
            url,
            partial(_get, context=context),
            status=settings.health_status,
            text=settings.health_text,
        )
    if settings.health_command:
        # It runs as our own user, where a build doesn't, and most deployments build nothing.
        settings.require_named("health_command", decides="which program is run")
        yield CommandCheck(settings.health_command, partial(_execute, context=context))


def _get(url: str, context: RunContext) -> Response:
    from ign_deploy.net.client import Client
    from ign_deploy.net.proxies import proxies_from
    from ign_deploy.net.response import ANY_STATUS
    from ign_deploy.net.retry import RetryPolicy
    from ign_deploy.net.session import TIMEOUT, open_http_session

    same = [each for each in chosen_entries(context.settings) if _is_on(each, url)]
    all_ca = context.workspace.ca_file(context.settings.gateway_ca)
    ca, pin = _tls(same[0], context) if same else (all_ca, None)
    retry = RetryPolicy(deadline=float(context.settings.timeout))
    session = open_http_session(
        ca=ca,
        pin=pin,
        proxies=partial(proxies_from, context.env),
        stall=min(TIMEOUT[1], retry.deadline),
    )
    with Client(session, reporter=context.reporter, retry=retry, error=DeploymentError) as client:
        return client.request(
            "GET", url, title="the health check", limit=_HEALTH_LIMIT, expect=ANY_STATUS
        )


def _is_on(entry: GatewayEntry, url: str) -> bool:
    """Return whether the URL is on that gateway, whose certificate may be self-signed."""
    from ign_deploy.net.credentials import origin

    try:
        return origin(entry.url.rpartition("+")[2]) == origin(url)
    except ConfigurationError:
        return False


def _execute(command: str, gateway: str, *, context: RunContext) -> int:
    """Run the user's command, split as a shell does but without one; return its exit code."""
    from ign_deploy.packaging.commands import split_arguments
    from ign_deploy.process import ProcessTimeout, build_environment, run_command

    try:
        done = run_command(
            split_arguments(command),
            cwd=Path.cwd(),
            env=build_environment(context.env, extra={"IGN_DEPLOY_GATEWAY_URL": gateway}),
            timeout=_COMMAND_TIMEOUT,
            on_line=lambda line: context.reporter.untrusted([line]),
            may_gain_privileges=True,  # it is the user's own, such as sudo
        )
    except ProcessTimeout:
        context.reporter.warning(f"the health command was stopped after {_COMMAND_TIMEOUT} s")
        return _TIMED_OUT
    return done.returncode

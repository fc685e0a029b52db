"""Which hosts get secrets, when only a config file that was found names them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.checks import check_project
from ign_deploy.pipeline.context import RunContext, open_mirror_source, start_run
from ign_deploy.pipeline.gateways import deploy_options
from ign_deploy.pipeline.run_report import RunReport
from ign_deploy.report import SilentReporter
from ign_deploy.settings import Inputs
from tests.support.builds import fake_java, gradle_wrapper
from tests.support.identities import pem_certificates, self_signed

TOKEN = {"REPOSITORY_API_TOKEN": "t0p-secret"}
ELSEWHERE = {"MODULE_REPOSITORY_URL": "https://releases.example/modules"}
AWS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cret"}
MAIL = 'notification-email = "a@b.example"\nsmtp-username = "ci"\nsmtp-url = "smtps://x.example"\n'
GATEWAY_TABLE = """
[[gateways]]
name = "bench"
url = "/srv/modules"
environment = "bench"
"""


def use(folder: Path, text: str, env: Mapping[str, str], *, what: str, named: bool = False) -> None:
    """Open what a run uses, with this config file; no request is made."""
    path = folder / "ign-deploy.toml"
    path.write_text(text)
    inputs = Inputs(env=env, flags={}, folder=folder, config_file=path if named else None)
    settings = inputs.resolve().settings
    with start_run(settings, env=env, report=RunReport(SilentReporter())) as context:
        if what == "mirror":
            open_mirror_source("https://source.example/modules", context)
        else:
            getattr(context, what)


def authority(folder: Path) -> str:
    """Return a CA file in the working folder."""
    _, certificate = self_signed()
    (folder / "ca.pem").write_bytes(pem_certificates(certificate))
    return str(folder / "ca.pem")


# The config file, the environment, what is used, and the setting that decides.
REFUSED = {
    "token": ('repository-url = "https://x.example/m"', TOKEN, "repository", "repository-url"),
    "password": (
        'repository-url = "nexus+https://x.example/repository/m"',
        {"REPOSITORY_USERNAME": "ci", "REPOSITORY_PASSWORD": "s3cret"},
        "repository",
        "repository-url",
    ),
    "registry": ('repository-url = "oci://x.example/m"', TOKEN, "repository", "repository-url"),
    "gitlab": ('repository-url = "gitlab://x.example/a/b"', TOKEN, "repository", "repository-url"),
    "github": (
        'repository-url = "github://a/b?api=https://x.example/api/v3"',
        TOKEN,
        "repository",
        "repository-url",
    ),
    "s3 endpoint": (
        'repository-url = "s3://bucket/m?endpoint=https://x.example"',
        AWS,
        "repository",
        "repository-url",
    ),
    "ca": ('repository-ca = "CA"', TOKEN | ELSEWHERE, "repository", "repository-ca"),
    "ca for a job's token": (
        'repository-ca = "CA"',
        {"MODULE_REPOSITORY_URL": "github://a/b", "GITHUB_TOKEN": "t0ken"},
        "repository",
        "repository-ca",
    ),
    "ca for s3": (
        'repository-ca = "CA"',
        AWS | {"MODULE_REPOSITORY_URL": "s3://bucket/m"},
        "repository",
        "repository-ca",
    ),
    "ca of a mirror's source": (
        'repository-ca = "CA"',
        {"IGN_DEPLOY_SOURCE_TOKEN": "t0ken"},
        "mirror",
        "repository-ca",
    ),
    "mail": (MAIL, {"IGN_DEPLOY_SMTP_PASSWORD": "s3cret"}, "events", "smtp-url"),
    "collector": (
        'otlp-endpoint = "https://x.example"',
        {"OTEL_EXPORTER_OTLP_HEADERS": "key=s3cret"},
        "events",
        "otlp-endpoint",
    ),
    "ca of a webhook": (
        'notification-ca = "CA"',
        {"DEPLOYMENT_WEBHOOK_URL": "https://hooks.example/s3cret"},
        "events",
        "notification-ca",
    ),
    "ca of a collector": (
        'notification-ca = "CA"',
        {
            "OTEL_EXPORTER_OTLP_HEADERS": "key=s3cret",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example",
        },
        "events",
        "notification-ca",
    ),
}


@pytest.mark.parametrize(("text", "env", "what", "name"), REFUSED.values(), ids=REFUSED)
def test_no_secret_goes_where_only_a_found_file_says(
    tmp_path: Path, text: str, env: dict[str, str], what: str, name: str
) -> None:
    text = text.replace("CA", authority(tmp_path))
    with pytest.raises(ConfigurationError, match=f"^{name} in .* decides which host gets"):
        use(tmp_path, text, env, what=what)
    use(tmp_path, text, env, what=what, named=True)


@pytest.mark.parametrize(
    ("text", "env", "what"),
    [
        ('repository-url = "https://x.example/m"', {}, "repository"),
        ('repository-url = "https://x.example/m"', TOKEN | ELSEWHERE, "repository"),
        ('repository-url = "releases"', TOKEN, "repository"),
        # The job's own token goes to its own host only, whatever the URL.
        ('repository-url = "github://a/b"', {"GITHUB_TOKEN": "t0ken"}, "repository"),
        ('repository-url = "s3://bucket/m"', AWS, "repository"),
        ('repository-url = "https://x.example/m"', TOKEN, "events"),
        (MAIL.replace('smtp-username = "ci"\n', ""), {}, "events"),
        ('otlp-endpoint = "https://x.example"', {}, "events"),
    ],
)
def test_without_a_secret_to_send_a_found_file_is_used(
    tmp_path: Path, text: str, env: dict[str, str], what: str
) -> None:
    use(tmp_path, text, env, what=what)


def run_with(
    folder: Path, text: str, *, named: bool = False, env: Mapping[str, str] | None = None
) -> RunContext:
    path = folder / "ign-deploy.toml"
    path.write_text(text)
    env = {"JAVA_HOME": str(fake_java(folder / "java", "17")), **(env or {})}
    inputs = Inputs(env=env, flags={}, folder=folder, config_file=path if named else None)
    return start_run(inputs.resolve().settings, env=env, report=RunReport(SilentReporter()))


def obtain(*_: str) -> VerifiedModule:
    raise AssertionError


PERMISSIONS = [
    'repository-url = "releases"',
    'accept-certificate = "yes"',
    'accept-license = "yes"',
    'restart = "always"',
    "allow-downgrade = true",
    "allow-uninstall = true",
    "insecure-http = true",
    'gateway-manifest = "modules.json"',
]


@pytest.mark.parametrize("text", PERMISSIONS)
def test_a_found_file_allows_nothing_on_a_gateway_named_elsewhere(
    tmp_path: Path, text: str
) -> None:
    gateway = {"IGN_DEPLOY_GATEWAY": "https://gateway.example"}
    name = text.partition(" ")[0]
    with (
        run_with(tmp_path, text, env=gateway) as context,
        pytest.raises(ConfigurationError, match=f"^{name} in .* decides what may be installed"),
    ):
        deploy_options(context, obtain=obtain)
    with run_with(tmp_path, text, env=gateway, named=True) as context:
        deploy_options(context, obtain=obtain)
    for own in ('gateway = "/srv/modules"\n', GATEWAY_TABLE):
        with run_with(tmp_path, f"environment = 'bench'\n{text}\n{own}") as context:
            deploy_options(context, obtain=obtain)


@pytest.mark.parametrize("text", ['restart = "never"', "allow-downgrade = false", "timeout = 9"])
def test_a_found_file_may_forbid(tmp_path: Path, text: str) -> None:
    env = {"IGN_DEPLOY_GATEWAY": "https://gateway.example"}
    with run_with(tmp_path, text, env=env) as context:
        deploy_options(context, obtain=obtain)


def test_a_found_file_accepts_nothing_expired_below_anchors_named_elsewhere(tmp_path: Path) -> None:
    anchor = {"MODULE_CA_CERT_PATH": authority(tmp_path)}
    text = "allow-expired = true\n"
    with (
        run_with(tmp_path, text, env=anchor) as context,
        pytest.raises(ConfigurationError, match=r"^allow-expired in .* decides that expired"),
    ):
        _ = context.workspace.trust
    with run_with(tmp_path, text, env=anchor, named=True) as context:
        assert context.workspace.trust.allow_expired
    own = f'{text}trust-anchor = "{authority(tmp_path)}"'
    with run_with(tmp_path, own) as context:
        assert context.workspace.trust.allow_expired


@pytest.mark.parametrize("name", ["metrics-file", "audit-file"])
@pytest.mark.parametrize("path", ["../.profile", "inside/.profile", "PATH/.profile"])
def test_a_found_file_has_nothing_written_outside_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    """A shell would execute ``$(…)`` in the name of an environment."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "inside").symlink_to(tmp_path)
    monkeypatch.chdir(folder)
    text = f'{name} = "{path.replace("PATH", str(tmp_path))}"\n'
    with pytest.raises(ConfigurationError, match=f"^{name} in .* decides which file outside"):
        run_with(folder, text)
    run_with(folder, text, named=True).close()
    run_with(folder, f'{name} = "reports/file"\n').close()


def test_a_found_file_gives_no_health_command(tmp_path: Path) -> None:
    text = 'health-command = "touch ran"\n'
    with (
        run_with(tmp_path, text) as context,
        pytest.raises(ConfigurationError, match=r"^health-command in .* decides which program"),
    ):
        deploy_options(context, obtain=obtain)
    with run_with(tmp_path, text, named=True) as context:
        (check,) = deploy_options(context, obtain=obtain).checks
    assert check.title == "health command touch"


def test_a_found_file_does_not_turn_the_isolation_of_builds_off(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    gradle_wrapper(project, f"touch {tmp_path}/ran")
    (project / "build.gradle").write_text("plugins { id 'io.ia.sdk.modl' }")
    (project / "settings.gradle").write_text("")
    with (
        run_with(tmp_path, 'isolate = "off"\n') as context,
        pytest.raises(ConfigurationError, match=r"^isolate in .* decides that builds are not"),
    ):
        check_project(project, context)
    assert not (tmp_path / "ran").exists()


def test_statements_are_followed_from_the_same_source_as_the_anchor(tmp_path: Path) -> None:
    _, certificate = self_signed()
    (tmp_path / "anchor.pem").write_bytes(pem_certificates(certificate))
    path, text = tmp_path / "ign-deploy.toml", "follow-succession = true\n"
    path.write_text(text)
    flags = {"trust_anchor": [str(tmp_path / "anchor.pem")]}
    settings = Inputs(env={}, flags=flags, folder=tmp_path).resolve().settings
    with pytest.raises(
        ConfigurationError, match=r"follow-succession in .* other signers are trust"
    ):
        settings.follows_succession()
    named = Inputs(env={}, flags=flags, folder=tmp_path, config_file=path).resolve().settings
    assert named.follows_succession()
    path.write_text(text + 'trust-anchor = "anchor.pem"\n')
    assert Inputs(env={}, flags={}, folder=tmp_path).resolve().settings.follows_succession()

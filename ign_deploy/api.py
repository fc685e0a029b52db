"""The public nouns: package, sign, publish and deploy modules from a Python program.

Each has a small frozen configuration. They do what the commands do, through the same functions, and
read neither the environment nor a config file: what they may know is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from pydantic import ValidationError

from ign_deploy.ci.mask import Masker
from ign_deploy.errors import ConfigurationError, explain_validation
from ign_deploy.module.artifacts import SignedModule, UnsignedModule, VerifiedModule
from ign_deploy.net.proxies import proxy_passwords
from ign_deploy.pipeline.context import RunContext, start_run
from ign_deploy.pipeline.run_report import RunReport
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.settings import Resolved, Settings

if TYPE_CHECKING:
    from ign_deploy.deployment.history import DeployedVersion, Deployment
    from ign_deploy.deployment.records import DeploymentRecord
    from ign_deploy.pipeline.deploy import Deployer
    from ign_deploy.repositories import CatalogueEntry, Publication


@dataclass(frozen=True, slots=True)
class PackagerConfig:
    """How to build; ``build_timeout`` in seconds, ``gradle_args`` split as a shell does.

    ``isolate``: run builds as the user ``ign-build`` if possible, or fail, or never.

    ``version`` and ``module_id`` are what the build must give; empty: anything.
    """

    output_dir: Path = Path("dist")
    gradle_args: str = ""
    build_timeout: int = 1800
    isolate: Literal["auto", "require", "off"] = "auto"
    version: str = ""
    module_id: str = ""


@dataclass(frozen=True, slots=True)
class SignerConfig:
    """The signing identity, and what signatures must lead to.

    Either ``keystore`` (PKCS#12 or JKS), or ``key_path`` and ``cert_path``: a path or Base64, or
    for the latter two PEM text. Or ``key``, the URI of a key in hardware, with ``signing_pin``.
    ``trust_anchor`` holds paths of certificates.
    """

    output_dir: Path = Path("dist")
    key: str = field(default="", repr=False)
    signing_pin: str = field(default="", repr=False)
    key_path: str = field(default="", repr=False)
    cert_path: str = field(default="", repr=False)
    keystore: str = field(default="", repr=False)
    alias: str = ""
    signing_password: str = field(default="", repr=False)
    key_password: str = field(default="", repr=False)
    trust_anchor: tuple[str, ...] = ()
    allow_expired: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """Where the repository is and how it is reached; by default the folder ``module-repository``.

    ``repository_ca`` is a PEM file that replaces the well-known authorities; downloads are kept in
    ``cache_dir``, if given, and must be signed by a ``trust_anchor``, if given.
    """

    repository_url: str = ""
    repository_token: str = field(default="", repr=False)
    repository_username: str = ""
    repository_password: str = field(default="", repr=False)
    repository_ca: str = ""
    cache_dir: str = ""
    trust_anchor: tuple[str, ...] = ()
    allow_expired: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentConfig:
    """Which gateways to deploy to, what may be accepted there, and what to check afterwards.

    ``gateway`` holds URLs or folders; with ``track_only``, deployments are only recorded for the
    ``environment``. ``accept_certificate`` holds fingerprints and ``accept_license`` CRCs, or
    ``yes``; ``timeout`` is in seconds.
    """

    environment: str = ""
    gateway: tuple[str, ...] = ()
    gateway_token: str = field(default="", repr=False)
    gateway_ca: str = ""
    gateway_pin: str = ""
    insecure_http: bool = False
    accept_certificate: tuple[str, ...] = ()
    accept_license: tuple[str, ...] = ()
    restart: Literal["never", "if-needed", "always"] = "never"
    timeout: int = 300
    allow_downgrade: bool = False
    allow_uninstall: bool = False
    track_only: bool = False
    health_url: tuple[str, ...] = ()


Config = TypeVar("Config")


class _Noun(Generic[Config]):
    """What the nouns share: one run for all their work, closed when they are."""

    _config: type[Config]

    def __init__(
        self,
        config: Config | None = None,
        *others: RepositoryConfig,
        env: Mapping[str, str] | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        reporter = SilentReporter() if reporter is None else reporter
        settings = _settings((config or self._config(), *others))
        masker = Masker()
        for secret in (*Resolved(settings, {}).secrets(), *proxy_passwords(env or {})):
            reporter.mask(secret)
            masker.add(secret)
        self._run = start_run(
            settings, env=env or {}, report=RunReport(reporter), redact=masker.redact
        )

    @property
    def _context(self) -> RunContext:
        """The run as of now: what is made is dated when it is made."""
        return replace(self._run, now=datetime.now(UTC))

    def close(self) -> None:
        """Remove the private files."""
        self._run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _settings(configs: Sequence[Any]) -> Settings:
    values = {name: value for config in configs for name, value in asdict(config).items()}
    try:
        # Only the caller learns about deployments.
        return Settings.model_validate({**values, "skip_deployment_statuses": True})
    except ValidationError as cause:
        raise ConfigurationError(
            f"the configuration is not valid: {explain_validation(cause)}",
            hint="correct the named fields.",
        ) from None


class ModulePackager(_Noun[PackagerConfig]):
    """Builds the modules of Gradle and Maven projects, and of folders with module.xml.

    ``env`` is what the build gets of the environment: PATH, JAVA_HOME, ….
    """

    _config = PackagerConfig

    def package(self, path: Path) -> Sequence[UnsignedModule]:
        """Build and validate the project's modules; raises PackagingError or VerificationError."""
        from ign_deploy.pipeline.package import package

        return package(path, self._context)


class ModuleSigner(_Noun[SignerConfig]):
    """Signs modules in the vendor's format, and verifies signed ones."""

    _config = SignerConfig

    def sign(self, module: UnsignedModule | Path) -> SignedModule:
        """Sign a module into the output folder; raises SigningError, IdentityError."""
        from ign_deploy.signing.signer import read_unsigned, sign_module

        context = self._context
        return sign_module(
            read_unsigned(module) if isinstance(module, Path) else module,
            identity=context.identity,
            output_dir=context.settings.output_dir,
            now=context.now,
            reporter=context.reporter,
        )

    def verify(self, module: SignedModule | Path) -> VerifiedModule:
        """Verify a signed module; raises VerificationError with every finding."""
        from ign_deploy.module.stable_file import changed_error
        from ign_deploy.pipeline.verify import verify_file

        if isinstance(module, Path):
            return verify_file(module, self._context)
        verified = verify_file(module.path, self._context)
        if verified.sha256 != module.sha256:
            raise changed_error(module.path)
        return verified


class RepositoryManager(_Noun[RepositoryConfig]):
    """Publishes modules exactly once, finds them, and fetches them verified.

    ``env`` may hold proxies, and the token of the CI host.
    """

    _config = RepositoryConfig

    def upload(
        self,
        module: VerifiedModule,
        *,
        description: str = "",
        tags: Sequence[str] = (),
    ) -> Publication:
        """Publish a verified module; the same bytes or the same content again are a success.

        The publication has the record of what is in the repository. Raises VersionConflict for
        other content, or RepositoryError.
        """
        from ign_deploy.pipeline.transfer import publish_module

        context = self._context.with_settings(description=description, tags=tuple(tags))
        return publish_module(module, context).publication

    def download(self, name: str, *, folder: Path, version: str = "") -> VerifiedModule:
        """Fetch a module by id or name; ``version`` may be a range, by default it is the newest.

        Raises NotInRepository, RepositoryError or VerificationError; ``folder`` then stays as it
        was.
        """
        from ign_deploy.pipeline.transfer import download_module

        return download_module(name, self._context, folder=folder, version=version)

    def list_modules(
        self, *, search: str = "", all_versions: bool = False
    ) -> tuple[CatalogueEntry, ...]:
        """Return the newest version of each module, or every version that isn't yanked."""
        from ign_deploy.repositories.search import ListFilter, list_modules

        chosen = ListFilter(search=search, every_version=all_versions)
        return tuple(list_modules(self._context.repository, chosen))

    def yank(self, module_id: str, version: str, *, reason: str) -> bool:
        """Have a version installed only when requested by exact version; return if it changed."""
        return self._change(module_id, version, reason=reason, is_yanked=True)

    def unyank(self, module_id: str, version: str, *, reason: str = "") -> bool:
        """Undo a yank; return whether that changed anything."""
        return self._change(module_id, version, reason=reason, is_yanked=False)

    def _change(self, module_id: str, version: str, *, reason: str, is_yanked: bool) -> bool:
        from ign_deploy.pipeline.maintenance import Named, yank_versions

        context = self._context.with_settings(reason=reason)
        [(_, result)] = yank_versions([Named(module_id, version)], context, is_yanked=is_yanked)
        return result != "unchanged"


class DeploymentManager(_Noun[DeploymentConfig]):
    """Deploys published modules to gateways, and goes back to what ran before.

    ``env`` may hold proxies, and who runs this. What a method returns says what became of each
    gateway; it raises CombinedError, before anything is changed, with everything that prevents it.
    """

    _config = DeploymentConfig

    def __init__(
        self,
        config: DeploymentConfig | None = None,
        *,
        repository: RepositoryConfig | None = None,
        env: Mapping[str, str] | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        super().__init__(config, repository or RepositoryConfig(), env=env, reporter=reporter)

    def install(self, *names: str) -> DeploymentRecord:
        """Install published modules (``NAME[@VERSION]``) or signed files, and check they run."""
        from ign_deploy.pipeline.orders import installation

        deployer = self._deployer(self._context)
        return deployer.deploy(installation(names, deployer))

    def rollback(self, *module_ids: str, version: str = "") -> DeploymentRecord:
        """Go back to what ran in the environment before, or to ``version``.

        If the last deployment was rolled back already, nothing is done, and the history gets no
        entry.
        """
        from ign_deploy.pipeline.rollback import leased_rollback

        deployer = self._deployer(self._context.with_settings(to=version))
        with leased_rollback(module_ids, deployer) as order:
            return deployer.deploy(order)

    def promote(self, *module_ids: str, to: str) -> DeploymentRecord:
        """Deploy the versions that the environment has to the environment ``to``."""
        from ign_deploy.pipeline.orders import promotion

        deployer = self._deployer(self._context.with_settings(to=to))
        return deployer.deploy(promotion(module_ids, deployer))

    def status(self) -> Sequence[DeployedVersion]:
        """Return the current version of each module on each gateway of the environment."""
        return self._context.history.deployed(self._environment)

    def history(self) -> Sequence[Deployment]:
        """Return the environment's deployments, oldest first."""
        return self._context.history.deployments(self._environment)

    @property
    def _environment(self) -> str:
        from ign_deploy.pipeline.environment import environment_of

        return environment_of(self._context)

    def _deployer(self, context: RunContext) -> Deployer:
        from ign_deploy.pipeline.deploy import Deployer
        from ign_deploy.pipeline.unrecorded import record_kept_ends

        record_kept_ends(context)
        return Deployer(context)

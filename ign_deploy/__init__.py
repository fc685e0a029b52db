"""ign-deploy: Ignition modules from source to gateways (package, sign, verify, upload, deploy)."""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself takes as long to load as the rest of `--version`
if TYPE_CHECKING:
    from ign_deploy.api import (
        DeploymentConfig,
        DeploymentManager,
        ModulePackager,
        ModuleSigner,
        PackagerConfig,
        RepositoryConfig,
        RepositoryManager,
        SignerConfig,
    )

__version__ = "0.1.0"
__all__ = [
    "DeploymentConfig",
    "DeploymentManager",
    "ModulePackager",
    "ModuleSigner",
    "PackagerConfig",
    "RepositoryConfig",
    "RepositoryManager",
    "SignerConfig",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Load the public nouns when they are first used: `ign-deploy --version` needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module("ign_deploy.api"), name)

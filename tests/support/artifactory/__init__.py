"""A simulated JFrog Artifactory with a generic repository."""

from tests.support.artifactory.server import Artifactory, artifactory

__all__ = ["Artifactory", "artifactory"]

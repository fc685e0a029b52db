"""A GitLab with nothing but projects, tokens and generic packages: stateful and strict.

Written after GitLab's own sources (lib/api, app/services/packages) and its API documentation. It
knows what one trips over: several files of one name, numbers that are given before they can be
seen, lists that are behind, fuzzy searches, roles that may publish but not delete.
"""

from tests.support.gitlab_packages.registry import Project, Switches
from tests.support.gitlab_packages.rights import DEVELOPER, MAINTAINER, REPORTER, Token
from tests.support.gitlab_packages.server import GitLab, gitlab
from tests.support.gitlab_packages.world import PROJECT, World, gitlab_world

__all__ = [
    "DEVELOPER",
    "MAINTAINER",
    "PROJECT",
    "REPORTER",
    "GitLab",
    "Project",
    "Switches",
    "Token",
    "World",
    "gitlab",
    "gitlab_world",
]

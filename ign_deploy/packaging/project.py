"""What a path is and what keeps it from being built: the names that the pipeline needs first."""

from __future__ import annotations

from ign_deploy.packaging.detect import Kind, Project, detect
from ign_deploy.packaging.preflight import problems

__all__ = ["Kind", "Project", "detect", "problems"]

"""A simulated Sonatype Nexus with raw repositories."""

from tests.support.nexus.server import Nexus, Policy, nexus

__all__ = ["Nexus", "Policy", "nexus"]

"""Trying a throw-away gateway: each request and answer, compared with those of our simulator."""

PROBE_ID = "org.ign-deploy.conformance-probe"
PROBE_NAME = "ign-deploy conformance probe"
PROBE_VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
"""To install, to upgrade to, and to fail with."""
PROBE_FILE = f"{PROBE_ID}.modl"

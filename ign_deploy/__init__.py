"""ign-deploy: Ignition modules from source to gateways (package, sign, verify, upload)."""

__version__ = "0.1.0"

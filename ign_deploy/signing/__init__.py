"""Signing identities, signing and verifying modules in the vendor's format."""

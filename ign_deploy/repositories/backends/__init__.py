"""Backends: the kinds of store that a repository can be kept in."""

"""Modules in a folder or on a file share: a path or ``file:``."""

"""Scopes: which of gateway, designer and client a hook, a jar or a dependency is for."""

from __future__ import annotations

SCOPES = {"G": "gateway", "D": "designer", "C": "client"}
ALL = "A"


def scope_letters(text: str) -> frozenset[str]:
    """Return the letters of G, D, C that ``text`` covers; ``A`` covers all, others are ignored.

    ``text`` is a ``scope`` attribute as written, such as ``GD`` or ``A``.
    """
    if ALL in text:
        return frozenset(SCOPES)
    return frozenset(text) & SCOPES.keys()


def scope_names(letters: frozenset[str]) -> str:
    """Return the names for people: ``gateway, client``."""
    return ", ".join(name for letter, name in SCOPES.items() if letter in letters)

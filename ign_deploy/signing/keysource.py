"""What a key file of any format contains, and the choice of one key among several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from ign_deploy.errors import IdentityError, VerificationError

KEYTOOL_IMPORT = (
    "keytool -importkeystore -srckeystore OLD -destkeystore signing.p12 -deststoretype pkcs12"
)


@dataclass(frozen=True, slots=True)
class KeySource:
    """A private key and the certificates found with it, in file order.

    ``may_hold_others``: the store may also hold trusted certificates outside the chain.
    ``problem`` is why certificates of the store were left out.
    """

    key: PrivateKeyTypes = field(repr=False)
    certificates: tuple[x509.Certificate, ...] = ()
    may_hold_others: bool = False
    problem: VerificationError | None = None


EntryType = TypeVar("EntryType")


@dataclass(frozen=True, slots=True)
class KeyEntry(Generic[EntryType]):
    """A key's alias in its store, and what its reader needs to open it."""

    alias: str
    content: EntryType = field(repr=False)


def choose_entry(entries: Sequence[KeyEntry[EntryType]], alias: str | None) -> KeyEntry[EntryType]:
    """Return the entry with that alias (in any case), or the only one when no alias is given.

    Raises IdentityError: no key there, several keys and no alias, or an unknown alias.
    """
    if not entries:
        raise IdentityError(
            "the keystore contains no private key",
            hint="use the keystore with the signing key, not a truststore.",
        )
    names = ", ".join(sorted(printable(entry.alias) for entry in entries))
    if alias is None:
        if len(entries) == 1:
            return entries[0]
        raise IdentityError(
            f"the keystore contains {len(entries)} keys, but no alias was given",
            hint=f"choose one of them with --alias: {names}.",
        )
    matching = [entry for entry in entries if entry.alias.casefold() == alias.casefold()]
    if len(matching) == 1:
        return matching[0]
    problem = "no key" if not matching else f"{len(matching)} keys"
    raise IdentityError(
        f"the keystore contains {problem} with the alias {printable(alias)}",
        hint=f"the keystore's aliases are: {names}.",
    )


def printable(alias: str) -> str:
    """Return the alias for a message: quoted, without control characters, not too long."""
    return repr(alias[:80])


class WrongPassword(IdentityError):
    """The password doesn't open the key or the keystore."""


def wrong_store_password() -> WrongPassword:
    """Return the error for a keystore that the password doesn't open."""
    return WrongPassword(
        "the keystore's password is wrong, or the keystore is damaged",
        hint="check the store password; `keytool -list -keystore FILE` shows whether it is right.",
    )


def wrong_key_password() -> WrongPassword:
    """Return the error for a private key that the password doesn't open."""
    return WrongPassword(
        "the key's password is wrong, or the key is damaged",
        hint="check the key password; it may differ from the password of the keystore.",
    )

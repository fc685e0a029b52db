"""Name constraints (RFC 5280 4.2.1.10): which names an authority may put into certificates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

_MOST_COMPARISONS = 1 << 18  # half a second


def forbidden_names(
    certificate: x509.Certificate, constraints: x509.NameConstraints
) -> Iterator[str]:
    """Yield each name of the certificate that an issuer with these constraints may not give it.

    A name of a form that is constrained but can't be compared here counts as forbidden, as RFC 5280
    demands. So do all names of a certificate that has too many to compare.
    """
    names = list(_names(certificate))
    subtrees = [*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())]
    if len(names) * len(subtrees) > _MOST_COMPARISONS:
        yield f"{_shown(names[0])} and {len(names) - 1} others, too many to compare,"
        return
    for name in names:
        permitted = [base for base in constraints.permitted_subtrees or () if _alike(name, base)]
        excluded = [base for base in constraints.excluded_subtrees or () if _alike(name, base)]
        if (permitted or excluded) and not _is_allowed(name, permitted, excluded):
            yield _shown(name)


def _alike(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    return type(name) is type(base)


def _is_allowed(
    name: x509.GeneralName,
    permitted: Sequence[x509.GeneralName],
    excluded: Sequence[x509.GeneralName],
) -> bool:
    """Return whether a name keeps to the subtrees, all of its own form."""
    if type(name) not in _COMPARISONS or not _is_comparable(name, (*permitted, *excluded)):
        return False
    value: Any = name.value
    if isinstance(name, x509.UniformResourceIdentifier):
        value = _host_of(name.value)
        if not value:
            return False
    within = _COMPARISONS[type(name)]
    if any(within(value, base.value) for base in excluded):
        return False
    return not permitted or any(within(value, base.value) for base in permitted)


def _is_comparable(name: x509.GeneralName, bases: Sequence[x509.GeneralName]) -> bool:
    """Return whether name and subtrees are written as they must be.

    Others could be within a subtree for one verifier and outside for the next, such as
    ``example.com.``, a name with a NUL, or an empty subtree of mailboxes.
    """
    if type(name) not in _SYNTAX:
        return True
    names, subtrees = _SYNTAX[type(name)]
    return bool(names.fullmatch(name.value)) and all(
        subtrees.fullmatch(base.value) for base in bases
    )


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    """Yield all names: the subject, its mail addresses, and the alternative names."""
    if list(certificate.subject):
        yield x509.DirectoryName(certificate.subject)
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        yield x509.RFC822Name(str(attribute.value))
    try:
        yield from certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return


def _dns_within(name: str, base: str) -> bool:
    """Compare hosts: ``example.com`` covers itself and all below it, an empty base everything."""
    name, base = name.lower(), base.lower()
    return not base or _host_within(name, base) or name.endswith(f".{base}")


def _mail_within(name: str, base: str) -> bool:
    """Compare mailboxes: a base is one, or a host, or with a leading dot all below a domain."""
    local, _, host = name.rpartition("@")
    host, base_host = host.lower(), base.rpartition("@")[2].lower()
    if "@" in base:
        return host == base_host and local == base.rpartition("@")[0]
    return not base_host or _host_within(host, base_host)


def _host_of(uri: str) -> str:
    """Return the host that a URI names; empty for an address and where there is none."""
    try:
        host = (urlsplit(uri).hostname or "").lower()
    except ValueError:
        return ""
    return "" if host.replace(".", "").isdigit() or ":" in host else host


def _host_within(host: str, base: str) -> bool:
    base = base.lower()
    return host.endswith(base) if base.startswith(".") else host == base


def _address_within(name: IPv4Address | IPv6Address, base: IPv4Network | IPv6Network) -> bool:
    return name.version == base.version and name in base


def _directory_within(name: x509.Name, base: x509.Name) -> bool:
    """Return whether the name begins with the relative names of the base."""
    wanted, found = _comparable(base), _comparable(name)
    return found[: len(wanted)] == wanted


def _comparable(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    """Return the relative names without regard to case and to runs of spaces (RFC 5280 7.1)."""
    return [
        frozenset(
            (attribute.oid.dotted_string, " ".join(str(attribute.value).casefold().split()))
            for attribute in relative
        )
        for relative in name.rdns
    ]


def _shown(name: x509.GeneralName) -> str:
    value: Any = name.value
    return value.rfc4514_string() if isinstance(value, x509.Name) else str(value)


_HOST = r"(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+"
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
_SYNTAX = {
    x509.DNSName: (re.compile(rf"(?:\*\.)?{_HOST}"), re.compile(rf"(?:\.?{_HOST})?")),
    x509.RFC822Name: (
        re.compile(rf"{_LOCAL}@{_HOST}"),
        re.compile(rf"{_LOCAL}@{_HOST}|\.?{_HOST}"),
    ),
    x509.UniformResourceIdentifier: (
        re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*://{_HOST}(?::[0-9]*)?(?:[/?#].*)?"),
        re.compile(rf"\.?{_HOST}"),
    ),
}
"""How names, and subtrees of their form, are written."""
_COMPARISONS: dict[type, Any] = {
    x509.DNSName: _dns_within,
    x509.RFC822Name: _mail_within,
    x509.UniformResourceIdentifier: _host_within,
    x509.IPAddress: _address_within,
    x509.DirectoryName: _directory_within,
}

"""Rules about a module's files: licence, documentation, nested modules, signature or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ign_deploy.module.findings import Finding, error, info, warning
from ign_deploy.module.signature import SIGNATURE_FILES
from ign_deploy.module.subject import Subject, element, quoted

_LICENCE = re.compile(r"licen[cs]e(?:\.(?:html?|txt|md))?", re.IGNORECASE)
_DOCUMENTATION_FOLDER = "doc/"


def licence(subject: Subject) -> Iterator[Finding]:
    """Check for the licence file, which the gateway asks its operator to accept."""
    named = subject.descriptor.license
    if named and named not in subject.files:
        yield error(
            "licence-missing",
            f"module.xml names the licence {quoted(named)}, which isn't in the module",
            location=element("license"),
            hint="put the file at the module's root, or remove the element.",
        )
    elif not named:
        present = next((name for name in subject.files if _LICENCE.fullmatch(name)), None)
        if present is None:
            yield info("licence-absent", "the module has no licence", location=element("license"))
        else:
            yield info(
                "licence-not-named",
                f"there is {quoted(present)}, but module.xml has no <license>",
                location=present,
                hint="name it in <license>, so that the gateway shows it.",
            )


def documentation(subject: Subject) -> Iterator[Finding]:
    """Check for the documentation, which is named by its path below ``doc/``."""
    named = subject.descriptor.documentation
    if named and _DOCUMENTATION_FOLDER + named not in subject.files:
        yield error(
            "documentation-missing",
            f"module.xml names the documentation {quoted(named)}, but there is no "
            f"{quoted(_DOCUMENTATION_FOLDER + named)}",
            location=element("documentation"),
            hint="name the path below doc/, and put the file there.",
        )


def nested_modules(subject: Subject) -> Iterator[Finding]:
    """Warn of a module inside the module: the build picked up its own output."""
    for name in subject.files:
        if name.lower().endswith(".modl"):
            yield warning(
                "nested-modl",
                f"{quoted(name)} is a module inside the module",
                location=name,
                hint="clean the build; don't collect build outputs as resources.",
            )


def signature_state(subject: Subject) -> Iterator[Finding]:
    """Compare signed or unsigned with what is expected."""
    expected = subject.expected.signed
    present = sorted(SIGNATURE_FILES & subject.files.keys())
    if expected is True and not present:
        yield error("unsigned", "the module is not signed", hint="sign it: `ign-deploy sign`.")
    elif expected is True and len(present) < len(SIGNATURE_FILES):
        yield error(
            "signature-incomplete",
            f"only one of the two signature files is there: {present[0]}",
            location=present[0],
            hint="sign the module again: `ign-deploy sign`.",
        )
    elif expected is False and present:
        yield error(
            "already-signed",
            f"an unsigned module was expected, but this one contains {', '.join(present)}",
            location=present[0],
            hint="use the build's unsigned output, such as build/*.unsigned.modl.",
        )


FILE_RULES: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    licence,
    documentation,
    nested_modules,
    signature_state,
)

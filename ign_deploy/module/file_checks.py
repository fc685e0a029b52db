"""Rules about a module's files: jars, licence, documentation, nested modules, signature."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from ign_deploy.module.descriptor import scope_letters, scope_names
from ign_deploy.module.findings import Finding, error, info, quoted, warning
from ign_deploy.module.rule_context import RuleContext, element
from ign_deploy.module.signature import GET_AGAIN, SIGNATURE_FILES
from ign_deploy.module.version import (
    ModuleVersion,
    parsed_version,
    same_version,
    without_build_number,
)

_LICENCE = re.compile(r"licen[cs]e(?:\.(?:html?|txt|md))?", re.IGNORECASE)
_DOCUMENTATION_FOLDER = "doc/"
# The first version of Ignition with each Java, the newest first; 7.9 and earlier run Java 8.
_PLATFORMS = (((8, 1, 33), 17), ((8, 0, 0), 11))
_OLDEST_JAVA = 8
_CLEAN = "do a clean build; the build adds new files but doesn't delete old ones."
# guava-31.1-jre.jar, netty-epoll-4.1.90.Final-linux-x86_64.jar: name, version, classifier.
_LIBRARY = re.compile(
    r"(?P<name>.+?)-(?P<version>[0-9]+(?:\.[0-9]+)*"
    r"(?:[.-](?:Final|RELEASE|GA|SNAPSHOT|jre|android|(?:rc|alpha|beta|m)[.-]?[0-9]*)(?![a-z]))*)"
    r"(?P<classifier>.*)\.jar",
    re.IGNORECASE,
)


def listed_files(context: RuleContext) -> Iterator[Finding]:
    """Check that every listed jar is there."""
    listed = [("jar", jar.path) for jar in context.descriptor.jars]
    listed += [("export", path) for path in context.descriptor.exports]
    missing = [(kind, path) for kind, path in dict.fromkeys(listed) if path not in context.files]
    similar = _names_by_case(context) if missing else {}
    for kind, path in missing:
        yield error(
            "jar-missing",
            f"module.xml lists {quoted(path)}, which isn't in the module"
            + _other_case(path, similar),
            location=element(kind),
            hint="check the names in module.xml against the archive's content.",
        )


def _names_by_case(context: RuleContext) -> Mapping[str, str]:
    return {name.casefold(): name for name in context.files}


def _other_case(name: str, similar: Mapping[str, str]) -> str:
    """Return the end of a message about a missing name: the one that differs only in case."""
    found = similar.get(name.casefold())
    return f"; {quoted(found)} is, but letter case matters" if found else ""


def repeated_jars(context: RuleContext) -> Iterator[Finding]:
    """Warn of a jar that is listed twice for a scope and operating system."""
    seen: set[tuple[str, str, str]] = set()
    reported: set[str] = set()
    for jar in context.descriptor.jars:
        keys = {(jar.path, jar.os, letter) for letter in scope_letters(jar.scope)}
        if keys & seen and jar.path not in reported:
            reported.add(jar.path)
            yield warning(
                "jar-repeated",
                f"module.xml lists {quoted(jar.path)} more than once for the same scope",
                location=element("jar"),
                hint="list each jar once, with all letters of its scopes.",
            )
        seen |= keys


def unlisted_jars(context: RuleContext) -> Iterator[Finding]:
    """Warn of a jar that nothing loads: usually left over from an earlier build."""
    listed = {jar.path for jar in context.descriptor.jars} | set(context.descriptor.exports)
    for name in context.files:
        if name.lower().endswith(".jar") and name not in listed:
            yield warning(
                "jar-unlisted",
                f"{quoted(name)} is in the module, but module.xml doesn't list it",
                location=name,
                hint=_CLEAN,
            )


def repeated_libraries(context: RuleContext) -> Iterator[Finding]:
    """Warn of two versions of a library: which classes are loaded depends on chance."""
    versions: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for path in context.files:
        match = _LIBRARY.fullmatch(path.rpartition("/")[2]) if len(path) <= 1000 else None
        if match is not None:
            key = (match["name"].lower(), match["classifier"].lower())
            versions[key].setdefault(match["version"].lower(), path)
    for paths in versions.values():
        if len(paths) > 1:
            first, *others = paths.values()
            yield warning(
                "library-twice",
                f"the module contains {len(paths)} versions of the same library: "
                f"{', '.join(quoted(path) for path in (first, *others[:3]))}",
                location=others[0],
                hint=_CLEAN,
            )


def hook_classes(context: RuleContext) -> Iterator[Finding]:
    """Check that each hook's class is in a jar of every scope of that hook."""
    if any(jar.path not in context.jars for jar in context.descriptor.jars):
        return  # an unreadable or missing jar is reported already, and may contain the class
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    holders: dict[str, str] = {}
    similar: dict[str, str] = {}
    for jar, facts in context.own_jars():
        for name in facts.hooks:
            found[name] |= scope_letters(jar.scope)
            holders.setdefault(name, jar.path)
        similar |= {name.casefold(): name for name in facts.similar}
    for hook in context.descriptor.hooks:
        lacking = scope_letters(hook.scope) - found[hook.class_name]
        if hook.class_name and hook.class_name not in holders:
            yield error(
                "hook-class-missing",
                f"no listed jar contains the hook class {quoted(hook.class_name)}"
                + _other_case(hook.class_name, similar),
                location=element("hook"),
                hint="check the hook's package and class name, and that its jar is listed.",
            )
        elif hook.class_name and lacking:
            yield error(
                "hook-class-scope",
                f"the hook class {quoted(hook.class_name)} is in {quoted(holders[hook.class_name])}"
                f", which isn't loaded in the scope {scope_names(lacking)}",
                location=element("hook"),
                hint="add the scope's letter to the jar, or correct the hook's scope.",
            )


def class_formats(context: RuleContext) -> Iterator[Finding]:
    """Warn of classes for a newer Java than the platform's: they fail when they are loaded."""
    ignition = parsed_version(context.descriptor.required_ignition_version)
    if ignition is None:
        return
    platform = platform_java(ignition)
    for path, facts in context.jars.items():
        if facts.newest_java > platform:
            hint = f"compile for Java {platform} (options.release = {platform})"
            newer = _first_ignition(facts.newest_java)
            yield warning(
                "class-too-new",
                f"{quoted(facts.newest_class)} is compiled for Java {facts.newest_java}, but "
                f"Ignition {ignition} runs Java {platform}",
                location=path,
                hint=f"{hint}, or require Ignition {newer}." if newer else f"{hint}.",
            )


def platform_java(ignition: ModuleVersion) -> int:
    """Return the Java release that runs modules in that Ignition version."""
    # A release candidate of 8.1.33 runs the Java of 8.1.33.
    return next((java for first, java in _PLATFORMS if ignition.numbers[:3] >= first), _OLDEST_JAVA)


def _first_ignition(java: int) -> str:
    """Return the first version of Ignition that runs classes for that Java; "" for none."""
    fitting = [first for first, platform in _PLATFORMS if platform >= java]
    return ".".join(map(str, fitting[-1])) if fitting else ""


def bundled_sdk(context: RuleContext) -> Iterator[Finding]:
    """Warn of a second copy of classes that the gateway already provides."""
    for path, facts in context.jars.items():
        if facts.sdk_class:
            yield warning(
                "sdk-bundled",
                f"the jar bundles Ignition's own classes, such as {quoted(facts.sdk_class)}",
                location=path,
                hint="declare the Ignition SDK as compileOnly (Gradle) or provided (Maven).",
            )


def manifest_versions(context: RuleContext) -> Iterator[Finding]:
    """Warn of a different version in the module's own jars (those with a hook): a stale build."""
    for path, facts in context.jars.items():
        version = facts.implementation_version
        if facts.hooks and version and not _same_release(version, context.descriptor.version):
            yield warning(
                "manifest-version",
                f"the jar's Implementation-Version is {quoted(version)}, but the module's is "
                f"{quoted(context.descriptor.version)}",
                location=path,
                hint=_CLEAN,
            )


def _same_release(jar: str, module: str) -> bool:
    """Return whether the versions agree; a module that was signed again has one number more."""
    return same_version(jar, module) or same_version(jar, without_build_number(module))


def licence(context: RuleContext) -> Iterator[Finding]:
    """Check for the licence file, which the gateway asks its operator to accept."""
    named = context.descriptor.license
    if named and named not in context.files:
        yield error(
            "licence-missing",
            f"module.xml names the licence {quoted(named)}, which isn't in the module"
            + _other_case(named, _names_by_case(context)),
            location=element("license"),
            hint="put the file at the module's root, or remove the element.",
        )
    elif not named:
        present = next((name for name in context.files if _LICENCE.fullmatch(name)), None)
        if present is None:
            yield info("licence-absent", "the module has no licence", location=element("license"))
        else:
            yield info(
                "licence-not-named",
                f"there is {quoted(present)}, but module.xml has no <license>",
                location=present,
                hint="name it in <license>, so that the gateway shows it.",
            )


def documentation(context: RuleContext) -> Iterator[Finding]:
    """Check for the documentation, which is named by its path below ``doc/``."""
    named = context.descriptor.documentation
    path = _DOCUMENTATION_FOLDER + named
    if named and path not in context.files:
        # A warning: gateways run such modules.
        yield warning(
            "documentation-missing",
            f"module.xml names the documentation {quoted(named)}, but {quoted(path)} isn't in the "
            "module" + _other_case(path, _names_by_case(context)),
            location=element("documentation"),
            hint="name the path below doc/, and put the file there.",
        )


def nested_modules(context: RuleContext) -> Iterator[Finding]:
    """Warn of a module inside the module: the build picked up its own output."""
    for name in context.files:
        if name.lower().endswith(".modl"):
            yield warning(
                "nested-modl",
                f"{quoted(name)} is a module inside the module",
                location=name,
                hint="clean the build; don't collect build outputs as resources.",
            )


def signature_state(context: RuleContext) -> Iterator[Finding]:
    """Compare signed or unsigned with what is expected."""
    expected = context.expected.signed
    present = sorted(SIGNATURE_FILES & context.files.keys())
    if expected is True and not present:
        yield error("unsigned", "the module is not signed", hint="sign it: `ign-deploy sign`.")
    elif expected is True and len(present) < len(SIGNATURE_FILES):
        yield error(
            "signature-incomplete",
            f"only one of the two signature files is there: {present[0]}",
            location=present[0],
            hint=GET_AGAIN,
        )
    elif expected is False and present:
        yield error(
            "already-signed",
            f"an unsigned module was expected, but this one contains {', '.join(present)}",
            location=present[0],
            hint="use the build's unsigned output, such as build/*.unsigned.modl.",
        )


FILE_RULES: tuple[Callable[[RuleContext], Iterator[Finding]], ...] = (
    listed_files,
    repeated_jars,
    hook_classes,
    unlisted_jars,
    repeated_libraries,
    class_formats,
    bundled_sdk,
    manifest_versions,
    licence,
    documentation,
    nested_modules,
    signature_state,
)

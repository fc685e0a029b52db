"""Rules about module.xml itself: what it must contain, and what a gateway makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ign_deploy.module.descriptor import ALL, SCOPES, scope_letters, scope_names
from ign_deploy.module.findings import Finding, error, info, quoted, warning
from ign_deploy.module.ignition import ignition_line
from ign_deploy.module.rule_context import RuleContext, element
from ign_deploy.module.version import (
    GRAMMAR,
    ModuleVersion,
    VersionSyntaxError,
    parsed_version,
    same_version,
)

# Letters as written; module.xml of 8.3 knows no others.
_LETTERS = frozenset(SCOPES) | {ALL}
_MANY = 10


def required_fields(context: RuleContext) -> Iterator[Finding]:
    """Check for what tells a gateway which module this is and whether it fits."""
    descriptor = context.descriptor
    for name, value in (
        ("id", descriptor.id),
        ("name", descriptor.name),
        ("version", descriptor.version),
        ("requiredIgnitionVersion", descriptor.required_ignition_version),
    ):
        if not value:
            yield error(
                "element-missing",
                f"module.xml has no <{name}>, or it is empty",
                location=element(name),
                hint=f"set {name} in the build script.",
            )


def optional_fields(context: RuleContext) -> Iterator[Finding]:
    """Note what an operator would like to read before installing."""
    descriptor = context.descriptor
    for name, value in (
        ("description", descriptor.description),
        ("documentation", descriptor.documentation),
        ("vendorname", descriptor.vendor_name or descriptor.vendor_id),
    ):
        if not value:
            yield info("element-absent", f"module.xml has no <{name}>", location=element(name))


def unknown_elements(context: RuleContext) -> Iterator[Finding]:
    """Note unknown elements: typos, or newer than this version of ign-deploy."""
    names = list(dict.fromkeys(context.descriptor.unknown))
    if names:
        more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
        shown = ", ".join(quoted(name) for name in names[:_MANY])
        yield info(
            "element-unknown",
            f"module.xml has unknown elements: {shown}{more}",
            location="module.xml",
        )


def module_version(context: RuleContext) -> Iterator[Finding]:
    """Check the version: a gateway installs only what fits its grammar."""
    yield from _version(context.descriptor.version, "version")


def ignition_version(context: RuleContext) -> Iterator[Finding]:
    """Check the version of Ignition, which follows the same grammar."""
    yield from _version(context.descriptor.required_ignition_version, "requiredIgnitionVersion")


def _version(text: str, name: str) -> Iterator[Finding]:
    if not text:
        return  # reported by required_fields
    try:
        ModuleVersion.parse(text)
    except VersionSyntaxError as problem:
        yield error(
            "version-syntax",
            f"{name}: {problem.message}",
            location=element(name),
            hint=problem.hint,
        )


def framework_version(context: RuleContext) -> Iterator[Finding]:
    """Check for a whole number: 8 for Ignition 8."""
    text = context.descriptor.required_framework_version
    location = element("requiredFrameworkVersion")
    hint = "set requiredFrameworkVersion, for example 8."
    if not text:
        yield warning(
            "framework-version-missing",
            "module.xml has no <requiredFrameworkVersion>",
            location=location,
            hint=hint,
        )
    elif not (text.isascii() and text.isdigit() and len(text) <= 9):
        yield error(
            "framework-version-syntax",
            f"requiredFrameworkVersion is {quoted(text)}, expected a whole number",
            location=location,
            hint=hint,
        )


def asked_version(context: RuleContext) -> Iterator[Finding]:
    """Compare versions: a build script may silently ignore the one it was given."""
    expected, actual = context.expected.version, context.descriptor.version
    if expected is not None and not same_version(actual, expected):
        yield error(
            "version-mismatch",
            f"version {quoted(expected)} was requested, but the module has {quoted(actual)}",
            location=element("version"),
            hint="set that version in the build files, or pass it to the build (--gradle-args), or "
            f"request {quoted(actual)}.",
        )


def asked_id(context: RuleContext) -> Iterator[Finding]:
    """Compare ids: a build may make several modules, and this may be the wrong one."""
    expected, actual = context.expected.id, context.descriptor.id
    if expected is not None and actual != expected:
        yield error(
            "id-mismatch",
            f"id {quoted(expected)} was requested, but the module's id is {quoted(actual)}",
            location=element("id"),
            hint="check which module the build makes.",
        )


def development_version(context: RuleContext) -> Iterator[Finding]:
    """Warn of development versions: they get replaced, a release never does."""
    version = parsed_version(context.descriptor.version)
    if context.expected.is_release and version and version.stage in ("dev", "SNAPSHOT"):
        yield warning(
            "version-development",
            f"version {version} is a development version, but this is a release",
            location=element("version"),
            hint=f"give the release a version of its own: {GRAMMAR}.",
        )


def hooks(context: RuleContext) -> Iterator[Finding]:
    """Check for a hook, without which a module does nothing, and for one at most in each scope."""
    if not context.descriptor.hooks:
        yield error(
            "hook-missing",
            "module.xml has no <hook>, so no scope would load the module",
            location=element("hook"),
            hint="name the hook classes in the build script.",
        )
    taken: frozenset[str] = frozenset()
    for hook in context.descriptor.hooks:
        if not hook.class_name:
            yield error("hook-empty", "a <hook> names no class", location=element("hook"))
        letters = scope_letters(hook.scope)
        if letters & taken:
            yield error(
                "hook-duplicate",
                f"{quoted(hook.class_name)} is a second hook for {scope_names(letters & taken)}",
                location=element("hook"),
                hint="keep one hook for each scope.",
            )
        taken |= letters


def scopes(context: RuleContext) -> Iterator[Finding]:
    """Check scopes: letters of G, D, C and A, each at most once."""
    descriptor = context.descriptor
    for kind, items in (
        ("hook", [(hook.scope, hook.class_name) for hook in descriptor.hooks]),
        ("jar", [(jar.scope, jar.path) for jar in descriptor.jars]),
        ("depends", [(depends.scope, depends.module_id) for depends in descriptor.depends]),
    ):
        yield from _scopes_of(kind, items)


def _scopes_of(kind: str, items: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    hint = "use G (gateway), D (designer) and C (client), each at most once, or A for all."
    location = element(kind)
    for scope, text in items:
        if not scope and kind == "hook":
            yield error("scope-missing", f"the hook {quoted(text)} has no scope", location=location,
                        hint=hint)  # fmt: skip
        elif not scope and kind == "jar":
            yield warning("jar-scope-empty", f"the jar {quoted(text)} has no scope: nothing loads "
                          "it", location=location, hint=hint)  # fmt: skip
        elif not _LETTERS.issuperset(scope):
            yield error("scope-unknown", f"{quoted(text)} has the unknown scope {quoted(scope)}",
                        location=location, hint=hint)  # fmt: skip
        elif len(set(scope)) < len(scope) or (ALL in scope and len(scope) > 1):
            yield error("scope-repeated", f"the scope {quoted(scope)} of {quoted(text)} repeats "
                        "itself", location=location, hint=hint)  # fmt: skip


def dependency_attributes(context: RuleContext) -> Iterator[Finding]:
    """Warn of ``required`` where the gateway is too old for it: it came with Ignition 8.3."""
    ignition = parsed_version(context.descriptor.required_ignition_version)
    if ignition is None or ignition_line(ignition) >= (8, 3):
        return
    for dependency in context.descriptor.depends:
        if dependency.required is not None:
            yield warning(
                "depends-required-early",
                f"the dependency on {quoted(dependency.module_id)} has the attribute 'required', "
                f"which Ignition {ignition} doesn't support",
                location=element("depends"),
                hint="remove the attribute, or require Ignition 8.3.0.",
            )


DESCRIPTOR_RULES: tuple[Callable[[RuleContext], Iterator[Finding]], ...] = (
    required_fields,
    module_version,
    ignition_version,
    framework_version,
    asked_version,
    asked_id,
    development_version,
    hooks,
    scopes,
    dependency_attributes,
    optional_fields,
    unknown_elements,
)

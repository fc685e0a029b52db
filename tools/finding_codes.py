"""The codes of findings and their severities, read off the program's source."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "ign_deploy"
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# How a finding is made: these functions take the code first; the helpers make errors.
_MAKERS = {"error": "error", "warning": "warning", "info": "info", "Finding": "error",
          "archive_error": "error", "descriptor_error": "error", "_certificates_error": "error",
          "_chain_error": "error"}  # fmt: skip


def used_codes() -> dict[str, set[str]]:
    """Return code → severities."""
    used: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(SOURCES.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                for severity, code in _codes_in(function):
                    used[code].add(severity)
    return used


def _codes_in(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    for call in ast.walk(function):
        maker = _maker_of(call)
        if not isinstance(call, ast.Call) or maker is None:
            continue
        literals = _constants_in(call.args[0])
        if not literals and "code" not in [argument.arg for argument in function.args.args]:
            literals = _first_of_tuples(function)
        for text in literals:
            if isinstance(text, str) and _CODE.fullmatch(text):
                yield _MAKERS[maker], text


def _constants_in(node: ast.AST) -> list[object]:
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]


def _maker_of(node: ast.AST) -> str | None:
    """Return the name of the finding's maker; ``reporter.warning(…)`` and the like are none."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called = node.func
    if isinstance(called, ast.Attribute) and ast.unparse(called.value) == "findings":
        called = ast.Name(called.attr)
    return called.id if isinstance(called, ast.Name) and called.id in _MAKERS else None


def _first_of_tuples(function: ast.FunctionDef) -> list[object]:
    """Return the codes of a table, ``(("record-id", …), …)``, that a loop makes findings of."""
    tuples = (node for node in ast.walk(function) if isinstance(node, ast.Tuple) and node.elts)
    firsts = (node.elts[0] for node in tuples)
    return [first.value for first in firsts if isinstance(first, ast.Constant)]

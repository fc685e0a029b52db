"""A bare folder with a module.xml: what it lists is packed, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ign_deploy.errors import PackagingError
from ign_deploy.files import open_regular
from ign_deploy.module.descriptor import ModuleDescriptor, parse_descriptors
from ign_deploy.module.descriptor_xml import DESCRIPTOR_NAME, MAX_DESCRIPTOR_SIZE
from ign_deploy.module.packer import Member

_DOCUMENTS = "doc"
_NOTICES = re.compile(r"(licen[sc]e|notice|copying)[^/]*", re.IGNORECASE)
_UNSAFE = re.compile(r"[^\w.+-]+")


def read_folder_descriptor(root: Path) -> ModuleDescriptor:
    """Return the folder's module.xml; raises our errors when it isn't valid."""
    path = root / DESCRIPTOR_NAME
    # One byte more than it may have: then the error names the limit.
    with os.fdopen(open_regular(path, follow_links=True), "rb") as stream:
        descriptors = parse_descriptors(stream.read(MAX_DESCRIPTOR_SIZE + 1))
    if len(descriptors) != 1:
        raise PackagingError(
            f"{path} describes {len(descriptors)} modules, expected one",
            hint="use one folder per module.",
        )
    return descriptors[0]


def folder_members(root: Path, descriptor: ModuleDescriptor) -> tuple[Member, ...]:
    """Return what goes into the module: module.xml and what it lists, licences, ``doc``.

    Anything else in the folder, such as a key, stays out. Raises PackagingError that names
    every listed file that is missing, and for symbolic links and paths out of the folder.
    """
    names = dict.fromkeys(
        [
            DESCRIPTOR_NAME,
            *(jar.path for jar in descriptor.jars),
            *descriptor.exports,
            *([descriptor.license] if descriptor.license else []),
            *(path.name for path in sorted(root.iterdir()) if _NOTICES.fullmatch(path.name)),
            *_documents(root),
        ]
    )
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        listed = ", ".join(f"{name}{_other_case(root, name)}" for name in missing)
        raise PackagingError(
            f"{root.name} lacks files that its {DESCRIPTOR_NAME} lists: {listed}",
            hint="add the files to the folder, or fix the list.",
        )
    for name in names:
        _require_inside(root, name)
    return tuple(Member(name, root / name) for name in names)


def _other_case(root: Path, name: str) -> str:
    """Return a remark if the folder has the file under a name that differs only in case."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        return ""  # nothing is looked up outside
    folder = (root / path).parent
    names = os.listdir(folder) if folder.is_dir() else ()
    wanted = path.name.casefold()
    found = next((each for each in names if each.casefold() == wanted), None)
    return f" (there is {found}; letter case matters)" if found else ""


def folder_module_name(descriptor: ModuleDescriptor) -> str:
    """Return the file name for a folder's module: its name without spaces, else its id."""
    stem = _UNSAFE.sub("-", descriptor.name).strip("-.") or _UNSAFE.sub("-", descriptor.id)
    return f"{stem or 'module'}.unsigned.modl"


def _documents(root: Path) -> Iterator[str]:
    folder = root / _DOCUMENTS
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_dir() and not any(part.startswith(".") for part in name.split("/")):
            yield name


def _require_inside(root: Path, name: str) -> None:
    path = Path(name)
    folders = [root.joinpath(*path.parts[:count]) for count in range(1, len(path.parts) + 1)]
    if path.is_absolute() or ".." in path.parts or any(part.is_symlink() for part in folders):
        raise PackagingError(
            f"{name!r} is outside the folder {root.name}, or is a symbolic link",
            hint="put the file itself into the folder.",
        )

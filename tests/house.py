"""Who imports whom: every arrow of the project's packages, lazy ones and names in tables included."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MOST_LOOSE_MODULES = 16
_NOT_THE_PRODUCT = ("tests", "benchmarks")


@dataclass(frozen=True, slots=True)
class House:
    """The packages below a folder.

    Args:
        files: file of each module, relative to the folder; a package stands for its `__init__.py`.
        arrows: (module, module that it imports).
    """

    files: Mapping[str, PurePosixPath]
    arrows: frozenset[tuple[str, str]]


def read_house(root: Path) -> House:
    """Read every import of the packages below a folder; tests and benchmarks are no part of the house."""
    tops = [path.parent for path in (*root.glob("*/__init__.py"), *root.glob("third_party/*/*/__init__.py"))]
    files = {
        _name_of(path.relative_to(top.parent)): PurePosixPath(path.relative_to(root))
        for top in tops
        if top.name not in _NOT_THE_PRODUCT
        for path in top.rglob("*.py")
    }
    arrows = set()
    for name, file in files.items():
        tree = ast.parse((root / file).read_text(encoding="utf-8"))
        arrows |= {(name, target) for target in _list_names(tree, files) if target in files and target != name}
    return House(files, frozenset(arrows))


def _name_of(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _list_names(tree: ast.AST, modules: Iterable[str]) -> Iterator[str]:
    """Yield what may be modules: names in imports, and strings such as `runners.soc` or `kinds.fuse:FuseNode`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import; write the whole name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else str(node.module) for name in names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            yield node.value.partition(":")[0]


def find_upward(house: House, floors: Sequence[Sequence[str]]) -> set[str]:
    """Return the imports that lead to a room which does not stand lower, and the files of no room.

    Args:
        floors: folders, the uppermost floor first; a folder with rooms in it is the room of its loose modules alone.
    """
    heights = {room: floor for floor, rooms in enumerate(floors) for room in rooms}
    rooms = {name: _room_of(file, heights) for name, file in house.files.items()}
    faults = {f"{house.files[name]} lies in no room" for name, room in rooms.items() if room not in heights}
    for name, target in house.arrows:
        room, other = rooms[name], rooms[target]
        if room != other and heights.get(other, 0) <= heights.get(room, 0):
            faults.add(f"{house.files[name]} imports {target}: {other} does not stand below {room}")
    return faults


def _room_of(file: PurePosixPath, rooms: Iterable[str]) -> str:
    """Return the innermost room around a file, or its folder where it lies in none."""
    with_rooms = {str(PurePosixPath(room).parent) for room in rooms}
    for folder in map(str, file.parents):
        if folder in rooms and (folder not in with_rooms or folder == str(file.parent)):
            return folder
    return str(file.parent)


def find_sideways(house: House, rows: Sequence[str]) -> set[str]:
    """Return the imports from one row of a table to another.

    Args:
        rows: their modules. What lies in a folder with a row's module, and with no other's, belongs to the row.
    """
    depth = _count_common(rows) + 1

    def row_of(name: str) -> str:
        return ".".join(name.split(".")[:depth])

    units = {row_of(row) for row in rows}
    return {
        f"{house.files[name]} imports {target}: two rows of a table do not see each other"
        for name, target in house.arrows
        if row_of(name) != row_of(target) and {row_of(name), row_of(target)} <= units
    }


def _count_common(rows: Sequence[str]) -> int:
    """Return how many packages all rows lie in."""
    packages = [row.split(".")[:-1] for row in rows]
    columns = [set(column) for column in zip(*packages, strict=False)]
    return next((depth for depth, names in enumerate(columns) if len(names) > 1), len(columns))


def find_circles(house: House) -> set[str]:
    """Return, for every folder, the modules and folders in it that import each other in a circle."""
    folders = {".".join(name.split(".")[:depth]) for name in house.files for depth in range(name.count(".") + 1)}
    return {
        f"{folder or 'the house'}: {', '.join(sorted(circle))} import each other in a circle"
        for folder in folders
        for circle in _find_loops(_arrows_within(house, folder))
    }


def _arrows_within(house: House, folder: str) -> dict[str, set[str]]:
    """Return the arrows between what lies directly in a folder: modules, and each folder as one."""
    start = f"{folder}." if folder else ""
    inside: dict[str, set[str]] = {}
    for arrow in house.arrows:
        if all(f"{name}.".startswith(start) for name in arrow):
            source, target = (name[len(start) :].partition(".")[0] or "__init__" for name in arrow)
            if source != target:
                inside.setdefault(source, set()).add(target)
    return inside


def _find_loops(arrows: Mapping[str, set[str]]) -> set[frozenset[str]]:
    reached = {name: _reach(arrows, name) for name in arrows}
    return {
        frozenset(other for other in ends if name in reached.get(other, ()))
        for name, ends in reached.items()
        if name in ends
    }


def _reach(arrows: Mapping[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = arrows.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached


def count_loose(house: House, rows: Iterable[str] = ()) -> dict[str, int]:
    """Return for each folder how many modules lie loose in it; `__init__` and the rows of a table are not counted."""
    not_counted = set(rows)
    folders = [
        str(file.parent) for name, file in house.files.items() if file.name != "__init__.py" and name not in not_counted
    ]
    return {folder: folders.count(folder) for folder in sorted(set(folders))}


def find_crowded(house: House, rows: Iterable[str] = ()) -> set[str]:
    """Return the folders with more loose modules than one finds one's way in."""
    counts = count_loose(house, rows)
    crowded = [folder for folder, count in counts.items() if count > MOST_LOOSE_MODULES]
    return {f"{folder}: over {MOST_LOOSE_MODULES} loose modules" for folder in crowded}

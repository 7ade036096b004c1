"""The tree is the architecture: imports point down, rows of a table do not see each other, nothing goes in a circle."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest
from house import House, count_loose, find_circles, find_crowded, find_sideways, find_upward, read_house

from rvos_fusion.commands.cli import COMMANDS, module_of

PROJECT = Path(__file__).parents[1]

FLOORS = (
    ("rvos_fusion",),
    ("rvos_fusion/commands",),
    ("rvos_fusion/running", "rvos_fusion/report"),
    ("rvos_fusion/scores", "rvos_fusion/executors", "rvos_fusion/weights", "rvos_fusion/clips"),
    ("rvos_fusion/planning",),
    ("rvos_fusion/recipe",),
    ("rvos_fusion/kinds",),
    ("rvos_fusion/parity",),
    ("rvos_fusion/training", "rvos_fusion/synthetic", "rvos_fusion/tables"),
    ("runners", "propagate", "fusion"),
    ("third_party",),
    ("rvos",),
)
"""Rooms, the uppermost floor first; an import leads to a lower floor or stays in its room. README prints them."""

TABLES = {
    "runners": "runners.registry:RUNNERS",
    "detectors": "runners.detectors.table:DETECTORS",
    "judges": "runners.judges.table:JUDGES",
    "engines": "propagate.engines.table:ENGINES",
    "fusion methods": "fusion.methods.table:METHODS",
    "key rules": "propagate.key_rules.table:KEY_RULES",
    "formats": "rvos.formats:FORMATS",
    "kinds": "rvos_fusion.kinds.table:KINDS",
}
"""Where the table of each sort of adapter stands: name -> module, or module:class."""

COUNTED_ONE_EACH = ("commands", "kinds")
"""Tables whose rows may be as many as they are; elsewhere they count as loose modules of their room."""

KNOWN: frozenset[str] = frozenset()
"""Faults that are still to be mended; one that is mended must leave this list."""


@pytest.fixture(scope="module")
def house() -> House:
    return read_house(PROJECT)


def list_rows(table: str) -> list[str]:
    """Return the modules of the rows of a table."""
    if table == "commands":
        return [module_of(command) for command in COMMANDS]
    module, _, name = TABLES[table].partition(":")
    rows = getattr(import_module(module), name).values()
    places = [row if isinstance(row, str) else getattr(row, "module", None) or _maker_of(row) for row in rows]
    return [place.partition(":")[0] for place in places]


def _maker_of(row: object) -> str:
    """Return the module of a class, or of the function that a row builds with."""
    return str(getattr(row, "build", row).__module__)


def find_all(house: House) -> set[str]:
    sideways = set().union(*(find_sideways(house, list_rows(table)) for table in ("commands", *TABLES)))
    loose = find_crowded(house, [row for table in COUNTED_ONE_EACH for row in list_rows(table)])
    return find_upward(house, FLOORS) | sideways | find_circles(house) | loose


def test_nothing_leads_upwards_sideways_or_in_a_circle_and_no_room_is_crowded(house: House) -> None:
    assert sorted(find_all(house) - KNOWN) == []


@pytest.mark.parametrize("table", ["commands", *TABLES])
def test_every_row_of_a_table_has_a_module_of_its_own(house: House, table: str) -> None:
    rows = list_rows(table)
    assert len(rows) > 1
    assert sorted(set(rows)) == sorted(rows)
    assert set(rows) <= house.files.keys()


def test_what_was_mended_is_no_longer_excused(house: House) -> None:
    assert sorted(KNOWN - find_all(house)) == []


def test_what_lies_in_third_party_knows_nothing_of_this_project(house: House) -> None:
    foreign = {name for name, file in house.files.items() if file.parts[0] == "third_party"}
    assert [arrow for arrow in house.arrows if arrow[0] in foreign and arrow[1] not in foreign] == []


def test_readme_prints_the_floors() -> None:
    layout = (PROJECT / "README.md").read_text(encoding="utf-8").partition("## Layout")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| *[\d-]+ *\|([^|]*)\|", layout, flags=re.MULTILINE)
    assert [name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)] == [*chain(*FLOORS)]


def write_house(folder: Path, files: dict[str, str]) -> House:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for package in path.relative_to(folder).parents[:-1]:
            (folder / package / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return read_house(folder)


@pytest.mark.parametrize(
    "text",
    [
        "import upper.room",
        "from upper import room",
        "from upper.room import name",
        "def function():\n    from upper.room import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import upper.room",
        "TABLE = {'row': 'upper.room:Class'}",
    ],
)
def test_an_arrow_upwards_is_found_however_it_is_written(tmp_path: Path, text: str) -> None:
    small = write_house(tmp_path, {"upper/room.py": "", "lower/thing.py": text})
    assert find_upward(small, [("upper",), ("lower",)]) == {
        "lower/thing.py imports upper.room: upper does not stand below lower"
    }
    assert find_upward(small, [("lower",), ("upper",)]) == set()
    assert len(find_upward(small, [("lower", "upper")])) == 1, "rooms of one floor do not see each other"


def test_a_room_of_a_package_is_told_from_what_lies_loose_in_it(tmp_path: Path) -> None:
    small = write_house(tmp_path, {"top/door.py": "import top.room.deep.thing", "top/room/deep/thing.py": ""})
    assert find_upward(small, [("top",), ("top/room",)]) == set()
    assert find_upward(small, [("top/room",), ("top",)]) == {
        "top/door.py imports top.room.deep.thing: top/room does not stand below top"
    }


def test_a_folder_without_a_floor_is_found(tmp_path: Path) -> None:
    small = write_house(tmp_path, {"top/room/thing.py": "", "top/new/thing.py": ""})
    assert find_upward(small, [("top",), ("top/room",)]) == {
        "top/new/__init__.py lies in no room",
        "top/new/thing.py lies in no room",
    }


def test_an_arrow_between_rows_is_found_and_one_to_what_they_share_is_not(tmp_path: Path) -> None:
    files = {
        "room/first/engine.py": "import room.second.parts\nimport room.shared",
        "room/second/engine.py": "import room.second.parts",
        "room/second/parts.py": "import room.shared",
        "room/shared.py": "",
    }
    small = write_house(tmp_path, files)
    assert find_sideways(small, ["room.first.engine", "room.second.engine"]) == {
        "room/first/engine.py imports room.second.parts: two rows of a table do not see each other"
    }


def test_a_circle_of_modules_is_found(tmp_path: Path) -> None:
    small = write_house(tmp_path, {"a/x.py": "import a.y", "a/y.py": "import a.z", "a/z.py": "import a.x"})
    assert find_circles(small) == {"a: x, y, z import each other in a circle"}


def test_a_circle_of_rooms_is_found_where_no_module_is_in_one(tmp_path: Path) -> None:
    small = write_house(
        tmp_path, {"a/r/x.py": "import a.s.y", "a/s/y.py": "", "a/s/z.py": "import a.r.w", "a/r/w.py": ""}
    )
    assert find_circles(small) == {"a: r, s import each other in a circle"}


def test_a_package_that_imports_its_modules_which_import_it_is_a_circle(tmp_path: Path) -> None:
    small = write_house(tmp_path, {"a/x.py": "from a import name", "a/__init__.py": "from a.x import other\nname = 1"})
    assert find_circles(small) == {"a: __init__, x import each other in a circle"}


def test_a_crowded_room_is_found_and_rows_are_not_counted(tmp_path: Path) -> None:
    small = write_house(tmp_path, {f"room/m{index}.py": "" for index in range(17)})
    assert count_loose(small) == {"room": 17}
    assert find_crowded(small) == {"room: over 16 loose modules"}
    assert find_crowded(small, ["room.m0"]) == set()

"""The wheel: what one installs without a checkout, with the default recipe, the others and the demo inside it."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from house import read_house

PROJECT = Path(__file__).parents[1]
PACKAGES = {"fusion", "propagate", "runners", "rvos", "rvos_fusion", "deaot_toolkit", "sam3_toolkit"}
BUNDLED = "rvos_fusion/bundled/"
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "runs", "docs", "parity_cases")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that was built before, when it had another package."""
    folder = tmp_path_factory.mktemp("wheel") / "source"
    shutil.copytree(PROJECT, folder, ignore=LEFT_OUT)
    (folder / "build" / "lib" / "gone").mkdir(parents=True)
    (folder / "build" / "lib" / "gone" / "__init__.py").touch()
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path) -> ZipFile:
    words = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "wheels", "."]
    subprocess.run([sys.executable, "-m", *words], cwd=source, check=True)
    (path,) = (source / "wheels").iterdir()
    return ZipFile(path)


def test_it_installs_these_packages_and_no_others(wheel: ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_it_holds_every_module_and_what_lies_beside_them(wheel: ZipFile, source: Path) -> None:
    modules = [source / file for file in read_house(source).files.values()]
    folders = {path.parent for path in modules}
    beside = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    roots = (*(source / "third_party").iterdir(), source)
    names = {str(path.relative_to(next(root for root in roots if path.is_relative_to(root)))) for path in beside}
    held = {name for name in wheel.namelist() if ".dist-info/" not in name and not name.startswith(BUNDLED)}
    assert held == {name for name in names if "__pycache__" not in name}


def test_it_brings_recipes_demo_and_checkpoints_along(wheel: ZipFile, source: Path) -> None:
    parts = [source / "pipeline.yaml", *(source / "recipes").rglob("*"), *(source / "demo").rglob("*")]
    expected = {str(path.relative_to(source)) for path in parts if path.is_file()}
    assert {name.removeprefix(BUNDLED) for name in wheel.namelist() if name.startswith(BUNDLED)} == expected
    assert wheel.read(BUNDLED + "pipeline.yaml") == (PROJECT / "pipeline.yaml").read_bytes()


def test_it_holds_plain_files_alone(wheel: ZipFile) -> None:
    assert [entry.filename for entry in wheel.infolist() if not stat.S_ISREG(entry.external_attr >> 16)] == []

"""What the project installs is what it imports."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Names on the package index that differ from the name that is imported.
MODULES = {
    "PyYAML": "yaml",
    "Pillow": "PIL",
    "opencv-python-headless": "cv2",
    "tensorboard": "torch.utils.tensorboard",
}


def declared() -> list[str]:
    extras = SETTINGS["optional-dependencies"]
    tools = ("test", "docs", "notebook")  # run, not imported
    names = [*SETTINGS["dependencies"], *(name for key, extra in extras.items() if key not in tools for name in extra)]
    return sorted({re.split(r"[<>=!~\[]", name)[0] for name in names})


@pytest.mark.parametrize("package", declared())
def test_every_dependency_is_imported(package: str) -> None:
    module = MODULES.get(package, package.replace("-", "_"))
    pattern = re.compile(
        rf"^\s*(?:import|from) {re.escape(module)}\b|import_module\(\"{re.escape(module)}", re.MULTILINE
    )
    folders = [PROJECT / name for name in ("rvos", "fusion", "propagate", "runners", "rvos_fusion")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert any(pattern.search(path.read_text(encoding="utf-8")) for path in files)


def test_the_least_python_version_is_stated_everywhere_alike() -> None:
    least = SETTINGS["requires-python"].removeprefix(">=")
    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert tools["mypy"]["python_version"] == least
    assert tools["ruff"]["target-version"] == f"py{least.replace('.', '')}"
    assert f"Python {least} or newer" in (PROJECT / "README.md").read_text(encoding="utf-8")
    assert sys.version_info >= tuple(map(int, least.split(".")))

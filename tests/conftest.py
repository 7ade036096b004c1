"""One thread for torch: spinning workers make small tests many times slower on busy machines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
# Before it the packages themselves: test folders of the same names must not hide them.
sys.path.insert(0, str(Path(__file__).parents[1]))
torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare how golden results are written again; see `golden_results`."""
    parser.addoption("--write-goldens", action="store_true", help="write golden results whose versions were raised")

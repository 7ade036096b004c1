"""AOT and DeAOT give the official networks' logits, probabilities, masks and memories."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from reference import reference

from rvos.errors import InputError
from rvos_fusion.parity.checking import check_case

# Whole cases with their intermediate arrays; the others run in their condensed form.
CASES = ("aot/aott", "deaot/deaott")


@pytest.mark.parametrize("name", CASES)
def test_official_arrays(name: str) -> None:
    outputs, stages = check_case(reference(f"parity/{name}"))
    assert outputs
    assert [row.name for row in (*outputs, *stages) if not row.passes] == []
    assert stages


def test_another_salt_gives_other_arrays(tmp_path: Path) -> None:
    case = copy_case(tmp_path, salt="other:")
    outputs, _ = check_case(case)
    assert not all(row.passes for row in outputs)


def test_an_unknown_encoder_is_named(tmp_path: Path) -> None:
    case = copy_case(tmp_path, encoder="vgg16")
    with pytest.raises(InputError, match="vgg16"):
        check_case(case)


def copy_case(folder: Path, *, salt: str | None = None, encoder: str | None = None) -> Path:
    """Return a copy of a small case with some of its settings changed."""
    case = folder / "case"
    shutil.copytree(reference("parity/aot/aott_13obj"), case)
    path = case / "keys.json"
    keys = json.loads(path.read_text())
    keys["salt"] = salt or keys["salt"]
    keys["config"]["encoder"] = encoder or keys["config"]["encoder"]
    path.chmod(0o644)
    path.write_text(json.dumps(keys))
    return case

"""AOT and DeAOT give the official networks' logits, probabilities, masks and memories."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reference import read_reference, reference

from rvos.errors import InputError
from rvos_fusion.parity.cases import Case
from rvos_fusion.parity.checking import check, check_case

# Whole cases with their intermediate arrays; the others run in their condensed form.
CASES = ("aot/aott", "deaot/deaott")


@pytest.mark.parametrize("name", CASES)
def test_official_arrays(name: str) -> None:
    outputs, stages = check_case(reference(name))
    assert outputs
    assert [row.name for row in (*outputs, *stages) if not row.passes] == []
    assert stages or reference(name).is_file()


def test_another_salt_gives_other_arrays() -> None:
    outputs, _ = check(change_case(salt="other:"))
    assert not all(row.passes for row in outputs)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(InputError, match="vgg16"):
        check(change_case(encoder="vgg16"))


def change_case(*, salt: str | None = None, encoder: str | None = None) -> Case:
    """Return a small case with some of its settings changed."""
    case = read_reference("aot/aott_13obj")
    config = case.keys["config"] | ({"encoder": encoder} if encoder else {})
    return replace(case, keys={**case.keys, "config": config, "salt": salt or case.keys["salt"]})

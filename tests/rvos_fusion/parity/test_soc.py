"""SOC's reference cases pass through `rvos parity`, and the comparison notices a wrong network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from reference import read_reference, reference

from rvos_fusion.parity.cases import Case
from rvos_fusion.parity.checking import check_case
from rvos_fusion.parity.networks.soc import run_criterion

CASES = ("swin_t_challenge_odd", "train_step_swin_t", "criterion")


@pytest.mark.parametrize("name", CASES)
def test_the_official_arrays_are_reproduced(name: str) -> None:
    outputs, stages = check_case(reference(f"soc/{name}"))
    wrong = [row for row in (*outputs, *stages) if not row.passes]
    assert not wrong
    assert outputs


def changed(case: Case, name: str) -> Case:
    values = np.array(case.inputs[name])
    return dataclasses.replace(case, inputs={**case.inputs, name: values * 1.01})


def test_changed_predictions_fail_the_criterion() -> None:
    case = changed(read_reference("soc/criterion"), "video/level1.pred_masks")
    assert not all(row.passes for row in run_criterion(case).judged)

"""Every network runs on a device of its own: nothing mixes with the CPU, and results are those of the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from golden_results import describe, find_changes, open_plan, read_golden, write_case
from labelled_device import LabelledDevice
from torch import Tensor

from rvos_fusion.commands.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:CUDA is not available")


@pytest.fixture(autouse=True)
def moved_modules() -> Iterator[None]:
    """Parameters are replaced when a module moves: a label cannot be put onto one in place."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    torch.__future__.set_overwrite_module_params_on_conversion(False)


def test_all_runners_engines_detectors_and_judges_run_there(tmp_path: Path) -> None:
    recipe = write_case(tmp_path)
    with LabelledDevice() as device:
        assert main(["run", str(recipe), "--device", "cuda:0", "--quiet"]) == 0
    assert device.problems == set()
    plan = open_plan(recipe)
    for node in plan.nodes:
        assert find_changes(read_golden(node.name), describe(plan, node)) == [], node.name


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_runs_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    # The second device computes on the CPU, and so its arithmetic is chosen there.
    choose = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda _, dtype=None, enabled=True: choose("cpu", dtype, enabled))
    recipe = write_case(tmp_path)
    halved = [f"models.{name}.precision={precision}" for name in ("soc", "mutr", "referformer", "uninext")]
    halved += [f"engines.{name}.precision={precision}" for name in ("aot", "sam2", "sam3", "cfbi")]
    halved += [f"detectors.{name}.precision={precision}" for name in ("dino", "nouns", "concepts")]
    words = [word for value in halved for word in ("--set", value)]
    with LabelledDevice() as device:
        assert main(["run", str(recipe), "--device", "cuda:0", "--quiet", *words]) == 0
    assert device.problems == set()


FAULTS: dict[str, Callable[[Tensor], object]] = {
    "add mixes devices": lambda there: there + torch.ones(3),
    "numpy() of a tensor of the device": lambda there: there.numpy(),
    "__getitem__: the index is on the device, the tensor is not": lambda there: torch.ones(3)[there.long()],
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_would_fail_on_a_device_is_noted_with_its_place(kind: str) -> None:
    with LabelledDevice() as device:
        FAULTS[kind](torch.ones(3, device="cuda"))
    (problem,) = device.problems
    assert problem.startswith(f"{kind}: test_second_device.py, line ")


def test_what_would_work_there_is_not_noted() -> None:
    with LabelledDevice() as device:
        there = torch.arange(4.0).to("cuda").reshape(2, 2)
        assert there.device == torch.device("cuda:0")
        total = (there @ there.T + 1).sum() * torch.tensor(2.0)
        assert total.is_cuda
        assert total.cpu().numpy() == 2 * (1 + 3 + 3 + 13 + 4)
        assert there[there > 1].to("cpu", torch.float64).device.type == "cpu"
    assert device.problems == set()

"""SAM 3's training task: what its detector and its tracker are taught, and the folder that comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sam3_toolkit.checkpoints import list_entries
from torch import Tensor

from rvos_fusion.synthetic.bundled import CHECKPOINTS
from rvos_fusion.synthetic.writers.mevis import write_mevis
from rvos_fusion.training.config import read_config
from rvos_fusion.training.sam3.detection import Answers, match, teach
from rvos_fusion.training.sam3.task import Sam3Task, build

SHIPPED = Path(__file__).parents[3] / "rvos_fusion" / "training" / "configs" / "small_sam3.yaml"


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Sam3Task:
    root = tmp_path_factory.mktemp("mevis")
    write_mevis(root, seed=3, n_videos=2, split="train", no_target=0.3)
    own = [f"data.folder.root={root}", f"validation.folder.root={root}", "validation.folder.split=train"]
    torch.manual_seed(0)
    return build(
        read_config(
            SHIPPED, [*own, "network.side=112", f"network.vocabulary={CHECKPOINTS / 'sam3'}", "validation.frames=1"]
        )
    )


def test_both_parts_and_their_one_trunk_are_taught(task: Sam3Task, tmp_path: Path) -> None:
    losses = task.losses(task.batch([0, 1], [1, 2]), 0.0)
    assert {"class", "presence", "semantic", "carried", "quality"} <= set(losses)
    losses["total"].backward()
    for name in (
        "detector.model.vision_encoder.backbone.layers.0.mlp.fc1.weight",
        "tracker.neck.fpn_layers.2.proj1.bias",
    ):
        assert float(task.network.get_parameter(name).grad.abs().max()) > 0  # type: ignore[union-attr]
    assert set(task.validate(tmp_path)) == {"J", "J nouns", "J carried", "presence"}


def test_a_batch_depends_on_its_seeds_alone(task: Sam3Task) -> None:
    one, same, other = (task.batch([0, 1], seeds) for seeds in ([7, 8], [7, 8], [8, 7]))
    assert torch.equal(one.frames, same.frames)
    assert torch.equal(one.tokens, same.tokens)
    assert not torch.equal(one.tokens, other.tokens)
    assert one.is_there.shape == one.masks.shape[:2] == one.boxes.shape[:2]
    assert torch.equal(one.masks.flatten(2).any(2), one.is_there)


def test_what_is_written_has_every_entry_of_both_parts(task: Sam3Task, tmp_path: Path) -> None:
    task.export(tmp_path / "model.safetensors")
    state = load_file(tmp_path / "model.safetensors")
    parts = list_entries(task.network.detector) | list_entries(task.network.tracker)  # type: ignore[arg-type]
    assert state.keys() == parts.keys()
    assert all(torch.equal(value, parts[name].detach().half()) for name, value in state.items())


def make_answers(boxes: Tensor, logits: Tensor) -> Answers:
    n_queries = len(logits)
    masks = torch.full((1, n_queries, 4, 4), -9.0)
    return Answers(logits[None, None], boxes[None, None], torch.zeros(1, 1), masks, torch.zeros(1, 4, 4))


def test_every_object_has_the_query_that_fits_it() -> None:
    wanted = torch.tensor([[[0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.3, 0.3], [0.0, 0.0, 0.0, 0.0]]])
    given = torch.tensor([[0.7, 0.7, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9], [0.2, 0.25, 0.2, 0.2]])
    answers = make_answers(given, torch.zeros(3))
    phrases, queries, places = match(answers, 0, wanted, torch.tensor([[True, True, False]]))
    assert dict(zip(places.tolist(), queries.tolist(), strict=True)) == {0: 2, 1: 0}
    assert phrases.tolist() == [0, 0]
    # Of two that lie alike the surer one.
    twice = make_answers(wanted[0, [0, 0]], torch.tensor([-1.0, 1.0]))
    assert match(twice, 0, wanted[:, :1], torch.tensor([[True]]))[1].tolist() == [1]


def test_right_answers_cost_less() -> None:
    boxes, there = torch.tensor([[[0.25, 0.25, 0.5, 0.5]]]), torch.tensor([[True]])
    masks = torch.zeros(1, 1, 4, 4)
    masks[0, 0, :2, :2] = 1
    wrong = make_answers(torch.tensor([[0.8, 0.8, 0.1, 0.1]]), torch.tensor([-2.0]))
    right = replace(
        wrong,
        logits=torch.tensor([[[4.0]]]),
        boxes=boxes[None],
        presence=torch.tensor([[4.0]]),
        masks=18 * masks - 9,
        semantic=18 * masks[0] - 9,
    )
    bad, good = teach(wrong, masks, boxes, there), teach(right, masks, boxes, there)
    assert all(float(good[name]) < float(bad[name]) for name in bad)
    # Nothing there: no box or mask is taught.
    absent = teach(wrong, torch.zeros_like(masks), boxes, torch.tensor([[False]]))
    assert [float(absent[name]) for name in ("boxes", "giou", "masks", "dice")] == [0, 0, 0, 0]

"""ReferFormer and MUTR: the shared visual pass, the chosen query, padding, training behaviour."""

from __future__ import annotations

import pytest
import torch
from referring_helpers import SIZES, small_network
from torch import Tensor

from runners.networks.backbones.table import BackboneConfig
from runners.networks.parts.referring import Predictions
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextFeatures, stack_texts
from runners.networks.text.tokenizers import SmallTokens

KINDS = ("referformer", "mutr")
BACKBONES = (
    BackboneConfig("resnet", 8, (1, 1, 1, 1), norm="group"),
    BackboneConfig("swin", 16, (1, 2, 1, 1), (1, 2, 4, 8)),
    BackboneConfig("video_swin", 16, (1, 2, 1, 1), (1, 2, 4, 8)),
    BackboneConfig("convnext", 8, (1, 1, 1, 1)),
    BackboneConfig("convmae", 32, (1, 1, 2), (2,)),
)
TEXTS = ("the red circle", "the small square on the left", "the star")


def read(network: ReferFormer, *texts: str) -> TextFeatures:
    return network.encode_text(*SmallTokens().encode(texts))


def clip(frames: int = 3, height: int = 40, width: int = 52) -> Tensor:
    return torch.randn(1, frames, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_one_visual_pass_gives_what_each_expression_alone_gives(kind: str) -> None:
    network, frames = small_network(kind), clip()
    shared = network.encode_video(frames)
    for text in TEXTS:
        alone = network.segment(network.encode_video(frames), read(network, text))
        again = network.segment(shared, read(network, text))
        assert (alone.masks - again.masks).abs().max() <= 1e-5
        assert torch.equal(alone.query, again.query)


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_expressions_in_one_batch_do_not_change_each_other(kind: str) -> None:
    network = small_network(kind)
    visual = network.encode_video(clip())
    texts = [read(network, text) for text in TEXTS]
    together = network.segment(visual, stack_texts(texts))
    for index, text in enumerate(texts):
        alone = network.segment(visual, text)
        scale = alone.masks.abs().max().clamp(min=1)
        assert (alone.masks[0] - together.masks[index]).abs().max() <= 2e-5 * scale
        assert (alone.scores[0] - together.scores[index]).abs().max() <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_expressions_of_a_training_batch_can_share_clips(kind: str) -> None:
    network = small_network(kind)
    frames = torch.cat([clip(), clip().flip(-1)])
    ids, mask = SmallTokens().encode([*TEXTS, TEXTS[0]])
    shared = network(frames, None, ids, mask)
    repeated = network(frames.repeat_interleave(2, 0), None, ids, mask)
    torch.testing.assert_close(shared.masks, repeated.masks, atol=1e-4, rtol=1e-4)
    assert len(shared.boxes[0]) == 4


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_the_selection_is_the_best_query_of_the_full_prediction(kind: str) -> None:
    network, frames = small_network(kind), clip()
    text = read(network, TEXTS[1])
    visual = network.encode_video(frames)
    full: Predictions = network.predict(visual, text)
    chosen = network.segment(visual, text, frames_at_once=2)
    probability = full.logits[-1].sigmoid()[..., 0]
    query = int(probability.mean(1).argmax())
    assert chosen.query.tolist() == [query]
    assert torch.allclose(chosen.scores, probability[..., query], atol=1e-6)
    assert torch.allclose(chosen.boxes, full.boxes[-1][:, :, query], atol=1e-5)
    expected = full.masks[-1][:, :, query]
    assert (chosen.masks - expected).abs().max() <= 2e-5 * expected.abs().max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 40, 52), (9, 32, 44), (2, 64, 33)])
@torch.inference_mode()
def test_any_number_of_frames_and_any_shape(kind: str, frames: int, height: int, width: int) -> None:
    network = small_network(kind)
    chosen = network.segment(network.encode_video(clip(frames, height, width)), read(network, TEXTS[0]))
    assert chosen.masks.shape == (1, frames, -(-height // 4), -(-width // 4))
    assert chosen.masks.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda config: config.kind)
@torch.inference_mode()
def test_every_kind_of_backbone_takes_padded_batches_and_odd_sizes(kind: str, backbone: BackboneConfig) -> None:
    sizes = SIZES | {"backbone_sizes": backbone}
    network = Mutr(MutrConfig(**sizes)) if kind == "mutr" else ReferFormer(ReferFormerConfig(**sizes))
    ids, mask = SmallTokens().encode(TEXTS[:2])
    padding = torch.zeros(2, 2, 64, 96, dtype=torch.bool)
    padding[0, :, 50:], padding[1, ..., 70:] = True, True
    frames = torch.randn(2, 2, 3, 64, 96)
    found = network.eval()(frames, padding, ids, mask, torch.tensor([[50, 96], [64, 70]]))
    assert found.masks.shape[-2:] == (16, 24)
    chosen = network.segment(network.encode_video(clip(2, 45, 67)), read(network, TEXTS[0]))
    assert chosen.masks.shape == ((1, 2, 11, 16) if network.visual_backbone.rounds_down else (1, 2, 12, 17))
    assert found.masks.isfinite().all()
    assert chosen.masks.isfinite().all()


@torch.inference_mode()
def test_mutr_has_one_score_for_the_whole_clip() -> None:
    network = small_network("mutr")
    scores = network.segment(network.encode_video(clip(5)), read(network, TEXTS[0])).scores
    assert torch.equal(scores, scores[:, :1].expand_as(scores))


@torch.inference_mode()
def test_referformer_scores_frames_apart() -> None:
    network = small_network("referformer")
    scores = network.segment(network.encode_video(clip(5)), read(network, TEXTS[0])).scores
    assert scores.unique().numel() == 5


@torch.inference_mode()
def test_the_heads_of_another_layer_are_an_option_of_mutr() -> None:
    official = small_network("mutr")
    consistent = Mutr(MutrConfig(**SIZES, eval_layer=-1)).eval()
    consistent.load_state_dict(official.state_dict())
    visual, text = official.encode_video(clip()), read(official, TEXTS[0])
    first, last = official.predict(visual, text), consistent.predict(visual, text)
    assert not torch.allclose(first.boxes, last.boxes)
    _, decoded = official.decode(visual, text)
    assert torch.allclose(last.boxes[0].flatten(0, 1), decoded.references[-1], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: str) -> None:
    network = small_network(kind).train()
    ids, mask = SmallTokens().encode(TEXTS[:2])
    frames = torch.randn(2, 3, 3, 32, 64)
    padding = torch.zeros(2, 3, 32, 64, dtype=torch.bool)
    padding[1, ..., 40:] = True
    found = network(frames, padding, ids, mask, torch.tensor([[32, 64], [32, 40]]))
    assert found.logits.shape == (2, 2, 3, 5, 1)
    assert found.masks.shape == (2, 2, 3, 5, 8, 16)
    (found.logits.sum() + found.boxes.sum() + found.masks.square().mean()).backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    unused = {"text_encoder.pooler.dense.weight", "text_encoder.pooler.dense.bias"} if kind == "mutr" else set()
    assert without == unused


def test_clips_of_a_training_batch_stay_apart_in_mutr() -> None:
    network = small_network("mutr").train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    for module in network.text_encoder.modules():
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    ids, mask = SmallTokens().encode([TEXTS[0], TEXTS[0]])
    frames = torch.randn(2, 3, 3, 32, 64)
    together = network(frames, None, ids, mask)
    alone = network(frames[1:], None, ids[1:], mask[1:])
    assert torch.allclose(together.logits[:, 1:], alone.logits, atol=1e-4)
    assert torch.allclose(together.boxes[:, 1:], alone.boxes, atol=1e-4)

"""Windows joined by identity: one object is followed through the frames that neighbouring windows share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from runners.base import ModelSettings
from runners.networks.text.text_encoder import TextFeatures
from runners.networks.text.tokenizers import SmallTokens
from runners.passes import query_runners
from runners.passes.clip_runner import ClipProtocol
from runners.passes.identity import follow_identity, keep_surest, match_masks
from runners.passes.query_runners import build_clip_runner
from runners.passes.schedule import Answer
from runners.passes.windows import describe_setting
from runners.registry import RUNNERS
from runners.test_time import TestTime
from rvos.errors import ConfigError
from rvos.videos import Expression, Video

OVERLAP = 2


@st.composite
def answers(draw: st.DrawFn) -> list[Answer]:
    """Windows of a few queries with random masks, empty ones among them."""
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        n_queries = draw(st.integers(1, 3))
        logits = torch.randn(n_queries, 3, 2, 3, generator=random)
        logits[0] -= draw(st.sampled_from([0, 9]))
        found.append((logits, torch.rand(n_queries, 3, generator=random)))
    return found


def overlap(before: Tensor, after: Tensor) -> float:
    """Return the IoU of masks in the frames that two windows share, 0 of nothing."""
    one, other = before[-OVERLAP:] > 0, after[:OVERLAP] > 0
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def weigh(windows: Sequence[Answer], way: Sequence[int]) -> float:
    score = sum(float(scores[query].mean()) for (_, scores), query in zip(windows, way, strict=True))
    chosen = [logits[query] for (logits, _), query in zip(windows, way, strict=True)]
    return score + sum(overlap(*pair) for pair in pairwise(chosen))


@settings(deadline=None, max_examples=60)
@given(answers())
def test_the_way_has_the_highest_sum_of_scores_and_overlaps(windows: list[Answer]) -> None:
    ways = product(*(range(len(scores)) for _, scores in windows))
    found = follow_identity(windows, OVERLAP)
    assert weigh(windows, found) == pytest.approx(max(weigh(windows, way) for way in ways), abs=1e-5)


def test_empty_masks_are_no_sign_of_one_object() -> None:
    nothing, full = torch.full((1, 2, 2, 2), -1.0), torch.ones(1, 2, 2, 2)
    assert match_masks(nothing, torch.cat([nothing, full])).tolist() == [[0, 0]]
    assert match_masks(full, torch.cat([nothing, full])).tolist() == [[0, 1]]


def test_a_window_keeps_its_surest_queries_only() -> None:
    scores = torch.tensor([0.1, 0.9, 0.3, 0.2, 0.8, 0.7])[:, None]
    logits, kept = keep_surest((scores[:, :, None, None], scores))
    assert kept[:, 0].tolist() == logits.flatten().tolist() == pytest.approx([0.9, 0.8, 0.7, 0.3, 0.2])


class TwoThings:
    """Sees a thing in the left half and one in the right; the right one seems a little surer from frame 3 on."""

    def encode_video(self, frames: Tensor) -> Tensor:
        # Frame t is of the grey value 10 t: (T,)
        return frames[0, :, 0].mean((-2, -1))

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        return TextFeatures(torch.ones(1, 1, 1), attention_mask, ids.float(), ids.float())

    def choose_all(self, visual: Tensor, texts: Sequence[TextFeatures]) -> Iterator[Answer]:
        late = visual > visual.new_tensor((25 / 255 - 0.485) / 0.229)
        logits = torch.full((2, len(visual), 4, 8), -8.0)
        logits[0, ..., :4] = logits[1, ..., 4:] = 8
        scores = torch.stack([torch.full_like(visual, 0.7), torch.where(late, 0.75, 0.5)])
        # The order of the queries of a window says nothing.
        order = [1, 0] if bool(late.all()) else [0, 1]
        yield from ((logits[order], scores[order]) for _ in texts)

    def choose(self, visual: Tensor, texts: Sequence[TextFeatures]) -> Iterator[Answer]:
        for logits, scores in self.choose_all(visual, texts):
            query = int(scores.mean(1).argmax())
            yield logits[query], scores[query]


@pytest.fixture
def video(tmp_path: Path) -> Video:
    paths = [tmp_path / f"{index}.png" for index in range(6)]
    for index, path in enumerate(paths):
        Image.new("RGB", (32, 16), (10 * index,) * 3).save(path)
    return Video("v", tuple("012345"), (Expression("0", "the thing"),), tuple(paths))


@pytest.mark.parametrize(
    ("views", "n_windows"), [(None, [3]), (TestTime(steps=(1, 2)), [3, 1, 1])], ids=["one view", "steps"]
)
def test_an_object_is_kept_where_another_seems_a_little_surer(
    video: Video, views: TestTime | None, n_windows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_right, followed = {}, []

    def follow(windows: Sequence[Answer], shared: int) -> list[int]:
        followed.append(len(windows))
        return follow_identity(windows, shared)

    monkeypatch.setattr(query_runners, "follow_identity", follow)
    for join in ("mean", "identity"):
        model = ModelSettings("soc", Path("none"), window=3, overlap=1, join=join, test_time=views)  # type: ignore[arg-type]
        network, device = TwoThings(), torch.device("cpu")
        protocol = ClipProtocol(model, short_side=16)
        runner = build_clip_runner(network, network.choose, network.choose_all, SmallTokens(), device, protocol)
        (found,) = runner.segment(video, video.expressions)
        assert found.masks()[:4, :, :16].all()
        seen_right[join] = found.masks()[:, :, 16:].any((1, 2)).tolist()
    # The last window of all frames alone answers right; of every second frame there is one window only.
    assert seen_right["mean"][5] == (views is None)
    assert not any(seen_right["identity"])
    assert followed == n_windows


def test_a_network_without_queries_cannot_follow_one() -> None:
    model = ModelSettings("referformer", Path("w.pth"), window=3, overlap=1, join="identity")
    network = TwoThings()
    with pytest.raises(ConfigError, match=r"w\.pth: this network has no queries"):
        build_clip_runner(
            network, network.choose, None, SmallTokens(), torch.device("cpu"), ClipProtocol(model, short_side=8)
        )


def test_windows_that_share_nothing_cannot_be_joined_so() -> None:
    for changes in ({}, {"window": 4}):
        with pytest.raises(ConfigError, match="soc: join: identity follows objects through frames that windows share"):
            ClipProtocol(ModelSettings("soc", Path("none"), join="identity", **changes), short_side=8)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="leave centre_only out"):
        ClipProtocol(
            ModelSettings("soc", Path("none"), join="identity", window=4, overlap=1), short_side=8, centre_only=True
        )
    with pytest.raises(ConfigError, match="uninext: works frame by frame; drop window, overlap and join"):
        RUNNERS["uninext"].check(ModelSettings("uninext", Path("x"), join="identity"))
    assert describe_setting(4, 1, join="identity") == (
        "windows of at most 4 frames, neighbours share 1, one object is followed through them"
    )

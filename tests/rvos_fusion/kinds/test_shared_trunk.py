"""Detector and engine on one SAM 3: a frame goes through the trunk once in a node, and nothing else changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sam2_weights import SIZE, make_video
from transformers import Sam3ViTModel

from propagate.engines.protocol import Augmentation, TakesMaps
from propagate.engines.sam3.engine import Sam3Engine
from propagate.engines.sam3.settings import Sam3Settings
from propagate.engines.table import build_engine
from propagate.frames import Frame
from runners.detectors.base import SharesTrunk
from runners.detectors.settings import Sam3DetectorSettings
from runners.detectors.table import build_detector
from rvos_fusion.kinds.networks.boxes import load_detectors, share_trunk
from rvos_fusion.synthetic.bundled import CHECKPOINTS

CPU = torch.device("cpu")
FILE, WHOLE = CHECKPOINTS / "sam3", Augmentation(1.0, mirrored=False)
N_FRAMES = 4


def build(**options: Any) -> tuple[Any, Any]:
    detector = Sam3DetectorSettings("sam3", checkpoint=FILE, network="small-sam3", box_threshold=0.05, **options)
    return build_detector(detector, device=CPU), build_engine(Sam3Settings("small-sam3", FILE), device=CPU)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The images that went through a trunk, one entry a pass."""
    seen: list[int] = []
    plain = Sam3ViTModel.forward

    def counted(self: Sam3ViTModel, pixels: torch.Tensor, **options: Any) -> Any:
        seen.append(len(pixels))
        return plain(self, pixels, **options)

    monkeypatch.setattr(Sam3ViTModel, "forward", counted)
    return seen


def test_a_frame_is_encoded_once_for_detector_engine_and_all_phrases(tmp_path: Path, passes: list[int]) -> None:
    video = make_video(tmp_path, N_FRAMES)
    frames = [Frame(video, index, video.read_size()) for index in range(N_FRAMES)]
    alone = build(resize="bicubic")
    found = alone[0].detect(video, range(N_FRAMES), [("star",), ("red", "ball")])
    maps = [alone[1].read(frame, WHOLE).maps for frame in frames]
    assert len(passes) == 2 * N_FRAMES
    passes.clear()
    detector, engine = build(resize="bicubic")
    assert isinstance(engine, TakesMaps)
    share_trunk(detector, engine)
    together = detector.detect(video, range(N_FRAMES), [("star",), ("red", "ball")])
    shared = [engine.read(frame, WHOLE).maps for frame in frames]
    assert len(passes) == N_FRAMES
    assert [[one.masks for one in own] for own in together] == [[one.masks for one in own] for own in found]
    for one, other in zip(maps, shared, strict=True):
        assert all(map(torch.equal, (*one.fine, one.coarse), (*other.fine, other.coarse)))


def test_a_node_that_loads_both_lets_them_share() -> None:
    settings = Sam3DetectorSettings("sam3", checkpoint=FILE, network="small-sam3", resize="bicubic")
    task: Any = SimpleNamespace(device="cpu", place=None)
    (detector,), engine = load_detectors([settings], Sam3Settings("small-sam3", FILE), task)
    assert isinstance(detector, SharesTrunk)
    assert isinstance(engine, Sam3Engine)
    assert engine.tracker.trunk is detector.share_trunk(engine.keep_map)


def test_another_resize_or_file_is_not_shared(tmp_path: Path, passes: list[int]) -> None:
    video = make_video(tmp_path, 1)
    detector, engine = build(resize="bilinear")
    trunk = engine.tracker.trunk
    share_trunk(detector, engine)
    assert engine.tracker.trunk is trunk
    detector.detect(video, (0,), [("star",)])
    engine.read(Frame(video, 0, video.read_size()), WHOLE)
    assert len(passes) == 2


def test_nodes_share_nothing(tmp_path: Path) -> None:
    (first, engine), (second, other) = build(resize="bicubic"), build(resize="bicubic")
    share_trunk(first, engine)
    share_trunk(second, other)
    assert engine.tracker.trunk is not other.tracker.trunk
    first.detect(make_video(tmp_path, 1), (0,), [("star",)])
    assert (engine.features.n_made, other.features.n_made) == (1, 0)


def test_nothing_but_torch_and_transformers_is_needed(tmp_path: Path) -> None:
    video = make_video(tmp_path, 2)
    code = f"""
import sys
from pathlib import Path
sys.modules |= dict.fromkeys(("torchvision", "triton", "timm", "kernels"))  # importing them raises
import torch
from propagate.engines.sam3.settings import Sam3Settings
from propagate.engines.table import build_engine
from propagate.frames import Frame
from runners.detectors.settings import Sam3DetectorSettings
from runners.detectors.table import build_detector
from rvos.videos import Video
video = Video("v", {video.frames!r}, (), tuple(map(Path, {[str(path) for path in video.image_paths]!r})))
file, device = Path({str(FILE)!r}), torch.device("cpu")
settings = Sam3DetectorSettings("sam3", checkpoint=file, network="small-sam3", box_threshold=0.0, small_parts=4)
found = build_detector(settings, device=device).detect(video, (0,), [("star",)])
engine = build_engine(Sam3Settings("small-sam3", file), device=device)
session = engine.open()
for index in range(2):
    features = [engine.read(Frame(video, index, video.read_size()), one) for one in engine.augmentations]
    step = session.step(features) if index else session.start(features, boxes=torch.tensor([[2.0, 2, 30, 30]]))
    session.commit(step.masks)
print(len(found[0][0].boxes.labels) > 0, tuple(step.masks.shape))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == f"True (1, {SIZE[0]}, {SIZE[1]})", done.stderr

"""The networks that the roofline measures: one whole pass of each with random weights, and its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import deaot_toolkit
import sam3_toolkit.detector
import sam3_toolkit.memory
import sam3_toolkit.tracker
import torch
from sam3_toolkit.configs import NetworkConfig
from torch import nn

from propagate.engines.cfbi.configs import find_config as find_cfbi
from propagate.engines.cfbi.memory import CfbiMemory, MatchingRules
from propagate.engines.cfbi.network import Cfbi
from propagate.engines.sam2.memory import N_MAPS, N_POINTERS, Recalled
from propagate.engines.sam2.network import Sam2Network
from propagate.engines.sam2.sizes import find_config
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from runners.networks.uninext.config import RELEASED, UninextConfig
from runners.networks.uninext.network import Uninext, pad_frames

_FRAME = (480, 854)
CLIP_FRAMES, CLIP_SIZE = 5, (360, 640)
_WORDS = 12
_SAM3_SIDE = 336
"""A third of the official side: a frame takes a ninth of the time."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One whole pass: of an engine a frame of one object, of the others a frame or clip and one expression.

    Args:
        call: makes it.
        parts: modules, none inside of another; what the pass does outside of them is the rest.
    """

    call: Callable[[], object]
    parts: Mapping[str, nn.Module]


def build_engine(name: str) -> Pass:
    """Return a frame of AOT or DeAOT: read, propagated from one remembered frame, decoded and remembered."""
    network = deaot_toolkit.build(name).requires_grad_(False)
    size = deaot_toolkit.network_size(_FRAME, align_corners=network.config.align_corners)
    image = torch.randn(1, 3, *size)
    labels = torch.zeros(1, *size, dtype=torch.int64)
    labels[:, size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
    engine = deaot_toolkit.Engine(network, max_memory_frames=1)
    engine.reference(network.encode(image), labels, n_objects=1)

    def step() -> None:
        engine.propagate(network.encode(image))
        engine.remember(labels)

    bank = network.patch_wise_id_bank
    parts = {"encoder": network.encoder, "attention": network.LSTT, "decoder": network.decoder, "identities": bank}
    return Pass(step, parts)


def build_cfbi(name: str) -> Pass:
    """Return a frame of CFBI or CFBI+: read, and propagated from one reference that is the frame before too.

    The matching is the rest.
    """
    network = Cfbi(find_cfbi(name)).eval().requires_grad_(False)
    size = deaot_toolkit.network_size(_FRAME, align_corners=True)
    image = torch.randn(1, 3, *size)
    labels = torch.zeros(1, *size, dtype=torch.int64)
    labels[:, size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
    memory = CfbiMemory(network, MatchingRules())
    memory.refer(network.encode(image), labels, n_objects=1)
    parts = {"image": network.feature_extracter, "embedding": network.embedding, "ensembler": network.dynamic_seghead}
    return Pass(lambda: memory.propagate(network.encode(image)), parts)


def build_sam2(name: str) -> Pass:
    """Return a frame of SAM 2 with as full a memory as it reads, remembered."""
    network = Sam2Network(find_config(name))
    network.model.requires_grad_(False)
    image = torch.randn(1, 3, network.side, network.side)
    mask = torch.zeros(1, 1, network.side, network.side)
    mask[..., network.side // 4 : network.side // 2, network.side // 4 : network.side // 2] = 1
    maps = network.encode(image)
    seen = network.remember(maps, network.given_mask(maps, mask), is_prompt=True)
    distances = range(N_MAPS, 0, -1)
    recalled = Recalled(
        ((0, seen.memory), *((distance, seen.memory) for distance in distances)),
        tuple((distance, seen.pointer) for distance in range(N_POINTERS + 1, 0, -1)),
    )

    def step() -> None:
        maps = network.encode(image)
        network.remember(maps, network.track(maps, recalled, 2 * N_POINTERS), is_prompt=False)

    model = network.model
    parts = {
        "encoder": model.vision_encoder,
        "attention": model.memory_attention,
        "masks": model.mask_decoder,
        "memory": model.memory_encoder,
    }
    return Pass(step, parts)


def build_sam3_tracker(side: int = _SAM3_SIDE) -> Pass:
    """Return a frame of SAM 3's tracker with as full a memory as it reads, remembered; the neck is the rest."""
    tracker = sam3_toolkit.tracker.Tracker(NetworkConfig(), side).requires_grad_(False)
    image, mask = torch.randn(1, 3, tracker.side, tracker.side), torch.zeros(_FRAME)
    mask[_FRAME[0] // 4 : _FRAME[0] // 2, _FRAME[1] // 4 : _FRAME[1] // 2] = 1
    maps = tracker.encode(image)
    seen = tracker.remember(maps, tracker.given_mask(maps, mask), is_prompt=True)
    places = range(sam3_toolkit.memory.N_MAPS, -1, -1)
    recalled = sam3_toolkit.memory.Recalled(
        tuple((place, 0, seen.memory) for place in places),
        tuple((place, 0, seen.pointer) for place in range(1, sam3_toolkit.memory.MOST_PLACES)),
    )

    def step() -> None:
        maps = tracker.encode(image)
        tracker.remember(maps, tracker.track(maps, recalled, 2 * sam3_toolkit.memory.MOST_PLACES), is_prompt=False)

    parts = {
        "encoder": tracker.trunk,
        "attention": tracker.model.memory_attention,
        "masks": tracker.model.mask_decoder,
        "memory": tracker.model.memory_encoder,
    }
    return Pass(step, parts)


def build_sam3_detector() -> Pass:
    """Return a frame and a phrase of SAM 3's detector, with the masks of ten instances; the neck is the rest."""
    detector = sam3_toolkit.detector.Detector(NetworkConfig(), _SAM3_SIDE).requires_grad_(False)
    image, tokens = torch.randn(1, 3, detector.side, detector.side), torch.zeros(1, 32, dtype=torch.int64)
    tokens[0, :_WORDS] = torch.arange(1, 1 + _WORDS)
    concept = detector.read(tokens)

    def step() -> None:
        maps = detector.encode(image)
        detector.draw(maps, detector.find(maps, concept), torch.arange(10))

    model = detector.model
    parts = {
        "encoder": model.vision_encoder.backbone,
        "fusion": model.detr_encoder,
        "decoder": model.detr_decoder,
        "masks": model.mask_decoder,
    }
    return Pass(step, parts)


def build_soc() -> Pass:
    """Return a clip and an expression of SOC."""
    network = SOC(SOCConfig()).eval().requires_grad_(False)
    parts = {**_clip_parts(network), "clusters": network.voc, "mask features": network.spatial_decoder}
    return Pass(clip_pass(network), parts)


def build_referformer(make: Callable[[], ReferFormer]) -> Pass:
    """Return a clip and an expression of ReferFormer or MUTR; the pyramid and the masks are the rest."""
    network = make().eval().requires_grad_(False)
    return Pass(clip_pass(network), {**_clip_parts(network), "words": network.fusion_module})


def build_uninext(backbone: str) -> Pass:
    """Return a frame and an expression of UNINEXT."""
    network = Uninext(UninextConfig(backbone=RELEASED[backbone])).eval().requires_grad_(False)
    frame = pad_frames(torch.randn(1, 3, *_FRAME), network.config.backbone.multiple)
    ids = torch.randint(0, network.config.text.vocabulary, (1, _WORDS))
    sizes = torch.tensor([_FRAME])

    def call() -> None:
        network.segment(network.look(frame, sizes), network.read(ids, torch.ones_like(ids)))

    detector = network.detr.detr
    parts = {
        "backbone": detector.backbone[0],
        "text": network.text_encoder,
        "encoder": detector.transformer.encoder,
        "decoder": detector.transformer.decoder,
        "mask features": network.detr.mask_head,
    }
    return Pass(call, parts)


def clip_pass(
    network: SOC | ReferFormer, *, n_frames: int = CLIP_FRAMES, device: torch.device | None = None
) -> Callable[[], object]:
    """Return what passes a clip of random frames of `CLIP_SIZE` and an expression through a network on a device."""
    frames = torch.randn(1, n_frames, 3, *CLIP_SIZE, device=device)
    ids = torch.randint(4, network.config.text.vocab_size, (1, _WORDS), device=device)
    mask = torch.ones_like(ids)
    if isinstance(network, SOC):
        return lambda: network.segment(network.encode_video(frames), network.encode_text(ids, mask))
    return lambda: network.segment(network.encode_video(frames), network.encode_text(ids, mask))


def _clip_parts(network: SOC | ReferFormer) -> dict[str, nn.Module]:
    return {
        "backbone": network.backbone[0],
        "text": network.text_encoder,
        "encoder": network.transformer.encoder,
        "decoder": network.transformer.decoder,
    }


NETWORKS: Mapping[str, Callable[[], Pass]] = {
    **{name: partial(build_engine, name) for name in ("r50-aotl", "r50-deaotl", "swinl-aotl", "swinl-deaotl")},
    **{name: partial(build_cfbi, name) for name in ("cfbi", "cfbi+")},
    "soc": build_soc,
    "referformer": partial(build_referformer, lambda: ReferFormer(ReferFormerConfig())),
    "mutr": partial(build_referformer, lambda: Mutr(MutrConfig())),
    "uninext-r50": partial(build_uninext, "resnet50"),
    "uninext-convnext-l": partial(build_uninext, "convnext_large"),
    "sam2.1-hiera-tiny": partial(build_sam2, "sam2.1-hiera-tiny"),
    "sam2.1-hiera-large": partial(build_sam2, "sam2.1-hiera-large"),
    "sam3-tracker": build_sam3_tracker,
    "sam3-detector": build_sam3_detector,
}
"""By name, each with its builder."""

"""Training of a small SAM 3 on clips: every frame is asked phrases, every clip's objects are carried through it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sam3_toolkit.checkpoints import list_entries
from sam3_toolkit.configs import NetworkConfig, find_config
from sam3_toolkit.detector import Detector
from sam3_toolkit.images import enlarge, prepare_frame, shrink
from sam3_toolkit.phrases import Phrases
from sam3_toolkit.session import TrackedObject, TrackerFrame
from sam3_toolkit.tracker import ImageMaps
from sam3_toolkit.vision import build_pyramid, encode_image
from torch import Tensor, nn

from rvos.settings import Chance, Count, Side
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.data.batches import Batch
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.sampling import walk
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder, objects_seen
from rvos_fusion.training.members.uninext.questions import (
    NounQuestions,
    Question,
    draw_nouns,
    gather_objects,
    nouns_of,
    sentences_of,
)
from rvos_fusion.training.sam3.detection import answer, teach
from rvos_fusion.training.sam3.tracking import TaughtTracker, carry

_SURE = 0.5


@dataclass(frozen=True, slots=True)
class Sam3Data:
    """Clips of labelled videos.

    Args:
        frames: of a clip, `most_gap` apart at most.
        phrases: asked of each frame; `nouns.share` of them are nouns, the others sentences of the video.
        objects: of a clip that are carried.
        boxes: share of the objects that start from their box.
        least: pixels of an object from which on it is one.
    """

    folder: VideoFolder
    frames: Count = 4
    most_gap: Count = 2
    phrases: Count = 4
    objects: Count = 1
    boxes: Chance = 0.25
    least: int = 20
    nouns: NounQuestions = field(default_factory=NounQuestions)


@dataclass(frozen=True, slots=True)
class Sam3Validation:
    """Videos to validate on; of each every noun is asked in `frames` frames, `objects` objects are carried."""

    folder: VideoFolder
    frames: Count = 2
    objects: Count = 1


@dataclass(frozen=True, slots=True)
class Sam3Size:
    """A network of the toolkit.

    Args:
        side: of its input, pixels.
        vocabulary: folder with its `vocab.json` and `merges.txt`.
    """

    name: str
    side: Side
    vocabulary: Path


@dataclass(frozen=True, slots=True, eq=False)
class Sam3Batch(Batch):
    """C clips of T frames with P phrases each.

    Args:
        frames: `(C, T, 3, side, side)`.
        tokens: `(C * T * P, 32)`, phrases of one frame next to each other.
        masks, boxes, is_there: what they mean, `(C * T * P, K, 4f, 4f)`, `(.., K, 4)` and `(.., K)`.
        carried: masks of the carried objects, `(C, T, H, W)` for each.
        by_box: which of them start from a box.
        lengths: frames of the clips' videos.
    """

    frames: Tensor
    tokens: Tensor
    masks: Tensor
    boxes: Tensor
    is_there: Tensor
    carried: tuple[tuple[Tensor, ...], ...]
    by_box: tuple[tuple[bool, ...], ...]
    lengths: tuple[int, ...]


class Sam3Network(nn.Module):
    """Detector and tracker on one trunk."""

    def __init__(self, config: NetworkConfig, side: int) -> None:
        super().__init__()
        self.detector, self.tracker = Detector(config, side), TaughtTracker(config, side)
        self.tracker.trunk = self.detector.model.vision_encoder.backbone
        self._reset(config.queries)

    @torch.no_grad()
    def _reset(self, n_queries: int) -> None:
        """Start as small networks learn: the library's deviation of 0.02 lets positions drown what a map says."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.reset_parameters()
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.5)
        decoder = self.detector.model.detr_decoder
        # Queries begin spread over the frame and as they are, objects as present, memories with a say.
        columns = math.ceil(n_queries**0.5)
        numbers = torch.arange(n_queries)
        centres = torch.stack([numbers % columns, numbers // columns], 1) + 0.5
        places = centres / torch.tensor([columns, math.ceil(n_queries / columns)])
        decoder.reference_points.weight.copy_(torch.cat([places, torch.full_like(places, 0.25)], 1).logit())
        decoder.box_head.layer3.weight.zero_()
        self.tracker.model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(3.0)
        for layer in self.tracker.model.memory_encoder.memory_fuser.layers:
            layer.scale.fill_(0.1)

    def train(self, mode: bool = True) -> Sam3Network:
        """Stay as in use: the library's dropout is for networks a thousand times as large."""
        return super().train(False)


class Sam3Task:
    """Task of the training; a sample is a clip of a video."""

    score = "J"

    def __init__(self, size: Sam3Size, data: Sam3Data, validation: Sam3Validation | None) -> None:
        config = find_config(size.name)
        self._sam3 = Sam3Network(config, size.side)
        self.network: nn.Module = self._sam3
        self._side, self._data, self._validation = size.side, data, validation
        self._phrases = Phrases.from_folder(size.vocabulary, size=config.vocabulary)
        self._videos = open_videos(data.folder)
        self._judged = open_videos(validation.folder) if validation else []
        self.n_samples = len(self._videos)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def batch(self, indices: list[int], seeds: list[int]) -> Sam3Batch:
        """Return clips; sample i draws from `seeds[i]` alone."""
        pictures, asked, labels, carried, by_box, lengths = [], [], [], [], [], []
        for index, seed in zip(indices, seeds, strict=True):
            random, video = np.random.default_rng(seed), self._videos[index]
            start = int(random.integers(video.n_frames))
            frames = walk(video.n_frames, start, self._data.frames, random, most=self._data.most_gap)
            own = video.labels(frames)
            pictures.append(torch.cat([prepare_frame(frame, self._side) for frame in video.frames(frames)]))
            asked += [self._ask(video, label, random) for label in own]
            labels += list(own)
            names = random.permutation(objects_seen(own[0], least=self._data.least)).tolist()[: self._data.objects]
            carried.append(tuple(torch.from_numpy(own == name) for name in names))
            by_box.append(tuple(bool(random.random() < self._data.boxes) for _ in names))
            lengths.append(video.n_frames)
        objects = gather_objects(labels, asked, (labels[0].shape[0], labels[0].shape[1]))
        side = 4 * self._sam3.detector.cells
        masks = shrink(objects.masks.float().flatten(0, 1)[:, None], side).reshape(*objects.masks.shape[:2], side, side)
        tokens = torch.cat([self._phrases.encode(one.text) for own in asked for one in own])
        return Sam3Batch(
            torch.stack(pictures), tokens, masks, objects.boxes, objects.visible,
            tuple(carried), tuple(by_box), tuple(lengths),
        )  # fmt: skip

    def _ask(self, video: LabelledVideo, label: np.ndarray, random: np.random.Generator) -> list[Question]:
        seen, count = objects_seen(label, least=self._data.least), self._data.phrases
        n_nouns = int(random.binomial(count, self._data.nouns.share))
        nouns = draw_nouns(video, seen, self._data.nouns, count, random=random)
        texts = sentences_of(video, seen, negatives=True)
        sentences = [texts[place] for place in random.permutation(len(texts))[: count - n_nouns]]
        return (sentences + nouns)[:count]

    def losses(self, batch: Sam3Batch, progress: float) -> Mapping[str, Tensor]:
        """Return the losses of detector and tracker, and their `total`."""
        detector, tracker = self._sam3.detector, self._sam3.tracker
        n_clips, length = batch.frames.shape[:2]
        spread = encode_image(tracker.trunk, batch.frames.flatten(0, 1))
        levels = build_pyramid(detector.model.vision_encoder.neck, spread)
        owners = torch.arange(n_clips * length, device=spread.device).repeat_interleave(self._data.phrases)
        found = teach(answer(detector, levels, batch.tokens, owners), batch.masks, batch.boxes, batch.is_there)
        maps = tracker.project(spread)
        rows = [
            carry(tracker, _frames(maps, clip, length, batch.lengths[clip], mask), mask, by_box=boxed)
            for clip in range(n_clips)
            for mask, boxed in zip(batch.carried[clip], batch.by_box[clip], strict=True)
        ]
        if rows:
            found |= {name: torch.stack([row[name] for row in rows]).mean() for name in rows[0]}
        return {**found, "total": torch.stack(list(found.values())).sum()}

    @torch.inference_mode()
    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return how well nouns' masks and carried masks overlap the true ones, and presence is told; 0 to 100."""
        assert self._validation is not None
        drawn: list[float] = []
        told: list[float] = []
        carried: list[float] = []
        for video in self._judged:
            frames = np.linspace(0, video.n_frames - 1, self._validation.frames).round().astype(int).tolist()
            for frame in frames:
                self._judge_nouns(video, frame, drawn, told)
            carried += self._judge_carried(video)
        detected, kept = 100 * float(np.mean(drawn)), 100 * float(np.mean(carried))
        presence = 100 * float(np.mean(told))
        return {"J": (detected + kept) / 2, "J nouns": detected, "J carried": kept, "presence": presence}

    def _judge_nouns(self, video: LabelledVideo, frame: int, drawn: list[float], told: list[float]) -> None:
        detector, label = self._sam3.detector, video.labels([frame])[0]
        image = prepare_frame(video.frames([frame])[0], self._side).to(self._device)
        maps = detector.encode(image)
        for question in nouns_of(video, objects_seen(label, least=self._data.least), self._data.nouns):
            found = detector.find(maps, detector.read(self._phrases.encode(question.text).to(self._device)))
            told.append(float((float(found.presence) > 0) == bool(question.objects)))
            if question.objects:
                chosen = torch.nonzero(found.scores > _SURE)[:, 0]
                masks = enlarge(detector.draw(maps, found, chosen)[0][:, None], label.shape)[:, 0] > 0
                drawn.append(_overlap(masks.any(0).cpu().numpy(), np.isin(label, question.objects)))

    def _judge_carried(self, video: LabelledVideo) -> list[float]:
        assert self._validation is not None
        tracker, labels = self._sam3.tracker, video.labels(range(video.n_frames))
        scores = []
        for name in objects_seen(labels[0], least=self._data.least)[: self._validation.objects]:
            truth = labels == name
            images = [prepare_frame(frame, self._side) for frame in video.frames(range(video.n_frames))]
            maps = tracker.encode(torch.cat(images).to(self._device))
            frames = _frames(maps, 0, video.n_frames, video.n_frames, torch.from_numpy(truth))
            walker = TrackedObject(tracker)
            walker.start_from_mask(frames[0], torch.from_numpy(truth[0]).to(self._device))
            for frame, mask in zip(frames[1:], truth[1:], strict=True):
                decided = enlarge(walker.step(frame).logits, frame.size)[0, 0] > 0
                walker.commit(decided)
                scores.append(_overlap(decided.cpu().numpy(), mask))
        return scores

    def export(self, path: Path) -> None:
        """Write both parts under the names of the hub's folder, in half precision."""
        state = list_entries(self._sam3.detector) | list_entries(self._sam3.tracker)
        save_file({name: value.detach().half().contiguous() for name, value in sorted(state.items())}, path)


def _frames(maps: ImageMaps, clip: int, length: int, n_frames: int, mask: Tensor) -> list[TrackerFrame]:
    """Return the frames of a clip as the tracker's sessions see them."""
    return [
        TrackerFrame(
            ImageMaps((maps.fine[0][row : row + 1], maps.fine[1][row : row + 1]), maps.coarse[row : row + 1]),
            row - clip * length,
            max(n_frames, length),
            (mask.shape[-2], mask.shape[-1]),
        )
        for row in range(clip * length, (clip + 1) * length)
    ]


def _overlap(found: np.ndarray, truth: np.ndarray) -> float:
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0


@dataclass(frozen=True, slots=True)
class _Settings:
    network: Sam3Size
    data: Sam3Data
    validation: Sam3Validation | None = None


def build(config: TrainingConfig) -> Sam3Task:
    """Return the task; ConfigError: settings that do not fit."""
    settings = config.read(_Settings)
    return Sam3Task(settings.network, settings.data, settings.validation)

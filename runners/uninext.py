"""UNINEXT as a member: frames one by one and independently, all expressions of a video on one visual pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from runners.base import ModelSettings
from runners.checkpoints import CheckpointFile, read_checkpoint, read_network_config
from runners.configs import config_from
from runners.networks.tokenizers import SmallTokens, Tokens
from runners.networks.uninext.config import FEATURE_STRIDE, MEAN, N_LEVELS, RELEASED, STD, TextSizes, UninextConfig
from runners.networks.uninext.language import Text, WordPieces, clean_expression
from runners.networks.uninext.loading import load_network, recognise_backbone
from runners.networks.uninext.masks import OUTPUT_STRIDE, full_size_logits
from runners.networks.uninext.network import Selection, Uninext, pad_frames
from runners.networks.uninext.visual import Visual
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.mask_sequences import MaskSequence, SoftMaps, encode
from rvos.videos import Expression, Video

NAME = "uninext"
_THRESHOLD = 0.5
_TOKENS_AT_ONCE = 36_000
_PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def test_size(size: tuple[int, int], short_side: int, long_side: int) -> tuple[int, int]:
    """Return the height and width that a frame of `size` is resized to, pixels.

    The short side becomes `short_side`, unless the long one would then pass `long_side`.

    Source: uninext, section 2.
    """
    scale = short_side / min(size)
    height, width = (short_side, scale * size[1]) if size[0] < size[1] else (scale * size[0], short_side)
    if max(height, width) > long_side:
        shrink = long_side / max(height, width)
        height, width = height * shrink, width * shrink
    return int(height + 0.5), int(width + 0.5)


def resize_frame(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an RGB frame `(H, W, 3)` at `size` (H, W), by Pillow's bilinear filter on 8-bit values."""
    if frame.shape[:2] == size:
        return frame
    return np.asarray(Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def normalise(frames: NDArray[np.uint8]) -> Tensor:
    """Return the network input `(T, 3, H, W)` float32 of RGB frames `(T, H, W, 3)`."""
    values = torch.from_numpy(frames.astype(np.float32))
    return ((values - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


def finish(logits: Tensor, size: tuple[int, int], original: tuple[int, int]) -> Tensor:
    """Return mask probabilities at the original frame size, float32 `(N, H, W)`.

    Args:
        logits: `(N, h, w)` at stride 4 of the padded frames.
        size: of the resized frames before padding.
        original: of the frames as read; reached by nearest neighbour, as officially.

    Source: uninext, section 10, step 6.
    """
    probabilities = full_size_logits(logits[:, None].float(), size).sigmoid()
    return F.interpolate(probabilities, size=original, mode="nearest")[:, 0]


def quantise(logits: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return quantised logits `(N, h, w)` of the unpadded frames at a quarter of their `size`."""
    quarter = (-(-size[0] // OUTPUT_STRIDE), -(-size[1] // OUTPUT_STRIDE))
    cropped = full_size_logits(logits[:, None].float(), size)
    soft = F.interpolate(cropped, size=quarter, mode="bilinear", align_corners=False)[:, 0]
    return SoftMaps.quantise(soft.cpu().numpy()).values


@dataclass(slots=True)
class _Track:
    """Results of one expression, frame by frame."""

    runs: list[bytes] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    soft: list[NDArray[np.uint8]] = field(default_factory=list)

    def to_sequence(self, video: Video, expression: Expression, size: tuple[int, int]) -> MaskSequence:
        soft = SoftMaps(np.stack(self.soft), -8.0, 8.0) if self.soft else None
        scores = np.asarray(self.scores, dtype=np.float32)
        return MaskSequence(video.id, expression.id, video.frames, size, tuple(self.runs), scores, soft=soft)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Neighbouring frames of one video, resized and normalised: `(T, 3, h, w)` without padding."""

    images: Tensor
    size: tuple[int, int]
    original: tuple[int, int]


class UninextRunner:
    """A loaded UNINEXT.

    Args:
        tokens: tokeniser that belongs to the network.
        precision: of the network's arithmetic.
        keep_soft: keep quantised logits.
        tokens_at_once: image tokens that run through encoder and decoder together; bounds the memory.
    """

    def __init__(
        self,
        network: Uninext,
        tokens: Tokens,
        device: torch.device,
        *,
        precision: torch.dtype = torch.float32,
        keep_soft: bool = True,
        tokens_at_once: int = _TOKENS_AT_ONCE,
    ) -> None:
        self.network = network.to(device).eval()
        self.tokens = tokens
        self.device = device
        self.precision = precision
        self.keep_soft = keep_soft
        self.tokens_at_once = tokens_at_once

    def segment(self, video: Video, expressions: Sequence[Expression]) -> Iterator[MaskSequence]:
        """Yield one mask sequence for each expression, in their order.

        Raises:
            InputError: an unreadable frame, frames of several sizes, or an expression without a word.
        """
        if not expressions:
            return
        if not video.frames:
            raise InputError(f"{video.id}: no frames; drop the video or restore its frame list")
        original = video.read_size()
        tracks = self._track(video, expressions, original)
        for expression, track in zip(expressions, tracks, strict=True):
            yield track.to_sequence(video, expression, original)

    @torch.inference_mode()
    def _track(self, video: Video, expressions: Sequence[Expression], original: tuple[int, int]) -> list[_Track]:
        text = self._read(video, expressions)
        tracks = [_Track() for _ in expressions]
        for batch in self._batches(video, original):
            self._segment_batch(batch, text, tracks)
        return tracks

    def _read(self, video: Video, expressions: Sequence[Expression]) -> Text:
        """Return the encoded expressions, once for the whole video."""
        cleaned = [clean_expression(expression.text) for expression in expressions]
        for expression, words in zip(expressions, cleaned, strict=True):
            if not words.strip():
                raise InputError(
                    f"{video.id}/{expression.id}: expression {expression.text!r} has no words; mend or drop it"
                )
        ids, mask = self.tokens.encode(cleaned)
        return self.network.read(ids.to(self.device), mask.to(self.device))

    def _batches(self, video: Video, original: tuple[int, int]) -> Iterator[_Batch]:
        """Yield neighbouring frames, as many at once as the token limit allows."""
        config = self.network.config
        size = test_size(original, config.short_side, config.long_side)
        step = max(1, self.tokens_at_once // count_tokens(size, config.backbone.multiple))
        for start in range(0, video.n_frames, step):
            indices = range(start, min(start + step, video.n_frames))
            frames = [resize_frame(_read_frame(video, index, original), size) for index in indices]
            yield _Batch(normalise(np.stack(frames)), size, original)

    def _segment_batch(self, batch: _Batch, text: Text, tracks: list[_Track]) -> None:
        """Add the results of every expression in every frame of `batch` to the tracks."""
        n_frames = batch.images.shape[0]
        with self._arithmetic():
            visual = self._look(batch)
        step = max(1, self.tokens_at_once // visual.tokens.shape[1])
        pairs = torch.arange(n_frames * len(tracks), device=self.device)
        for chunk in torch.split(pairs, step):
            expression = chunk // n_frames
            with self._arithmetic():
                selection = self.network.segment(visual.select(chunk % n_frames), text.select(expression))
            self._store(selection, batch, [tracks[index] for index in expression.tolist()])

    def _look(self, batch: _Batch) -> Visual:
        images = pad_frames(batch.images.to(self.device), self.network.config.backbone.multiple)
        sizes = torch.tensor([batch.size], device=self.device).expand(images.shape[0], -1)
        return self.network.look(images, sizes)

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.precision, enabled=self.precision != torch.float32)

    def _store(self, selection: Selection, batch: _Batch, tracks: list[_Track]) -> None:
        """Threshold, encode and keep one frame of each of `tracks`."""
        scores = selection.scores.float().cpu()
        if not scores.isfinite().all():
            raise CheckpointError("uninext: scores are not finite; use precision float32, or check the checkpoint")
        masks = (finish(selection.logits, batch.size, batch.original) > _THRESHOLD).cpu().numpy()
        soft = quantise(selection.logits, batch.size) if self.keep_soft else None
        for index, (track, run) in enumerate(zip(tracks, encode(masks), strict=True)):
            track.runs.append(run)
            track.scores.append(float(scores[index]))
            if soft is not None:
                track.soft.append(soft[index])


def _read_frame(video: Video, index: int, original: tuple[int, int]) -> NDArray[np.uint8]:
    """Return frame `index`; all frames of a video have one size."""
    frame = video.read_frame(index)
    if frame.shape[:2] != original:
        raise InputError(
            f"{video.id}/{video.frames[index]}: frame is {frame.shape[0]}x{frame.shape[1]} but the first is "
            f"{original[0]}x{original[1]}; give frames of one size"
        )
    return frame


def count_tokens(size: tuple[int, int], multiple: int) -> int:
    """Return how many tokens the four levels of a frame of `size` (H, W) have after padding, rounded up."""
    height, width = (-(-side // multiple) * multiple for side in size)
    strides = [FEATURE_STRIDE * 2**level for level in range(N_LEVELS)]
    return sum(-(-height // stride) * -(-width // stride) for stride in strides)


def build(settings: ModelSettings, *, device: torch.device) -> UninextRunner:
    """Return the runner of a released `.pth` or `.pkl`, or of our own safetensors.

    Raises:
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
        ConfigError: settings that this network does not have, or an unusable tokeniser folder.
    """
    tokens_at_once = _check(settings)
    file = read_checkpoint(settings.checkpoint)
    config = _config(settings, file)
    tokens = _tokens(settings, config)
    network = Uninext(config)
    load_network(network, config, file)
    if settings.compile:
        network.detr.detr.backbone[0].compile()
    return UninextRunner(
        network,
        tokens,
        device,
        precision=_PRECISIONS[settings.precision],
        keep_soft=settings.keep_soft,
        tokens_at_once=tokens_at_once,
    )


def _check(settings: ModelSettings) -> int:
    """Return the token limit of `settings`, having refused what this network does not have."""
    if settings.window is not None or settings.overlap:
        raise ConfigError("uninext: works frame by frame; drop window and overlap")
    unknown = sorted(set(settings.options) - {"tokens_at_once"})
    if unknown:
        raise ConfigError(f"uninext: unknown options {', '.join(unknown)}; known: tokens_at_once")
    limit = settings.options.get("tokens_at_once", _TOKENS_AT_ONCE)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigError(f"uninext: tokens_at_once is {limit!r}; give a whole number of at least 1")
    if settings.precision not in _PRECISIONS:
        raise ConfigError(f"uninext: precision {settings.precision!r}; choose one of {', '.join(_PRECISIONS)}")
    return limit


def _config(settings: ModelSettings, file: CheckpointFile) -> UninextConfig:
    """Return the network's sizes: from the file where it states them, else by the backbone's name."""
    stated = read_network_config(file)
    if stated is not None:
        name, values = stated
        if name != NAME:
            raise CheckpointError(f"{file.path}: holds a {name} network; set runner: {name}, or give another file")
        return config_from(UninextConfig, values)
    backbone = settings.backbone or recognise_backbone(file.state)
    if backbone not in RELEASED:
        raise ConfigError(f"uninext: backbone {backbone!r} is unknown; choose one of {', '.join(RELEASED)}")
    return UninextConfig(backbone=RELEASED[backbone])


def _tokens(settings: ModelSettings, config: UninextConfig) -> Tokens:
    """Return the tokeniser that fits the network's vocabulary."""
    known = config.text.vocabulary
    if settings.tokenizer is not None:
        pieces = WordPieces.from_folder(settings.tokenizer, max_tokens=config.text.max_tokens)
        if pieces.vocabulary_size != known:
            raise ConfigError(
                f"{settings.tokenizer}: {pieces.vocabulary_size} word pieces, the network knows {known}; "
                "give the tokeniser that it was trained with"
            )
        return pieces
    if known == TextSizes().vocabulary:
        raise ConfigError("uninext: no tokenizer; set it to a folder with the vocab.txt of bert-base-uncased")
    return SmallTokens(max_tokens=config.text.max_tokens)

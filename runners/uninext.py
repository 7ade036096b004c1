"""UNINEXT as a member: frames one by one and independently, all expressions of a video on one visual pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runners.base import ModelSettings, Precision
from runners.checkpoints.loading import CheckpointFile, build_network, read_checkpoint, read_stated_config
from runners.checkpoints.resources import arithmetic, memory_advice
from runners.networks.text.tokenizers import SmallTokens, Tokens
from runners.networks.uninext.association import follow
from runners.networks.uninext.config import RELEASED, TextSizes, UninextConfig
from runners.networks.uninext.language import Text, WordPieces, clean_expression
from runners.networks.uninext.loading import load_network, recognise_backbone
from runners.networks.uninext.network import Selection, Uninext, pad_frames
from runners.networks.uninext.visual import Visual
from runners.passes.options import CPU_TOKENS_AT_ONCE, TOKENS_AT_ONCE, UninextOptions
from runners.uninext_frames import SOFT_RANGE, count_tokens, finish, input_size, keep_logits, normalise, resize_frame
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, SoftMaps, decode, encode
from rvos.settings import load
from rvos.videos import Expression, Video

NAME = "uninext"
_THRESHOLD = 0.5
_LINKED_CANDIDATES = 5
SEVERAL_CANDIDATES = 20
"""The best queries of a frame, where several may be meant; more than there are instances."""
_RELEASED_ASSOCIATION = 2


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The best queries of one expression in one frame, best first.

    Args:
        runs: mask of each at the original frame size.
        scores: `(P,)`.
        soft: `(P, h, w)` logits as they are kept, or None.
        embeddings: `(P, E)`, or None.
    """

    runs: tuple[bytes, ...]
    scores: NDArray[np.float32]
    soft: NDArray[np.uint8] | NDArray[np.float16] | None
    embeddings: NDArray[np.float32] | None


Track = list[Candidates]


def _to_sequence(
    video: Video, expression: Expression, size: tuple[int, int], track: Sequence[Candidates]
) -> MaskSequence:
    """Return the sequence of the candidates that were chosen: each frame's best, or the linked ones."""
    embeddings = [frame.embeddings for frame in track if frame.embeddings is not None]
    scores = np.stack([frame.scores for frame in track])
    chosen = follow(scores, np.stack(embeddings)) if embeddings else np.zeros(len(track), dtype=np.intp)
    maps = [frame.soft[index] for frame, index in zip(track, chosen, strict=True) if frame.soft is not None]
    return MaskSequence(
        video.id,
        expression.id,
        video.frames,
        size,
        tuple(frame.runs[index] for frame, index in zip(track, chosen, strict=True)),
        np.ascontiguousarray(scores[np.arange(len(track)), chosen]),
        soft=SoftMaps(np.stack(maps), *SOFT_RANGE) if maps else None,
    )


def _unite(video: Video, expression: Expression, size: tuple[int, int], track: Sequence[Candidates]) -> MaskSequence:
    """Return the sequence of the unions of each frame's candidates; a frame without any is empty and scores 0."""
    empty = encode(np.zeros((1, *size), bool))[0]
    runs = tuple(_join(frame.runs, size) if frame.runs else empty for frame in track)
    scores = np.array([frame.scores.max(initial=0) for frame in track], np.float32)
    return MaskSequence(video.id, expression.id, video.frames, size, runs, scores)


def _join(runs: tuple[bytes, ...], size: tuple[int, int]) -> bytes:
    return encode(np.any(decode(runs, size), axis=0, keepdims=True))[0]


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
        keep_soft: keep logits, as `uint8` (true) or `float16`.
        tokens_at_once: image tokens that run through encoder and decoder together, at most; bounds the memory.
        link: follow the object of the best frame by the network's embeddings, instead of taking each frame's best.
        several: take all queries whose score is at least this, so that a sentence may mean several objects or none.

    Attributes:
        n_best: candidates of a frame that are kept, at most.
        least: candidates of a lower score are dropped.
    """

    def __init__(
        self,
        network: Uninext,
        tokens: Tokens,
        device: torch.device,
        *,
        precision: Precision = "float32",
        keep_soft: KeepSoft = True,
        tokens_at_once: int = TOKENS_AT_ONCE,
        link: bool = False,
        several: float | None = None,
    ) -> None:
        self.network = network.to(device).eval()
        self.tokens = tokens
        self.device = device
        self.precision = precision
        # The union of several masks has no map of its own.
        self.keep_soft: KeepSoft = keep_soft if several is None else False
        self.tokens_at_once = min(tokens_at_once, CPU_TOKENS_AT_ONCE) if device.type == "cpu" else tokens_at_once
        self.several = several
        self.least = 0.0 if several is None else several
        self.n_best = _LINKED_CANDIDATES if link else SEVERAL_CANDIDATES if several is not None else 1

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
        tracks = self.find_candidates(video, expressions, original)
        for expression, track in zip(expressions, tracks, strict=True):
            if self.several is None:
                yield _to_sequence(video, expression, original, track)
            else:
                yield _unite(video, expression, original, track)

    @torch.inference_mode()
    def find_candidates(
        self, video: Video, expressions: Sequence[Expression], original: tuple[int, int]
    ) -> list[Track]:
        """Return the best `n_best` candidates of every expression in every frame; `original` is the frames' (H, W)."""
        tracks: list[Track] = [[] for _ in expressions]
        advice = "lower `tokens_at_once` or `short_side`"
        with memory_advice(video, at_once=f"{self.tokens_at_once} tokens at once", advice=advice):
            text = self._read(video, expressions)
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
        size = input_size(original, config.short_side, config.long_side)
        step = max(1, self.tokens_at_once // count_tokens(size, config.backbone.multiple))
        for start in range(0, video.n_frames, step):
            indices = range(start, min(start + step, video.n_frames))
            frames = [resize_frame(_read_frame(video, index, original), size) for index in indices]
            yield _Batch(normalise(np.stack(frames)), size, original)

    def _segment_batch(self, batch: _Batch, text: Text, tracks: list[Track]) -> None:
        """Add the results of every expression in every frame of `batch` to the tracks."""
        n_frames = batch.images.shape[0]
        with arithmetic(self.device, self.precision):
            visual = self._look(batch)
        step = max(1, self.tokens_at_once // visual.tokens.shape[1])
        pairs = torch.arange(n_frames * len(tracks), device=self.device)
        for chunk in torch.split(pairs, step):
            expression = chunk // n_frames
            with arithmetic(self.device, self.precision):
                frames, words = visual.select(chunk % n_frames), text.select(expression)
                selection = self.network.segment(frames, words, self.n_best)
            self._store(selection, batch, [tracks[index] for index in expression.tolist()])

    def _look(self, batch: _Batch) -> Visual:
        images = pad_frames(batch.images.to(self.device), self.network.config.backbone.multiple)
        sizes = torch.tensor([batch.size], device=self.device).expand(images.shape[0], -1)
        return self.network.look(images, sizes)

    def _store(self, selection: Selection, batch: _Batch, tracks: list[Track]) -> None:
        """Threshold, encode and keep one frame of each of `tracks`."""
        scores = selection.scores.float().cpu().numpy()
        if not np.isfinite(scores).all():
            raise CheckpointError("uninext: scores are not finite; use precision float32, or check the checkpoint")
        # Best first, so those that score enough come first; nothing is spent on the others.
        counts = (scores >= self.least).sum(axis=1).tolist()
        logits = torch.cat([own[:count] for own, count in zip(selection.logits, counts, strict=True)])
        masks = (finish(logits, batch.size, batch.original) > _THRESHOLD).cpu().numpy()
        soft = keep_logits(logits, batch.size, self.keep_soft)
        runs, vectors = encode(masks) if len(masks) else (), selection.embeddings
        first = 0
        for index, (track, count) in enumerate(zip(tracks, counts, strict=True)):
            own = slice(first, first + count)
            first += count
            maps = None if soft is None else soft[own]
            embeddings = None if vectors is None else vectors[index, :count].float().cpu().numpy()
            track.append(Candidates(runs[own], scores[index, :count], maps, embeddings))


def _read_frame(video: Video, index: int, original: tuple[int, int]) -> NDArray[np.uint8]:
    """Return frame `index`; all frames of a video have one size."""
    frame = video.read_frame(index)
    if frame.shape[:2] != original:
        raise InputError(
            f"{video.id}/{video.frames[index]}: frame is {frame.shape[0]}x{frame.shape[1]} but the first is "
            f"{original[0]}x{original[1]}; give frames of one size"
        )
    return frame


def build(settings: ModelSettings, *, device: torch.device) -> UninextRunner:
    """Return the runner of a released `.pth` or `.pkl`, or of our own safetensors.

    Raises:
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
        ConfigError: settings that this network does not have, or an unusable tokeniser folder.
    """
    options = _check(settings)
    file = read_checkpoint(settings.checkpoint, outline=device.type == "meta")
    config = _config(settings, file, options)
    tokens = _tokens(settings, config)
    network = build_network(lambda: Uninext(config), file)
    load_network(network, config, file)
    if settings.compile:
        network.detr.detr.backbone[0].compile()
    return UninextRunner(
        network,
        tokens,
        device,
        precision=settings.precision,
        keep_soft=settings.keep_soft,
        tokens_at_once=options.tokens_at_once,
        link=options.link,
        several=options.several,
    )


def _check(settings: ModelSettings) -> UninextOptions:
    """Return the options of `settings`, having refused what this network does not have."""
    if settings.window is not None or settings.overlap:
        raise ConfigError("uninext: works frame by frame; drop window and overlap")
    return load(UninextOptions, settings.options, where=NAME, part="options")


def _config(settings: ModelSettings, file: CheckpointFile, options: UninextOptions) -> UninextConfig:
    """Return the network's sizes: the file's own with what `options` change."""
    config = _stated_config(settings, file)
    if options.link and not config.association_layers:
        raise ConfigError(f"{file.path}: has no embeddings to link frames by; drop the option link")
    short, long = options.short_side or config.short_side, options.long_side or config.long_side
    layers = config.association_layers if options.link else 0
    return replace(config, short_side=short, long_side=long, association_layers=layers)


def _stated_config(settings: ModelSettings, file: CheckpointFile) -> UninextConfig:
    """Return the sizes that the file states, else those of the backbone's name."""
    stated = read_stated_config(file, NAME, UninextConfig)
    recognised = None if stated is not None else recognise_backbone(file.state)
    backbone = settings.backbone or recognised
    if backbone not in RELEASED and (stated is None or backbone is not None):
        raise ConfigError(f"uninext: backbone {backbone!r} is unknown; choose one of {', '.join(RELEASED)}")
    if stated is not None:
        if backbone is not None and RELEASED.get(backbone) != stated.backbone:
            raise ConfigError(
                f"{file.path}: its backbone is {stated.backbone}, not {backbone}; correct `backbone` or leave it out"
            )
        return stated
    linkable = any(name.startswith("detr.reid_embed_head.") for name in file.state)
    return UninextConfig(backbone=RELEASED[str(backbone)], association_layers=_RELEASED_ASSOCIATION if linkable else 0)


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

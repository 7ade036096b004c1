"""UNINEXT as a runner: frames one by one and independently, all expressions of a video on one visual pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runners.base import ModelSettings, Precision
from runners.checkpoints.loading import build_network, read_checkpoint
from runners.networks.text.bert import Text
from runners.networks.text.tokenizers import Tokens
from runners.networks.text.word_pieces import fit_word_pieces
from runners.networks.uninext.association import follow
from runners.networks.uninext.checkpoints import find_config, load_network
from runners.networks.uninext.frames import (
    SOFT_RANGE,
    count_tokens,
    finish,
    input_size,
    keep_logits,
    normalise,
    resize_frame,
)
from runners.networks.uninext.network import Selection, Uninext, pad_frames
from runners.networks.uninext.visual import Visual
from runners.passes.adapter import Adapter
from runners.passes.devices import arithmetic
from runners.passes.frames import read_frame
from runners.test_time import mirror_words
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, SoftMaps, decode, encode
from rvos.videos import Expression, Video

TOKENS_AT_ONCE = 36_000
# On the CPU a larger batch leaves the caches: one frame of 480 x 853 and one expression pass at a time.
CPU_TOKENS_AT_ONCE = 9_000
_THRESHOLD = 0.5
_LINKED_CANDIDATES = 5
SEVERAL_CANDIDATES = 20
"""The best queries of a frame, where several may be meant; more than there are instances."""
_DELETED = str.maketrans("", "", ".,'!?\"()*#:;")
_BLANKED = str.maketrans("-/", "  ")


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


def clean_expression(text: str) -> str:
    """Return the expression as the network was trained on it: lower case, punctuation dropped or blanked.

    Source: uninext.md, section 2; white space stays as it falls.
    """
    return text.lower().translate(_DELETED).translate(_BLANKED)


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
    runs = tuple(
        encode(np.any(decode(frame.runs, size), axis=0, keepdims=True))[0] if frame.runs else empty for frame in track
    )
    scores = np.array([frame.scores.max(initial=0) for frame in track], np.float32)
    return MaskSequence(video.id, expression.id, video.frames, size, runs, scores)


class FrameRunner(Adapter[Track]):
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

    advice = "lower `tokens_at_once` or `short_side`"

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
        self.at_once = f"{self.tokens_at_once} tokens at once"
        self.several = several
        self.least = 0.0 if several is None else several
        self.n_best = _LINKED_CANDIDATES if link else SEVERAL_CANDIDATES if several is not None else 1

    @torch.inference_mode()
    def find(self, video: Video, expressions: Sequence[Expression]) -> list[Track]:
        """Return the best `n_best` candidates of every expression in every frame."""
        tracks: list[Track] = [[] for _ in expressions]
        text = self.read_texts(video, expressions)
        original = video.read_size()
        size = input_size(original, self.network.config.short_side, self.network.config.long_side)
        step = max(1, self.tokens_at_once // count_tokens(size, self.network.config.backbone.multiple))
        for start in range(0, video.n_frames, step):
            indices = range(start, min(start + step, video.n_frames))
            frames = [resize_frame(read_frame(video, index, original), size) for index in indices]
            for pairs, selection in self.segment_frames(normalise(np.stack(frames)), text, len(tracks)):
                self._store(selection, size, original, [tracks[index] for index in (pairs // len(frames)).tolist()])
        return tracks

    def read_texts(self, video: Video, expressions: Sequence[Expression], *, mirrored: bool = False) -> Text:
        """Return the tokens of expressions, of a mirrored video with left and right exchanged.

        Raises:
            InputError: an expression without words.
        """
        cleaned = [clean_expression(mirror_words(one.text) if mirrored else one.text) for one in expressions]
        for expression, words in zip(expressions, cleaned, strict=True):
            if not words.strip():
                raise InputError(
                    f"{video.id}/{expression.id}: expression {expression.text!r} has no words; mend or drop it"
                )
        ids, mask = self.tokens.encode(cleaned)
        return self.network.read(ids.to(self.device), mask.to(self.device))

    def segment_frames(self, images: Tensor, text: Text, n_expressions: int) -> Iterator[tuple[Tensor, Selection]]:
        """Yield the best queries of all pairs of an expression and a frame of `images` `(T, 3, h, w)`, some at a time.

        Each comes with the numbers of its pairs: expression times T plus frame.
        """
        n_frames = len(images)
        with arithmetic(self.device, self.precision):
            visual = self._look(images)
        step = max(1, self.tokens_at_once // visual.tokens.shape[1])
        for chunk in torch.split(torch.arange(n_frames * n_expressions, device=self.device), step):
            with arithmetic(self.device, self.precision):
                frames, words = visual.select(chunk % n_frames), text.select(chunk // n_frames)
                selection = self.network.segment(frames, words, self.n_best)
            if not bool(selection.scores.isfinite().all()):
                raise CheckpointError("uninext: scores are not finite; use precision float32, or check the checkpoint")
            yield chunk, selection

    def to_sequence(self, video: Video, expression: Expression, found: Track, *, size: tuple[int, int]) -> MaskSequence:
        """Return the masks of the best or linked candidates, or of all that score enough together."""
        to_masks = _to_sequence if self.several is None else _unite
        return to_masks(video, expression, size, found)

    def _look(self, images: Tensor) -> Visual:
        sizes = torch.tensor([images.shape[-2:]], device=self.device).expand(len(images), -1)
        return self.network.look(pad_frames(images.to(self.device), self.network.config.backbone.multiple), sizes)

    def _store(
        self, selection: Selection, size: tuple[int, int], original: tuple[int, int], tracks: list[Track]
    ) -> None:
        """Threshold, encode and keep one frame of each of `tracks`; `size` is the network's without padding."""
        scores = selection.scores.float().cpu().numpy()
        # Best first, so those that score enough come first; nothing is spent on the others.
        counts = (scores >= self.least).sum(axis=1).tolist()
        logits = torch.cat([own[:count] for own, count in zip(selection.logits, counts, strict=True)])
        masks = (finish(logits, size, original) > _THRESHOLD).cpu().numpy()
        soft = keep_logits(logits, size, self.keep_soft)
        runs, vectors = encode(masks) if len(masks) else (), selection.embeddings
        first = 0
        for index, (track, count) in enumerate(zip(tracks, counts, strict=True)):
            own = slice(first, first + count)
            first += count
            maps = None if soft is None else soft[own]
            embeddings = None if vectors is None else vectors[index, :count].float().cpu().numpy()
            track.append(Candidates(runs[own], scores[index, :count], maps, embeddings))


def load_frame_runner(
    settings: ModelSettings,
    *,
    device: torch.device,
    tokens_at_once: int = TOKENS_AT_ONCE,
    sides: tuple[int | None, int | None] = (None, None),
    link: bool = False,
    several: float | None = None,
    make: Callable[..., FrameRunner] = FrameRunner,
) -> FrameRunner:
    """Return the runner of a released `.pth` or `.pkl`, or of our own safetensors.

    Args:
        sides: short and long side of the resized frames; None: as the network was trained.
        make: the runner, of what `FrameRunner` takes.

    Raises:
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
        ConfigError: another backbone than the settings name, nothing to link by, or an unusable tokeniser folder.
    """
    file = read_checkpoint(settings.checkpoint, outline=device.type == "meta")
    stated = find_config(file, backbone=settings.backbone)
    if link and not stated.association_layers:
        raise ConfigError(f"{file.path}: has no embeddings to link frames by; drop the option link")
    config = replace(
        stated,
        short_side=sides[0] or stated.short_side,
        long_side=sides[1] or stated.long_side,
        association_layers=stated.association_layers if link else 0,
    )
    text = config.text
    tokens = fit_word_pieces(
        settings.tokenizer, vocabulary=text.vocabulary, max_tokens=text.max_tokens, where=settings.runner
    )
    network = build_network(lambda: Uninext(config), file)
    load_network(network, config, file)
    if settings.compile:
        network.detr.detr.backbone[0].compile()
    return make(
        network,
        tokens,
        device,
        precision=settings.precision,
        keep_soft=settings.keep_soft,
        tokens_at_once=tokens_at_once,
        link=link,
        several=several,
    )

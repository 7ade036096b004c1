"""A loaded grounding network: the tracklets of a video and its sentences in, a score for each pair out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from runners.base import Precision
from runners.checkpoints.loading import build_network, load_strict, read_checkpoint, read_stated_config
from runners.grounding.settings import GroundingSettings
from runners.networks.text.language_models import LanguageModel, fit_own_tokens
from runners.networks.text.text_encoder import IGNORED_TEXT_KEYS, TextConfig
from runners.networks.text.tokenizers import Tokens, fit_tokens
from runners.networks.text.word_pieces import fit_word_pieces
from runners.networks.tracklets.config import GroundingConfig
from runners.networks.tracklets.network import GroundingNetwork, Paths, Slots, video_scores
from runners.networks.tracklets.paths import describe_paths
from runners.passes.adapter import TextReader
from runners.passes.devices import arithmetic, memory_advice
from runners.passes.frames import read_clip
from rvos.errors import CheckpointError, InputError
from rvos.masks.grounding import check_tracklets
from rvos.masks.mask_sequences import decode
from rvos.masks.tracklets import TrackletSet
from rvos.settings import count
from rvos.videos import Expression, Video

NETWORK_NAME = "tracklet-grounding"
_FRAMES_AT_ONCE = 8


class TrackletGrounder:
    """One network with its weights; scores of a sentence do not depend on the others.

    Args:
        tokens: that it was trained with.
        frame_stride: every n-th frame is looked at.
        where: what messages call it.
    """

    def __init__(
        self,
        network: GroundingNetwork,
        tokens: Tokens,
        device: torch.device,
        *,
        frame_stride: int = 1,
        precision: Precision = "float32",
        where: str = "grounding",
    ) -> None:
        self.network = network.to(device).eval()
        self._device, self._where = device, where
        self._stride, self._precision = frame_stride, precision
        self._texts = TextReader(tokens, lambda ids, mask: self.network.encode_words(ids, mask), device)

    def scores(self, video: Video, tracklets: TrackletSet, expressions: Sequence[Expression]) -> NDArray[np.float64]:
        """Return the score of every tracklet for every sentence, `(E, P)` float64; each row sums to 1.

        Rows are zero where no tracklet is seen in any frame that is looked at.

        Raises:
            InputError: a frame cannot be read, a sentence without words, tracklets of another video, or more of them
                than the network has slots.
            CheckpointError: scores that are not finite.
        """
        check_tracklets(video, tracklets)
        if len(tracklets) > self.network.config.slots:
            raise InputError(
                f"{video.id}: {count(len(tracklets), 'tracklet')}, {self._where} has "
                f"{self.network.config.slots} slots; "
                f"set `keep: {self.network.config.slots}` where they are made"
            )
        if not len(tracklets) or not expressions:
            return np.zeros((len(expressions), len(tracklets)))
        with memory_advice(video, advice="raise `frame_stride`"), arithmetic(self._device, self._precision):
            slots = self._encode(video, tracklets)
            # One sentence after the other: in a batch, padding would change the rounding of the others.
            rows = [
                video_scores(self.network(slots, words).float(), slots.used)[0]
                for words in self._texts.read(video, expressions)
            ]
        found = torch.stack(rows).double().cpu().numpy()
        if not np.isfinite(found).all():
            raise CheckpointError(
                f"{video.id}: scores of {self._where} are not finite; use precision float32, or check the checkpoint"
            )
        return np.asarray(found)

    def _encode(self, video: Video, tracklets: TrackletSet) -> Slots:
        """Return the tracklets as slots of the frames that are looked at, a few frames at a time."""
        config = self.network.config
        masks = np.stack([decode(one.runs, one.size) for one in tracklets.tracklets], axis=1)
        chosen = list(range(0, video.n_frames, self._stride))
        features = torch.from_numpy(describe_paths(masks) if config.trajectory else np.zeros((len(masks), 1, 0)))
        present = torch.ones((1, len(tracklets)), dtype=torch.bool, device=self._device)
        parts = []
        for start in range(0, len(chosen), _FRAMES_AT_ONCE):
            some = chosen[start : start + _FRAMES_AT_ONCE]
            clip = read_clip(video, some, short_side=config.short_side, long_side=config.long_side)
            shown = torch.from_numpy(masks[some].astype(np.float32))[None]
            paths = Paths(features[None].float(), torch.zeros((1, len(masks)), dtype=torch.bool), torch.tensor([some]))
            parts.append(
                self.network.encode_slots(
                    clip[None].to(self._device), shown.to(self._device), present, paths.to(self._device)
                )
            )
        return Slots(
            torch.cat([part.tokens for part in parts], 1),
            torch.cat([part.valid for part in parts], 1),
            torch.cat([part.used for part in parts], 1),
        )


def load_grounder(settings: GroundingSettings, *, device: torch.device) -> TrackletGrounder:
    """Return the network of a checkpoint; on the device `meta` settings and files are checked, no weights are read.

    Raises:
        CheckpointError: the checkpoint is damaged, of another network, or of other sizes than it states.
        ConfigError: a tokeniser that does not fit.
    """
    file = read_checkpoint(settings.checkpoint, outline=device.type == "meta")
    config = read_stated_config(file, NETWORK_NAME, GroundingConfig)
    if config is None:
        raise CheckpointError(f"{file.path}: no grounding network of `rvos train`; `rvos checkpoint` tells what it is")
    network = build_network(lambda: GroundingNetwork(config), file)
    load_strict(network, file, ignored=IGNORED_TEXT_KEYS)
    tokens = fit_grounding_tokens(settings.tokenizer, config, where=str(settings.checkpoint))
    stride = settings.frame_stride or config.frame_stride
    where = settings.checkpoint.name
    return TrackletGrounder(network, tokens, device, frame_stride=stride, precision=settings.precision, where=where)


def fit_grounding_tokens(folder: Path | None, config: GroundingConfig, *, where: str) -> Tokens:
    """Return the language model's tokeniser, or the small word list; ConfigError: files missing, or no fit."""
    text, longest = config.text, config.max_words
    if isinstance(text, LanguageModel):
        return fit_own_tokens(folder, text, max_tokens=longest, where=where)
    if isinstance(text, TextConfig):
        return fit_tokens(folder, vocabulary=text.vocab_size, max_tokens=longest, where=where)
    return fit_word_pieces(folder, vocabulary=text.vocabulary, max_tokens=longest, where=where)

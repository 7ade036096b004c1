"""What the runners of ReferFormer and MUTR have in common: windows, batches of expressions, cached text."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from runners.base import ModelSettings, OptionValue
from runners.checkpoints import CheckpointFile
from runners.frames import read_clip, to_mask_sequence
from runners.networks.backbones import find_backbone
from runners.networks.recognition import infer_backbone, name_backbone
from runners.networks.referformer import ReferFormer
from runners.networks.text_encoder import TextConfig, TextFeatures, stack_texts
from runners.networks.tokenizers import RobertaTokens, SmallTokens, Tokens
from runners.options import read_options
from runners.windows import describe_protocol, join_windows, plan_windows
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

KeyFrameRule = Literal["scores", "confidence"]
KEY_FRAME_RULES = ("scores", "confidence")
_PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_CACHED_TEXTS = 2048
_GPU_EXPRESSIONS = 4
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReferringOptions:
    """How a loaded network is run.

    Args:
        short_side: of the resized frames, pixels.
        window, overlap: see `runners.windows.plan_windows`; None: all frames in one clip, the official protocol.
        precision: of the network's arithmetic.
        keep_soft: keep quantised logits beside the hard masks.
        key_frame: "scores": first maximum of the per-frame scores, as officially; "confidence": the frame whose mask
            has the largest mean probability, for networks whose scores are the same in every frame.
        lower_case: lower-case expressions and join their words by single blanks, as in training.
        expressions_at_once: that pass through the network together; one at a time gives the same rounding as alone.
        frames_at_once: frames times expressions that the per-frame parts hold in memory at the same time.
    """

    short_side: int = 360
    window: int | None = None
    overlap: int = 0
    precision: torch.dtype = torch.float32
    keep_soft: bool = True
    key_frame: KeyFrameRule = "scores"
    lower_case: bool = False
    expressions_at_once: int = 1
    frames_at_once: int = 8


class ReferringRunner:
    """A loaded ReferFormer or MUTR.

    Args:
        network: with its weights.
        tokens: tokeniser that belongs to the network.
        device: to run on.
    """

    def __init__(self, network: ReferFormer, tokens: Tokens, device: torch.device, options: ReferringOptions) -> None:
        self.network = network.to(device).eval()
        self.tokens = tokens
        self.device = device
        self.options = options
        self._texts: OrderedDict[str, TextFeatures] = OrderedDict()

    def protocol(self, video: Video) -> str:
        """Return which frames see each other: all of them, as officially, or those of a window."""
        return describe_protocol(video.n_frames, self.options.window, self.options.overlap)

    @torch.inference_mode()
    def segment(self, video: Video, expressions: Sequence[Expression]) -> Iterator[MaskSequence]:
        """Yield one mask sequence for each expression, in their order; the video is looked at once.

        Raises:
            InputError: an unreadable frame, frames of several sizes, or an empty expression.
        """
        if not expressions:
            return
        if not video.frames:
            raise InputError(f"{video.id}: no frames; drop the video or restore its frame list")
        _logger.info("%s: %s", video.id, self.protocol(video))
        texts = self._read(video, expressions)
        windows = plan_windows(video.n_frames, self.options.window, self.options.overlap)
        found = [self._segment_window(video, window, texts) for window in windows]
        size = video.read_size()
        for index, expression in enumerate(expressions):
            logits = join_windows([masks[index] for masks, _ in found], windows, video.n_frames)
            scores = join_windows([values[index] for _, values in found], windows, video.n_frames)
            key_frame = most_confident(logits) if self.options.key_frame == "confidence" else None
            yield to_mask_sequence(
                video,
                expression,
                logits,
                scores,
                size=size,
                keep_soft=self.options.keep_soft,
                key_frame=key_frame,
            )

    def _segment_window(self, video: Video, window: range, texts: Sequence[TextFeatures]) -> tuple[Tensor, Tensor]:
        """Return mask logits `(E, T, h, w)` and scores `(E, T)` of one window, float32 on the CPU."""
        # The pyramid needs 8 pixels a side at stride 4.
        smallest = 32 if self.network.visual_backbone.rounds_down else 29
        clip = read_clip(video, window, short_side=self.options.short_side, smallest=smallest)
        masks, scores = [], []
        with self._arithmetic():
            visual = self.network.encode_video(clip[None].to(self.device))
            step = self.options.expressions_at_once
            for start in range(0, len(texts), step):
                text = stack_texts(texts[start : start + step])
                chosen = self.network.segment(visual, text, frames_at_once=self.options.frames_at_once)
                masks.append(chosen.masks.float().cpu())
                scores.append(chosen.scores.float().cpu())
        return torch.cat(masks), torch.cat(scores)

    def _read(self, video: Video, expressions: Sequence[Expression]) -> list[TextFeatures]:
        """Return the text features of the expressions; those of texts seen before come from the cache."""
        wanted = [self._clean(expression.text) for expression in expressions]
        for expression, text in zip(expressions, wanted, strict=True):
            if not text.strip():
                raise InputError(f"{video.id}/{expression.id}: the expression is empty; mend or drop it")
        missing = [text for text in dict.fromkeys(wanted) if text not in self._texts]
        features = {text: self._texts[text] for text in wanted if text in self._texts}
        for text in missing:
            # One at a time: padding to the longest would change the rounding of the others.
            ids, mask = self.tokens.encode([text])
            with self._arithmetic():
                features[text] = self.network.encode_text(ids.to(self.device), mask.to(self.device))
        self._texts.update(features)
        while len(self._texts) > _CACHED_TEXTS:
            self._texts.popitem(last=False)
        return [features[text] for text in wanted]

    def _clean(self, text: str) -> str:
        return " ".join(text.lower().split()) if self.options.lower_case else text

    def _arithmetic(self) -> torch.autocast:
        half = self.options.precision != torch.float32
        return torch.autocast(self.device.type, dtype=self.options.precision if half else None, enabled=half)


def most_confident(logits: Tensor) -> int:
    """Return the frame of `logits` `(T, h, w)` with the surest foreground (mean probability); 0 if all are empty."""
    probability = logits.float().sigmoid()
    marked = probability > 0.5
    mean = (probability * marked).sum((-2, -1)) / marked.sum((-2, -1)).clamp(min=1)
    return int(mean.argmax())


def read_settings(
    settings: ModelSettings, device: torch.device, *, short_side: int, extra: Mapping[str, OptionValue] | None = None
) -> tuple[ReferringOptions, dict[str, OptionValue]]:
    """Return how to run the network, and the values of the network's own options.

    Args:
        short_side: the official one.
        extra: names and defaults of options that only this network has.

    Raises:
        ConfigError: an unknown option, or a value out of range.
    """
    extra = extra or {}
    defaults: dict[str, OptionValue] = {
        "short_side": short_side,
        "key_frame": "scores",
        "lower_case": False,
        "expressions_at_once": 1 if device.type == "cpu" else _GPU_EXPRESSIONS,
        "frames_at_once": 8,
        **extra,
    }
    values = read_options(settings.runner, settings.options, defaults)
    own = {name: values.pop(name) for name in extra}
    if values["key_frame"] not in KEY_FRAME_RULES:
        raise ConfigError(
            f"{settings.runner}: key_frame {values['key_frame']!r}; choose one of {', '.join(KEY_FRAME_RULES)}"
        )
    for name in ("short_side", "expressions_at_once", "frames_at_once"):
        if int(values[name]) < 1:
            raise ConfigError(f"{settings.runner}: {name} is {values[name]}; give at least 1")
    if settings.precision not in _PRECISIONS:
        raise ConfigError(
            f"{settings.runner}: precision {settings.precision!r}; choose one of {', '.join(_PRECISIONS)}"
        )
    plan_windows(1, settings.window, settings.overlap)
    options = ReferringOptions(
        window=settings.window,
        overlap=settings.overlap,
        precision=_PRECISIONS[settings.precision],
        keep_soft=settings.keep_soft,
        **values,  # type: ignore[arg-type]
    )
    return options, own


def released_backbone(settings: ModelSettings, file: CheckpointFile) -> str:
    """Return the name of the backbone in an official file.

    Raises:
        CheckpointError: no known backbone, or another one than the settings say.
    """
    found = infer_backbone(file.state)
    name = name_backbone(found) if found is not None else None
    if name is None:
        raise CheckpointError(f"{file.path}: no released backbone of {settings.runner}; `rvos checkpoint` tells more")
    if settings.backbone is not None and find_backbone(settings.backbone) != find_backbone(name):
        raise CheckpointError(
            f"{file.path}: its backbone is {name}, the recipe says {settings.backbone}; correct or drop `backbone`"
        )
    return name


def find_tokens(settings: ModelSettings, text: TextConfig) -> Tokens:
    """Return the tokeniser that fits the network's word table.

    Raises:
        ConfigError: no folder for a network that needs roberta-base's files, or unusable files.
    """
    if settings.tokenizer is not None:
        return RobertaTokens.from_folder(settings.tokenizer, max_tokens=text.max_tokens)
    small = SmallTokens(max_tokens=text.max_tokens)
    if text.vocab_size == TextConfig().vocab_size or small.vocabulary_size > text.vocab_size:
        raise ConfigError(
            f"{settings.runner}: the network reads {text.vocab_size} tokens and no tokenizer is set; "
            "set tokenizer to a folder with roberta-base's vocab.json and merges.txt"
        )
    return small


def compile_network(network: ReferFormer) -> None:
    """Compile the parts that take the time; the first clip of each size is slow."""
    network.visual_backbone.compile()
    network.transformer.encoder.compile()

"""Mask sequences: for one expression, a hard mask and a score for every frame."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rvos.errors import InputError
from rvos.masks.frame_queries import FrameQueries
from rvos.masks.png import encode_mask_pngs
from rvos.masks.runs import Runs
from rvos.settings.problems import count
from rvos.videos import Video

SoftKind = Literal["logit", "probability"]
MaskFill = Literal["empty", "abstain"]
KeepSoft = bool | Literal["uint8", "float16"]
"""Whether soft maps are kept, and in what; true means `uint8`."""
_LEVELS = 255
_SHOWN_MASKS = 5
_LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True, eq=False)
class SoftMaps:
    """Soft masks at the network's own resolution, quantised to 8 bits or in half precision.

    Args:
        values: `(T, h, w)`; of uint8 the soft value is `low + values * (high - low) / 255`, float16 are soft values.
        low, high: soft values of the levels 0 and 255.
        kind: what the soft values are; logits and probabilities never mix.
    """

    values: NDArray[np.uint8] | NDArray[np.float16]
    low: float
    high: float
    kind: SoftKind = "logit"

    def __post_init__(self) -> None:
        if self.values.dtype not in (np.uint8, np.float16) or self.values.ndim != 3:
            raise InputError(
                f"soft maps are {self.values.dtype} of shape {self.values.shape}; give uint8 or float16 (T, h, w), "
                "such as SoftMaps.keep makes"
            )
        if self.values.dtype == np.float16 and not np.isfinite(self.values).all():
            raise InputError("soft maps hold values that are not finite; check the model")

    @classmethod
    def quantise(
        cls, soft: NDArray[np.float32], *, low: float = -8.0, high: float = 8.0, kind: SoftKind = "logit"
    ) -> SoftMaps:
        """Return soft masks `(T, h, w)` clipped to [low, high] and rounded to 256 levels."""
        scaled = (np.clip(soft, low, high) - low) * (_LEVELS / (high - low))
        return cls(np.rint(scaled).astype(np.uint8), low, high, kind)

    @classmethod
    def keep(
        cls,
        soft: NDArray[np.float32],
        keep: KeepSoft,
        *,
        low: float = -8.0,
        high: float = 8.0,
        kind: SoftKind = "logit",
    ) -> SoftMaps | None:
        """Return soft masks `(T, h, w)` as they are to be kept; None: not at all."""
        if not keep:
            return None
        if keep == "float16":
            return cls(np.clip(soft, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16), low, high, kind)
        return cls.quantise(soft, low=low, high=high, kind=kind)

    def kept_as(self, keep: KeepSoft) -> SoftMaps | None:
        """Return these maps as they are to be kept; None: not at all."""
        if keep and (self.values.dtype == np.float16) == (keep == "float16"):
            return self
        return SoftMaps.keep(self.dequantise(), keep, low=self.low, high=self.high, kind=self.kind)

    def probabilities(self, index: int, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return the probabilities `(H, W)` in [0, 1] of one frame: values resized bilinearly, then the sigmoid."""
        single = SoftMaps(self.values[index : index + 1], self.low, self.high, self.kind).dequantise()[0]
        resized = np.asarray(cv2.resize(single, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)
        return resized if self.kind == "probability" else np.asarray(1 / (1 + np.exp(-resized)), np.float32)

    def dequantise(self) -> NDArray[np.float32]:
        """Return the soft values `(T, h, w)` float32."""
        if self.values.dtype == np.float16:
            return self.values.astype(np.float32)
        return (self.low + self.values.astype(np.float32) * ((self.high - self.low) / _LEVELS)).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class MaskSequence:
    """Hard masks and scores of one expression, at the original frame size.

    Args:
        video, expression: ids.
        frames: names of the T frames.
        size: (H, W) of the original frames.
        runs: T COCO compressed run lengths (the `counts` of an RLE), column-major.
        scores: `(T,)` float32, higher is better; constant scores are allowed.
        key_frame: index chosen by an explicit rule; None: the first maximum of the scores.
        soft: soft masks at network resolution, or None.
        propagation: `(T,)` float32 in [0, 1], mean foreground probability inside the propagated mask of a frame: 1 on
            the key frame, 0 without a mask; None: the masks were not propagated.
        presence: `(T,)` float32 in [0, 1], how sure a detector is that a frame shows what the sentence names at all;
            NaN where it did not look; None: no detector says so.
        missing: what stands for masks that were not there: `empty`: black ones, in some frames or all; `abstain`: black
            ones, which no fusion counts; None: nothing was missing.
        scored: False where the masks came without scores: `scores` then only tells frames with a mask (1) from empty
            ones (0), enough to choose a key frame, and is not to be compared with another system's.
        queries: all masks of the network in one frame, whose best is the mask of that frame; None: they were not kept.
    """

    video: str
    expression: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    runs: tuple[bytes, ...]
    scores: NDArray[np.float32]
    key_frame: int | None = None
    soft: SoftMaps | None = None
    propagation: NDArray[np.float32] | None = None
    scored: bool = True
    missing: MaskFill | None = None
    presence: NDArray[np.float32] | None = None
    queries: FrameQueries | None = None

    def __post_init__(self) -> None:
        where = f"{self.video}/{self.expression}"
        if not self.frames:
            raise InputError(f"{where}: a mask sequence needs at least one frame; check the frame list")
        if not isinstance(self.frames, tuple) or not isinstance(self.scores, np.ndarray):
            raise InputError(f"{where}: give the frames as a tuple of names, and the scores as an array of float32")
        if len(self.runs) != len(self.frames) or self.scores.shape != (len(self.frames),):
            raise InputError(
                f"{where}: {count(len(self.frames), 'frame')} but {count(len(self.runs), 'mask')} and scores of shape "
                f"{self.scores.shape}; give one of each for every frame"
            )
        if self.scores.dtype != np.float32:
            raise InputError(f"{where}: scores are {self.scores.dtype}; give float32")
        if not np.isfinite(self.scores).all():
            raise InputError(f"{where}: scores are not finite; check what made them")
        if self.propagation is not None and (
            self.propagation.shape != self.scores.shape or self.propagation.dtype != np.float32
        ):
            raise InputError(
                f"{where}: propagation probabilities are {self.propagation.dtype} of shape {self.propagation.shape}"
                "; give one float32 for each of the "
                f"{count(len(self.frames), 'frame')}"
            )
        if self.propagation is not None and not np.isfinite(self.propagation).all():
            raise InputError(f"{where}: propagation probabilities are not finite; check what made them")
        if self.presence is not None:
            check_presence(self.presence, self.n_frames, where=where)
        if self.key_frame is not None and self.key_frame not in range(len(self.frames)):
            raise InputError(
                f"{where}: key frame {self.key_frame} is no index into the {count(len(self.frames), 'frame')}"
            )
        if self.queries is not None and self.queries.frame not in range(len(self.frames)):
            raise InputError(
                f"{where}: queries of frame {self.queries.frame}, no index into the {count(len(self.frames), 'frame')}"
            )

    @classmethod
    def from_masks(
        cls,
        masks: NDArray[np.bool_],
        *,
        video: str,
        expression: str,
        frames: tuple[str, ...],
        scores: NDArray[np.float32],
        key_frame: int | None = None,
        soft: SoftMaps | None = None,
    ) -> MaskSequence:
        """Return the sequence of boolean masks `(T, H, W)`. Raises InputError: no masks, or unequal numbers."""
        checked = as_masks(masks, where=f"{video}/{expression}")
        height, width = checked.shape[1:]
        return cls(video, expression, frames, (height, width), encode(checked), scores, key_frame, soft)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def __repr__(self) -> str:
        return f"<MaskSequence {self._describe()}>"

    def _repr_html_(self) -> str:
        """Return some of the masks as pictures, for notebooks."""
        chosen = np.unique(np.linspace(0, self.n_frames - 1, _SHOWN_MASKS).round().astype(int)).tolist()
        files = encode_mask_pngs(Runs.decode(tuple(self.runs[index] for index in chosen), self.size))
        pictures = "".join(
            f'<img style="width:9em;margin-right:2px" title="{escape(self.frames[index])}" '
            f'src="data:image/png;base64,{b64encode(content).decode()}">'
            for index, content in zip(chosen, files, strict=True)
        )
        return f"<div>{escape(self._describe())}</div>{pictures}"

    def _describe(self) -> str:
        nothing = encode(np.zeros((1, *self.size), bool))[0]
        shown = sum(runs != nothing for runs in self.runs)
        height, width = self.size
        return (
            f"{self.video}/{self.expression}: {count(self.n_frames, 'frame')} of {width} x {height}, {shown} with a "
            f"mask, key frame {self.frames[self.pick_key_frame()]}"
        )

    @property
    def highest_presence(self) -> float | None:
        """The largest presence of a frame; None where no detector said any."""
        known = None if self.presence is None else self.presence[~np.isnan(self.presence)]
        return float(known.max()) if known is not None and known.size else None

    @property
    def abstains(self) -> bool:
        """Whether nobody answered the sentence: no fusion counts these masks."""
        return self.missing == "abstain"

    def check_fits(self, video: Video, size: tuple[int, int] | None, *, advice: str) -> None:
        """Check that the masks belong to the frames of a video.

        Args:
            size: (H, W) of the frames; None where it is not known.
            advice: what to do about masks that do not fit.

        Raises:
            InputError: another video, other frames, or another size.
        """
        where = f"{self.video}/{self.expression}"
        if self.video != video.id:
            raise InputError(f"{where}: masks of another video than {video.id}; {advice}")
        if self.frames != video.frames:
            names = ", or other names" if self.n_frames == video.n_frames else ""
            raise InputError(
                f"{where}: masks of {count(self.n_frames, 'frame')}, the data set lists "
                f"{video.n_frames}{names}; {advice}"
            )
        if size is not None and self.size != size:
            raise InputError(
                f"{where}: masks of {self.size[0]} x {self.size[1]} pixels (H x W), frames of {size[0]} x {size[1]}; "
                f"{advice}"
            )

    def masks(self) -> NDArray[np.bool_]:
        """Return the masks `(T, H, W)` bool."""
        return decode(self.runs, self.size)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Return the mask of one frame, `(H, W)` bool."""
        return decode(self.runs[index : index + 1], self.size)[0]

    def as_runs(self) -> Runs:
        """Return the masks as runs, on which votes and overlaps compute."""
        return Runs.decode(self.runs, self.size)

    def pick_key_frame(self) -> int:
        """Return the key frame: the stated one, else the first maximum of the scores (paper Eq. 2)."""
        return self.key_frame if self.key_frame is not None else int(np.argmax(self.scores))


def check_presence(presence: NDArray[np.float32], n_frames: int, *, where: str) -> None:
    """Refuse, by an InputError, what is not a probability, or NaN, for each frame."""
    if presence.shape != (n_frames,) or presence.dtype != np.float32 or ((presence < 0) | (presence > 1)).any():
        raise InputError(
            f"{where}: presence is {presence.dtype} of shape {presence.shape}; give a float32 from 0 to 1 for each of "
            f"the {count(n_frames, 'frame')}, NaN where nobody looked"
        )


def by_expression(sequences: Iterable[MaskSequence]) -> dict[str, MaskSequence]:
    """Return the sequences of a video by the ids of their expressions."""
    return {sequence.expression: sequence for sequence in sequences}


def as_masks(values: NDArray[Any], *, where: str) -> NDArray[np.bool_]:
    """Return masks `(T, H, W)` bool of an array of them: of booleans, or of numbers that are all 0 and 1, or 0 and 255.

    Other numbers mean something else: probabilities and logits need a threshold, labels a comparison.

    Raises:
        InputError: another shape, or other values.
    """
    array = np.asarray(values)
    if array.ndim != 3:
        raise InputError(f"{where}: an array of shape {array.shape}; give masks (T, H, W)")
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf":
        raise InputError(f"{where}: masks of {array.dtype}; give booleans")
    foreground: NDArray[np.bool_] = array != 0
    highest = array.max(initial=0)
    if highest not in (0, 1, _LEVELS) or (array[foreground] != highest).any():
        raise InputError(
            f"{where}: {array.dtype} values from {array.min():.8g} to {highest:.8g} are no masks; give booleans, "
            "such as probabilities > 0.5, logits > 0 or labels == 1"
        )
    return foreground


def encode(masks: NDArray[np.bool_]) -> tuple[bytes, ...]:
    """Return masks `(T, H, W)` as COCO compressed run lengths, one a frame. Raises InputError: no masks."""
    return Runs.from_masks(as_masks(masks, where="masks")).encode()


def decode(runs: tuple[bytes, ...], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the masks `(T, H, W)` bool of COCO compressed run lengths."""
    height, width = size
    rles = [{"size": [height, width], "counts": counts} for counts in runs]
    columns: NDArray[np.uint8] = np.asarray(coco.decode(rles)).T
    masks = np.empty((len(runs), height, width), np.uint8)
    for column_major, mask in zip(columns, masks, strict=True):
        cv2.transpose(column_major, dst=mask)
    return masks.view(np.bool_)

"""Corrections by hand: a file of JSON lines that holds all that they need, masks included.

One line is one correction of a sentence's answer; the keys say which:

    {"node": "final", "video": "v", "sentence": "0", "frame": "00050", "mask": {"size": [360, 640], "counts": "..."}}
    {"node": "final", "video": "v", "sentence": "0", "frame": "00080", "box": [12, 8, 96, 70], "engine": "sam2"}
    {"node": "final", "video": "v", "sentence": "1", "same_as": {"sentence": "0"}}
    {"node": "final", "video": "v", "sentence": "2", "empty": ["00090", "00120"]}
    {"node": "final", "video": "v", "sentence": "2", "keep": ["00000", "00085"]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.atomic import read_whole, write_atomically
from rvos.files.json_files import expect_object, parse_json
from rvos.masks.mask_sequences import encode
from rvos.masks.run_lengths import check_run_length
from rvos.masks.runs import Runs
from rvos.settings import Side, load, nearest
from rvos.videos import Video

_LARGEST_FILE = 1 << 26
_FORMS = ("mask", "box", "same_as", "empty", "keep")


@dataclass(frozen=True, slots=True)
class FrameMask:
    """A mask of one frame as text: (H, W) and COCO compressed run lengths. Raises InputError: malformed, or empty."""

    size: tuple[Side, Side]
    counts: str

    def __post_init__(self) -> None:
        check_run_length({"size": list(self.size), "counts": self.counts}, self.size, where="mask")
        if not Runs.decode([self.runs], self.size).starts.size:
            raise InputError("a mask without a pixel; empty the frame instead: empty [FROM, TO], or --empty FROM-TO")

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> FrameMask:
        """Return a mask `(H, W)` as text; raises as the class does."""
        height, width = mask.shape
        return cls((height, width), encode(mask[None])[0].decode())

    @property
    def runs(self) -> bytes:
        """The run lengths."""
        return self.counts.encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """Another answer of the same video: to a sentence, of a node; None: the corrected answer of the same node."""

    sentence: str
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction of a sentence's answer; exactly one of mask, box, same_as, empty and keep.

    Args:
        node: whose answer is corrected.
        frame: name of the frame of mask or box.
        box: left, top, right, bottom in pixels of the frame.
        engine: of the recipe, which carries mask or box both ways; a mask without one stands in its frame alone.
        same_as: the answer to begin with instead of the sentence's own.
        empty: names of the first and the last frame without an object.
        keep: names of the first and the last frame that are right as they are, so that nothing is carried into them.

    Raises:
        InputError: none of these forms.
    """

    node: str
    video: str
    sentence: str
    frame: str | None = None
    mask: FrameMask | None = None
    box: tuple[float, float, float, float] | None = None
    engine: str | None = None
    same_as: Answer | None = None
    empty: tuple[str, str] | None = None
    keep: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        given = [form for form in _FORMS if getattr(self, form) is not None]
        if len(given) != 1:
            raise InputError(f"{' and '.join(given) or 'none of them'} given; say one of {', '.join(_FORMS)}")
        is_of_frame = given[0] in ("mask", "box")
        if is_of_frame and self.frame is None:
            raise InputError(f"{given[0]} without the frame that shows it; add frame")
        if not is_of_frame and (self.frame is not None or self.engine is not None):
            raise InputError(f"{given[0]} with a frame or an engine, which carries masks and boxes; leave both out")
        if self.box is not None and self.engine is None:
            raise InputError("box without an engine that makes a mask of it; name one that takes boxes")

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """What it corrects: two corrections of one place contradict each other; the order of the file."""
        form = "same_as" if self.same_as else "empty" if self.empty else "keep" if self.keep else "frame"
        return self.node, self.video, self.sentence, form, (self.frames or ("",))[0]

    @property
    def frames(self) -> tuple[str, ...]:
        """Names of the frame, or of the first and the last one; none where it is of the whole video."""
        return self.empty or self.keep or (() if self.frame is None else (self.frame,))

    def name_sentence(self) -> str:
        """Return its sentence as `video/sentence`."""
        return f"{self.video}/{self.sentence}"

    def describe(self) -> str:
        """Return in words what is said of the sentence."""
        if self.same_as is not None:
            node = "" if self.same_as.node is None else f"{self.same_as.node}:"
            return f"the same as {node}{self.same_as.sentence}"
        if self.frame is None:
            return f"{'empty' if self.empty else 'kept'} from {' to '.join(self.frames)}"
        carried = f", carried by {self.engine}" if self.engine else ""
        return f"a {'mask' if self.mask else 'box'} in frame {self.frame}{carried}"

    def find_places(self, video: Video) -> range:
        """Return the places of its frames, which the video has; none where it is of the whole video."""
        places = [video.frames.index(name) for name in self.frames]
        return range(places[0], places[-1] + 1) if places else range(0)


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """Return the corrections of a file in one order, whatever that of its lines; InputError or ConfigError."""
    found: dict[tuple[str, ...], tuple[int, Correction]] = {}
    for number, line in enumerate(read_whole(path, most=_LARGEST_FILE).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        one = load(
            Correction, expect_object(parse_json(line, where=where), where=where), where=where, what="correction"
        )
        if one.place in found:
            raise InputError(f"{where}: corrects what line {found[one.place][0]} does already; remove one of both")
        found[one.place] = number, one
    return tuple(found[place][1] for place in sorted(found))


def write_corrections(path: Path, corrections: Iterable[Correction]) -> None:
    """Write the file in one step; the same corrections always give the same bytes. Raises StoreError."""
    lines = [json.dumps(_as_json(one), ensure_ascii=False) for one in sorted(corrections, key=lambda one: one.place)]
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def _as_json(correction: Correction) -> Mapping[str, object]:
    """Return what is said of a correction, in the order of its fields."""

    def drop(pairs: list[tuple[str, object]]) -> dict[str, object]:
        return {key: value for key, value in pairs if value is not None}

    return asdict(correction, dict_factory=drop)


def find_misfits(corrections: Sequence[Correction], video: Video, size: tuple[int, int] | None) -> Iterator[str]:
    """Yield what of the corrections of one node and video does not fit the video; one line each.

    Args:
        size: (H, W) of its frames; None: it is not known.
    """
    for one in corrections:
        where = one.name_sentence()
        sentences = [one.sentence, *([] if one.same_as is None else [one.same_as.sentence])]
        known = [expression.id for expression in video.expressions]
        yield from (f"{where}: no sentence {name!r}; {nearest(name, known)}" for name in sentences if name not in known)
        odd = [name for name in one.frames if name not in video.frames]
        yield from (f"{where}: no frame {name!r}; {nearest(name, video.frames)}" for name in odd[:1])
        if not odd and one.frames and not one.find_places(video):
            yield f"{where}: {one.describe()}, which is before it; exchange them"
        if size is not None:
            yield from _find_misplaced(one, size)
    yield from _find_contradictions(corrections, video)


def _find_misplaced(one: Correction, size: tuple[int, int]) -> Iterator[str]:
    where = f"{one.name_sentence()}, frame {one.frame}"
    if one.mask is not None and one.mask.size != size:
        found = f"{one.mask.size[0]} x {one.mask.size[1]}"
        yield f"{where}: a mask of {found} pixels (H x W), frames of {size[0]} x {size[1]}; write it at the frame size"
    if one.box is not None:
        left, top, right, bottom = one.box
        if not (0 <= left < right <= size[1] and 0 <= top < bottom <= size[0]):
            box = ", ".join(f"{side:g}" for side in one.box)
            yield (
                f"{where}: box {box} is none inside of the frame of {size[1]} x {size[0]} pixels (W x H); "
                "give left, top, right, bottom"
            )


def _find_contradictions(corrections: Sequence[Correction], video: Video) -> Iterator[str]:
    placed = [(one, set(one.find_places(video))) for one in corrections if set(one.frames) <= set(video.frames)]
    for (one, own), (other, others) in combinations(placed, 2):
        if one.sentence == other.sentence and one.place[3] != other.place[3] and own & others:
            yield f"{one.name_sentence()}: {one.describe()} and {other.describe()} contradict each other; remove one"
    followed = {one.sentence: one.same_as.sentence for one in corrections if one.same_as and one.same_as.node is None}
    for start in sorted(followed):
        chain = [start]
        while chain[-1] in followed and chain[-1] not in chain[:-1]:
            chain.append(followed[chain[-1]])
        if len(chain) > 1 and chain[-1] == start == min(chain):
            yield f"{video.id}: each is to be the same as the next: {', '.join(chain)}; remove one"

"""What a node could have chosen: masks that were there for a sentence, whether they were taken or not.

`rvos table --oracle` scores the best of them: that tells what is missing from what is there and was not chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from fusion.votes import count_votes
from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs
from rvos.masks.tracklets import Tracklet
from rvos.settings import count
from rvos.videos import Video

Masks = Mapping[str, Sequence[Runs]]


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """One way of choosing, for all sentences of a video; `name` is that of the best choice, such as `best member`.

    Args:
        masks: for each expression what one of it can be taken as it is. The same object for several is scored once.
        parts: for each expression what any number of can be taken together.
    """

    name: str
    masks: Masks
    parts: Masks = field(default_factory=dict)


def offer_members(video: Video, members: Sequence[Mapping[str, MaskSequence]]) -> Iterator[Offer]:
    """Yield what a fusion could do with its members, a sentence at a time, whatever its groups.

    The best member; the best sequence that any member has for any sentence of the video; the best vote: of every
    subset of the members, with every number of votes that may be needed.
    """
    runs = {e.id: [member[e.id].as_runs() for member in members] for e in video.expressions}
    yield Offer("best member", runs)
    everything = [mask for own in runs.values() for mask in own]
    yield Offer("best sequence of the video", dict.fromkeys(runs, everything))
    yield Offer("best vote", {expression: list(_list_votes(own)) for expression, own in runs.items()})


def offer_tracklets(video: Video, tracklets: Sequence[Tracklet]) -> Offer:
    """Return every tracklet for every sentence."""
    masks = [tracklet.as_runs() for tracklet in tracklets]
    return Offer("best tracklet", {expression.id: masks for expression in video.expressions})


def check_sizes(offer: Offer, video: Video, size: tuple[int, int]) -> None:
    """Check that everything on offer has the frames and the size of the ground truth; InputError where it has not."""
    for masks in (*offer.masks.values(), *offer.parts.values()):
        for mask in masks:
            if (mask.n_frames, mask.size) != (video.n_frames, size):
                raise InputError(
                    f"{video.id}: {offer.name}: masks of {count(mask.n_frames, 'frame')} of "
                    f"{mask.size[0]} x {mask.size[1]} "
                    f"pixels, the ground truth has {video.n_frames} of {size[0]} x {size[1]}; make them again"
                )


def _list_votes(masks: Sequence[Runs]) -> Iterator[Runs]:
    for size in range(1, len(masks) + 1):
        for subset in combinations(masks, size):
            votes = count_votes(list(subset), [1] * size)
            yield from (votes.keep(needed) for needed in range(1, size + 1))

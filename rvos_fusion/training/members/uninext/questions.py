"""What a frame is asked in UNINEXT's training: sentences, and nouns as a detector is asked them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from rvos.settings import Chance
from rvos_fusion.training.data.targets import ClipTargets, targets_of
from rvos_fusion.training.data.texts import text_of
from rvos_fusion.training.data.videos import LabelledVideo

_ABSENT = 0.25
"""Share of the nouns that name nothing in the frame, where such questions are wanted."""


@dataclass(frozen=True, slots=True)
class NounQuestions:
    """Nouns among the questions.

    Args:
        share: of a frame's questions that are nouns; their objects are all of that category.
        names: category -> what its objects are called; a category that is not listed is called by itself.
        anything: names that fit every object.
    """

    share: Chance = 0.0
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    anything: tuple[str, ...] = ()

    def names_of(self, category: str) -> tuple[str, ...]:
        """Return what an object of a category is called, without the names that fit every object."""
        return self.names.get(category, (category,))


@dataclass(frozen=True, slots=True)
class Question:
    """A text, and those objects that it means and the frame shows; none where it shows none of them."""

    text: str
    objects: tuple[int, ...]


def sentences_of(video: LabelledVideo, seen: Sequence[int], *, negatives: bool) -> list[Question]:
    """Return a video's sentences; without `negatives` those alone that mean one of the `seen` objects."""
    shown = {str(name): name for name in seen}
    asked = [
        Question(text_of(one), tuple(shown[name] for name in one.object_ids if name in shown))
        for one in video.video.expressions
    ]
    return [question for question in asked if question.objects or negatives]


def nouns_of(video: LabelledVideo, seen: Sequence[int], settings: NounQuestions) -> list[Question]:
    """Return every noun of the settings and of the video's categories, in a fixed order."""
    categories = sorted({*settings.names, *video.categories.values()})
    asked = [
        Question(name, tuple(number for number in seen if video.categories.get(str(number)) == category))
        for category in categories
        for name in settings.names_of(category)
    ]
    return asked + [Question(name, tuple(seen)) for name in settings.anything]


def draw_nouns(
    video: LabelledVideo, seen: Sequence[int], settings: NounQuestions, count: int, *, random: np.random.Generator
) -> list[Question]:
    """Return `count` nouns, or as many as there are; a quarter of them name nothing in the frame."""
    asked = nouns_of(video, seen, settings)
    order = [asked[place] for place in random.permutation(len(asked))]
    shown, absent = [one for one in order if one.objects], [one for one in order if not one.objects]
    n_absent = int(random.binomial(count, _ABSENT))
    return (absent[:n_absent] + shown)[:count]


def gather_objects(
    labels: Sequence[NDArray[np.uint8]], questions: Sequence[Sequence[Question]], size: tuple[int, int]
) -> ClipTargets:
    """Return all questions' objects, `(N, K, ...)`, of label maps `(h, w)`, padded to `size`; K is the most of one."""
    n_places = max([1, *(len(one.objects) for asked in questions for one in asked)])
    masks, sizes = [], []
    for label, asked in zip(labels, questions, strict=True):
        pixels = torch.from_numpy(label.astype(np.int64))
        margin = (0, size[1] - label.shape[1], 0, size[0] - label.shape[0])
        for one in asked:
            # No object has the number -1: places that are left stay empty.
            numbers = torch.tensor([*one.objects, *[-1] * (n_places - len(one.objects))])
            masks.append(F.pad(pixels == numbers[:, None, None], margin))
            sizes.append(label.shape)
    return targets_of(torch.stack(masks), torch.tensor(sizes, dtype=torch.int64))


def texts_of(video: LabelledVideo, name: int, settings: NounQuestions) -> list[str]:
    """Return all that is said of an object: its sentences, also those about others too, and its nouns."""
    texts = [one.text for one in video.video.expressions if str(name) in one.object_ids]
    category = video.categories.get(str(name))
    if settings.share and category is not None:
        texts += [*settings.names_of(category), *settings.anything]
    return texts

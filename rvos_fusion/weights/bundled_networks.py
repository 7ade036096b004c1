"""What the bundled networks cannot know: they were trained on synthetic shapes, and say nothing of other videos."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import count
from rvos.videos import Expression
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.base import Node
from rvos_fusion.synthetic.bundled import CHECKPOINTS, LOWEST_USUAL
from rvos_fusion.synthetic.language.vocabulary import WORDS

_SHOWN = 6
ADVICE = (
    "the bundled networks know synthetic shapes only (docs/synthetic_data.md); what they mark elsewhere means little; "
    "for real videos fetch official weights (docs/weights.md) and give --recipe recipes/paper.yaml"
)


def find_bundled(nodes: Sequence[Node]) -> dict[str, float]:
    """Return the nodes whose networks read sentences and come with the project, with their lowest usual score."""
    found = {}
    # What looks for nouns has such a checkpoint too, and answers no sentence.
    for node in (one for one in nodes if one.artefact is MASKS):
        for file in node.files():
            if file.use == "checkpoint" and file.path.resolve().parent == CHECKPOINTS.resolve():
                lowest = LOWEST_USUAL.get(file.path.name)
                # Propagation has a bundled checkpoint too, and reads no sentence.
                if lowest is not None:
                    found[node.name] = lowest
    return found


def find_unknown_words(expressions: Sequence[Expression]) -> list[str]:
    """Return the words that no synthetic sentence has, in the order in which they first stand."""
    words = (word for one in expressions for word in re.findall(r"[^\W_]+", one.text.lower()))
    return [word for word in dict.fromkeys(words) if word not in WORDS]


def find_unsure(
    expressions: Sequence[Expression], members: Mapping[str, Mapping[str, MaskSequence]], lowest: Mapping[str, float]
) -> list[Expression]:
    """Return the sentences for which most bundled networks, by node, score below their lowest usual score."""
    unsure = []
    for one in expressions:
        low = [float(own[one.id].scores.max()) < lowest[name] for name, own in members.items() if one.id in own]
        if 2 * sum(low) > len(low):
            unsure.append(one)
    return unsure


def explain(unknown: Sequence[str], unsure: Sequence[Expression]) -> Iterator[str]:
    """Yield what to say of words and scores; nothing where both are as in training."""
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        yield f"the bundled networks never saw these words: {', '.join(unknown[:_SHOWN])}{more}"
    for one in unsure[:_SHOWN]:
        yield f"“{one.text}”: scores below what these networks have on the videos that they were made for"
    if len(unsure) > _SHOWN:
        yield f"so for {count(len(unsure) - _SHOWN, 'more sentence')}"
    if unknown or unsure:
        yield ADVICE

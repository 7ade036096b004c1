"""Stored soft masks as files that other systems, and `rvos import`, read."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from rvos.errors import StoreError
from rvos.imports.soft_pngs import LARGEST_VALUE
from rvos.masks.mask_sequences import MaskSequence, SoftMaps

SOFT_FORMS = ("npz", "png16")


def list_soft_masks(node: str, sequences: Sequence[MaskSequence], *, form: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of files with the soft masks of one video.

    Args:
        form: `npz`: as stored, with hard masks, scores and key frame; `png16`: probabilities at the size of the frames.

    Raises:
        StoreError: sequences without soft masks.
    """
    for sequence in sequences:
        if sequence.soft is None:
            raise StoreError(
                f"{node}: {sequence.video}/{sequence.expression}: no soft masks are stored; set keep_soft on the node "
                "and run it again, or export without --soft"
            )
        place = f"{sequence.video}/{sequence.expression}"
        if form == "npz":
            yield f"{place}.npz", _pack(sequence, sequence.soft)
        else:
            for index, frame in enumerate(sequence.frames):
                yield f"{place}/{frame}.png", _draw(sequence, sequence.soft, index)


def _pack(sequence: MaskSequence, soft: SoftMaps) -> bytes:
    stream = io.BytesIO()
    arrays = {
        # As they are: turned into probabilities before they are resized, logits would give other masks.
        "logits" if soft.kind == "logit" else "probabilities": soft.dequantise().astype(np.float16),
        "masks": sequence.masks(),
        "key_frame": np.array(sequence.pick_key_frame()),
        "frames": np.array(sequence.frames),
        **({"scores": sequence.scores} if sequence.scored else {}),
    }
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def _draw(sequence: MaskSequence, soft: SoftMaps, index: int) -> bytes:
    values = np.rint(soft.probabilities(index, sequence.size) * LARGEST_VALUE).astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()

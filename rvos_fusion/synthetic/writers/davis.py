"""Writing synthetic videos in the shape of Ref-DAVIS17: DAVIS as it is distributed, with four files of sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import numpy as np
from PIL import Image

from rvos.errors import ConfigError, InputError
from rvos.files.atomic import write_atomically
from rvos.formats.reading.davis_folders import TEXT_FILES
from rvos.masks.index_maps import encode_index_map
from rvos_fusion.synthetic.language.sentences import write_sentences
from rvos_fusion.synthetic.synthesis import SyntheticVideo, make_video
from rvos_fusion.synthetic.writers.files import QUALITY, encode_image, refuse_others

_LISTS = {"train": "train", "valid": "val"}
_ATTEMPTS = 50
_SPEAKING = 10**6 + 2
"""Sets the draws of the second annotator's sentences apart from those of the videos."""


def write_davis(root: Path, *, seed: int, n_videos: int, split: str = "valid") -> tuple[int, int]:
    """Write `n_videos` videos of `seed` below `root` and return the numbers of expressions and frames.

    Every object is there in the first frame, which is where the protocol counts them, and has four sentences: two of
    each annotator.

    Raises:
        ConfigError: another split than train and valid.
        InputError: fewer than one video, or a folder that holds other videos or cannot be written.
    """
    if split not in _LISTS:
        raise ConfigError(f"{root}: Ref-DAVIS17 has no split {split}; choose train or valid")
    if n_videos < 1:
        raise InputError(f"{root}: {n_videos} is no number of videos; give at least 1")
    chosen = sorted(islice(_find_videos(seed), n_videos), key=lambda found: found[1].id)
    images, maps = root / "DAVIS/JPEGImages/480p", root / "DAVIS/Annotations_unsupervised/480p"
    refuse_others(images, {video.id for _, video in chosen})
    lines: list[list[str]] = [[] for _ in TEXT_FILES]
    n_frames = 0
    for index, video in chosen:
        for number, (frame, values) in enumerate(zip(video.frames, video.index_masks, strict=True)):
            content = encode_image(Image.fromarray(frame), "JPEG", quality=QUALITY)
            write_atomically(images / video.id / f"{number:05d}.jpg", content)
            write_atomically(maps / video.id / f"{number:05d}.png", encode_index_map(values))
        for place, texts in enumerate(_speak(seed, index, video)):
            lines[place] += [f'{video.id} {thing} "{text}"' for thing, text in enumerate(texts, start=1)]
        n_frames += len(video.frames)
    names = "".join(f"{video.id}\n" for _, video in chosen)
    write_atomically(root / f"DAVIS/ImageSets/2017/{_LISTS[split]}.txt", names.encode())
    for (name, encoding), own in zip(TEXT_FILES, lines, strict=True):
        write_atomically(root / "davis_text_annotations" / name, "".join(f"{line}\n" for line in own).encode(encoding))
    return sum(len(own) for own in lines), n_frames


def _find_videos(seed: int) -> Iterator[tuple[int, SyntheticVideo]]:
    """Yield the videos of a seed whose objects are all there in the first frame."""
    for index in count():
        video = make_video(seed, index)
        first = set(np.unique(video.index_masks[0]).tolist())
        if first >= set(range(1, len(video.categories) + 1)):
            yield index, video


def _speak(seed: int, index: int, video: SyntheticVideo) -> Sequence[Sequence[str]]:
    """Return four sentences for every object, by file, then by object."""
    texts: list[list[str]] = []
    for annotator in range(len(TEXT_FILES) // 2):
        pairs = None
        for attempt in range(_ATTEMPTS):
            random = np.random.default_rng([seed, index, _SPEAKING + annotator, attempt])
            pairs = write_sentences(video.scene, random)
            if pairs is not None:
                break
        if pairs is None:
            raise InputError(f"seed {seed}, video {index}: too few sentences; take another seed")
        by_thing = {thing: [one.text for one in pairs if one.thing == thing] for thing in range(len(video.categories))}
        texts += [[by_thing[thing][place] for thing in sorted(by_thing)] for place in range(2)]
    return texts

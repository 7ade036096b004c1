"""RefCOCO, RefCOCO+ and RefCOCOg: expressions from the refer files, masks from COCO instances."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rvos.errors import InputError, explain
from rvos.files.atomic import read_whole
from rvos.files.images import LARGEST_IMAGE_FILE, decode_frame
from rvos.files.json_files import read_json
from rvos.videos import Expression, Video
from rvos_fusion.training.data.clip_augmentation import Clip
from rvos_fusion.training.data.videos import LabelledVideo

_LARGEST_INSTANCES = 1 << 31  # the official file of train2014 has 0.3 GB

_MOST_OBJECTS = 254


@dataclass(frozen=True, slots=True)
class ReferFolder:
    """Where one of the data sets is.

    Args:
        root: folder with `refs(<splitter>).p` and `instances.json`.
        images: folder of the COCO images (train2014).
        splitter: who split it: "unc" for RefCOCO and RefCOCO+, "umd" for RefCOCOg.
        split: "train", "val", "testA" and so on, as the refer file has them.
    """

    root: Path
    images: Path
    splitter: str = "unc"
    split: str = "train"


@dataclass(frozen=True, slots=True, eq=False)
class ReferredImage:
    """One sentence about one object of one image of `size` (H, W) pixels; its COCO polygons, or run lengths."""

    path: Path
    size: tuple[int, int]
    segmentation: Any
    text: str

    def read(self) -> Clip:
        """Return a clip of one frame; InputError: image missing, damaged or of another size, or no mask."""
        pixels = decode_frame(read_whole(self.path, most=LARGEST_IMAGE_FILE), where=str(self.path))
        if pixels.shape[:2] != self.size:
            raise InputError(f"{self.path}: image is {pixels.shape[:2]}, instances.json says {self.size}; replace it")
        return Clip(pixels[None], self.read_mask()[None], self.text)

    def read_mask(self) -> NDArray[np.bool_]:
        """Return the mask `(H, W)`; InputError: damaged, or without a pixel."""
        height, width = self.size
        try:
            if isinstance(self.segmentation, Mapping):
                runs = dict(self.segmentation)
                if isinstance(runs["counts"], list):
                    runs = coco.frPyObjects(runs, height, width)
                pixels = coco.decode(runs)
            else:
                pixels = coco.decode(coco.merge(coco.frPyObjects(self.segmentation, height, width)))
        except Exception as error:
            # The library raises plain exceptions for malformed segmentations.
            raise InputError(
                f"{self.path}: segmentation of {self.text!r} cannot be read ({explain(error)}); mend it"
            ) from None
        mask: NDArray[np.bool_] = pixels.astype(bool)
        if mask.shape != self.size or not mask.any():
            raise InputError(f"{self.path}: the object of {self.text!r} has no mask; drop the expression")
        return mask


def read_refer(folder: ReferFolder) -> list[ReferredImage]:
    """Return the split's sentences in the file's order; InputError: missing, damaged, code, no object or image."""
    return [sentence for sentence, _ in _read_sentences(folder)[0]]


def open_refer(folder: ReferFolder) -> list[LabelledVideo]:
    """Return the split's images as videos of one frame, with all objects of the image and the sentences about them.

    Raises:
        InputError: as `read_refer`; when masks are read, also one that is damaged.
    """
    sentences, annotations = _read_sentences(folder)
    objects: dict[int | None, list[Mapping[str, Any]]] = {}
    for annotation in annotations:
        if annotation.get("segmentation") and not annotation.get("iscrowd"):
            objects.setdefault(annotation.get("image_id"), []).append(annotation)
    asked: dict[int, list[tuple[ReferredImage, Mapping[str, Any]]]] = {}
    for sentence, annotation in sentences:
        asked.setdefault(annotation["image_id"], []).append((sentence, annotation))
    return [_open_image(found, objects[image]) for image, found in asked.items()]


def _open_image(
    sentences: Sequence[tuple[ReferredImage, Mapping[str, Any]]], objects: Sequence[Mapping[str, Any]]
) -> LabelledVideo:
    # Those that sentences name stay, whatever the number; an index mask holds 254.
    named = {annotation["id"] for _, annotation in sentences}
    kept = sorted(objects, key=lambda one: one["id"] not in named)[:_MOST_OBJECTS]
    numbers = {annotation["id"]: str(place) for place, annotation in enumerate(kept, start=1)}
    first = sentences[0][0]
    expressions = tuple(
        Expression(str(place), sentence.text, (numbers[annotation["id"]],))
        for place, (sentence, annotation) in enumerate(sentences)
    )
    video = Video(first.path.stem, (first.path.stem,), expressions, (first.path,))
    return LabelledVideo(video, lambda _: _paint(first, kept))


def _paint(image: ReferredImage, objects: Sequence[Mapping[str, Any]]) -> NDArray[np.uint8]:
    """Return the index mask `(H, W)` of an image; small objects lie on large ones."""
    masks = [replace(image, segmentation=one["segmentation"]).read_mask() for one in objects]
    label = np.zeros(image.size, np.uint8)
    for place in sorted(range(len(masks)), key=lambda place: -int(masks[place].sum())):
        label[masks[place]] = place + 1
    return label


def _read_sentences(
    folder: ReferFolder,
) -> tuple[list[tuple[ReferredImage, Mapping[str, Any]]], list[Mapping[str, Any]]]:
    """Return the split's sentences, each with the annotation of its object, and all annotations of the data set."""
    path = folder.root / f"refs({folder.splitter}).p"
    references = [entry for entry in _read_references(path) if _field(entry, "split", path) == folder.split]
    if not references:
        raise InputError(f"{path}: split {folder.split} has no expressions; check `split` and `splitter`")
    instances = folder.root / "instances.json"
    try:
        content = read_json(instances, most=_LARGEST_INSTANCES)
        listed = list(content["annotations"])
        annotations = {entry["id"]: entry for entry in listed}
        images = {entry["id"]: entry for entry in content["images"]}
    except (KeyError, TypeError) as error:
        raise InputError(f"{instances}: no COCO instances ({explain(error)}); get the file again") from None
    samples = []
    for entry in references:
        annotation = annotations.get(_field(entry, "ann_id", path))
        image = images.get(annotation["image_id"]) if annotation else None
        if annotation is None or image is None:
            raise InputError(f"{instances}: object {entry['ann_id']} or its image is missing; get the file again")
        if not annotation.get("segmentation"):
            raise InputError(f"{instances}: object {entry['ann_id']} has no mask; get the file again")
        file, size = folder.images / image["file_name"], (int(image["height"]), int(image["width"]))
        samples += [
            (ReferredImage(file, size, annotation["segmentation"], str(_field(sentence, "sent", path))), annotation)
            for sentence in _field(entry, "sentences", path)
        ]
    return samples, listed


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts and containers; anything that names a class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _read_references(path: Path) -> list[Mapping[str, Any]]:
    try:
        with path.open("rb") as stream:
            # The files were written by Python 2.
            content = _PlainUnpickler(stream, encoding="utf-8").load()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); put the refer files there") from None
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: no plain refer file ({explain(error)}); get it again") from None
    if not isinstance(content, list) or not all(isinstance(entry, Mapping) for entry in content):
        raise InputError(f"{path}: holds no list of expressions; get it again")
    return content


def _field(entry: Mapping[str, Any], name: str, path: Path) -> Any:
    if name not in entry:
        raise InputError(f"{path}: an expression lacks {name}; get the file again")
    return entry[name]

"""RefCOCO, RefCOCO+ and RefCOCOg: expressions from the refer files, masks from COCO instances."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rvos.errors import InputError
from rvos.files.atomic import read_whole
from rvos.files.images import LARGEST_IMAGE_FILE, decode_frame
from rvos.files.json_files import read_json
from rvos_fusion.training.data.clip_augmentation import Clip

_LARGEST_INSTANCES = 1 << 31  # the official file of train2014 has 0.3 GB


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
        return Clip(pixels[None], self._mask()[None], self.text)

    def _mask(self) -> NDArray[np.bool_]:
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
            raise InputError(f"{self.path}: segmentation of {self.text!r} cannot be read ({error}); mend it") from None
        mask: NDArray[np.bool_] = pixels.astype(bool)
        if mask.shape != self.size or not mask.any():
            raise InputError(f"{self.path}: the object of {self.text!r} has no mask; drop the expression")
        return mask


def read_refer(folder: ReferFolder) -> list[ReferredImage]:
    """Return the split's sentences in the file's order; InputError: missing, damaged, code, no object or image."""
    path = folder.root / f"refs({folder.splitter}).p"
    references = [entry for entry in _read_references(path) if _field(entry, "split", path) == folder.split]
    if not references:
        raise InputError(f"{path}: split {folder.split} has no expressions; check `split` and `splitter`")
    wanted = {_field(entry, "ann_id", path) for entry in references}
    instances = folder.root / "instances.json"
    try:
        content = read_json(instances, most=_LARGEST_INSTANCES)
        annotations = {entry["id"]: entry for entry in content["annotations"] if entry["id"] in wanted}
        images = {entry["id"]: entry for entry in content["images"]}
    except (KeyError, TypeError) as error:
        raise InputError(f"{instances}: no COCO instances ({error}); get the file again") from None
    samples = []
    for entry in references:
        annotation = annotations.get(entry["ann_id"])
        image = images.get(annotation["image_id"]) if annotation else None
        if annotation is None or image is None:
            raise InputError(f"{instances}: object {entry['ann_id']} or its image is missing; get the file again")
        if not annotation.get("segmentation"):
            raise InputError(f"{instances}: object {entry['ann_id']} has no mask; get the file again")
        file, size = folder.images / image["file_name"], (int(image["height"]), int(image["width"]))
        samples += [
            ReferredImage(file, size, annotation["segmentation"], str(_field(sentence, "sent", path)))
            for sentence in _field(entry, "sentences", path)
        ]
    return samples


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
        raise InputError(f"{path}: no plain refer file ({error}); get it again") from None
    if not isinstance(content, list) or not all(isinstance(entry, Mapping) for entry in content):
        raise InputError(f"{path}: holds no list of expressions; get it again")
    return content


def _field(entry: Mapping[str, Any], name: str, path: Path) -> Any:
    if name not in entry:
        raise InputError(f"{path}: an expression lacks {name}; get the file again")
    return entry[name]

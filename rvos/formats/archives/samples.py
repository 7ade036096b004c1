"""The archive of data sets without a server: `results.json`, masks of the annotated frames in COCO's form."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from rvos.dataset import Dataset
from rvos.errors import InputError
from rvos.evaluation.coco_results import RESULTS, Rows, encode_results, list_rows, read_results
from rvos.files.archives import make_entry
from rvos.formats.archives.layout import ArchiveLayout, Audit, ReadVideo, read_sequences
from rvos.masks.runs import Runs


class ResultsArchive(ArchiveLayout):
    """The masks of every sentence in the annotated frame, those of all queries where a node kept them, with scores."""

    def write(self, archive: zipfile.ZipFile, dataset: Dataset, read: ReadVideo) -> int:
        """Write the one file."""
        rows = list_rows(
            (sequence, video.annotated_frame)
            for video in dataset.videos
            for sequence in read_sequences(dataset, video, read)
        )
        archive.writestr(make_entry(RESULTS), encode_results(rows))
        return len(rows)

    def audit(self, path: Path, dataset: Dataset) -> Audit:
        """Check that every sentence has a mask of the right size, and nothing else has one."""
        try:
            results = dict(read_results(path))
        except InputError as error:
            return Audit([str(error)], [])
        marked = {
            name
            for name, rows in results.items()
            if any(Runs.decode([one.counts], size).areas().any() for one, size in rows)
        }
        return Audit.of(dataset, list(self._find_faults(results, dataset)), marked)

    def _find_faults(self, results: dict[tuple[str, str], Rows], dataset: Dataset) -> Iterator[str]:
        for video in dataset.videos:
            size = dataset.read_size(video)
            for expression in video.expressions:
                name = f"{video.id}/{expression.id}"
                rows = results.pop((video.id, expression.id), ())
                if not rows:
                    yield f"{name}: no mask"
                for _, found in rows:
                    if size is not None and found != size:
                        yield f"{name}: {found[0]} x {found[1]} pixels (H x W), expected {size[0]} x {size[1]}"
        for stray in results:
            yield f"{'/'.join(stray)}: not expected (another video or expression); leave it out"

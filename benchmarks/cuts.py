"""How many cuts are found, and how many of these are none: `python -m benchmarks.cuts DATA`.

DATA is what `rvos synthesize --cuts SHARE --out DATA` wrote. What `cuts: split` gains on it, `rvos table RECIPE NODE
--vary stages.STAGE.NODE.cuts=ignore,split --run` says.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from propagate.shots import list_shots
from rvos.files.json_files import read_json
from rvos.formats import open_dataset

_SPLIT = "valid"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print precision and recall over the pairs of neighbouring frames."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuts", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    options = parser.parse_args(arguments)
    truth = read_json(options.data / _SPLIT / "cuts.json")
    right = wrong = pairs = 0
    for video in open_dataset("ref-youtube-vos", options.data, _SPLIT).videos:
        cuts = [video.frames[shot.start] for shot in list_shots(video)[1:]]
        right += sum(cut == truth.get(video.id) for cut in cuts)
        wrong += sum(cut != truth.get(video.id) for cut in cuts)
        pairs += video.n_frames - 1
    found = right + wrong
    print(f"{pairs} pairs of frames, {len(truth)} cuts: precision {right} of {found}, recall {right} of {len(truth)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

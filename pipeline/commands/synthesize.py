"""`rvos synthesize`: a Ref-YouTube-VOS-shaped data set of drawn videos with exact ground truth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from demo.files import write_dataset


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = "example:\n  rvos synthesize --seed 7 --videos 100 --out data/unseen"
    parser.add_argument("--seed", type=int, required=True, help="whole number from 0; another seed, another set")
    parser.add_argument("--videos", type=int, required=True, help="how many")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--split", choices=("train", "valid", "test"), default="valid", help="default: valid")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write the data set."""
    n_expressions, n_frames = write_dataset(
        options.out, seed=options.seed, n_videos=options.videos, split=options.split
    )
    counts = {"videos": options.videos, "expressions": n_expressions, "frames": n_frames}
    if options.json:
        print(json.dumps({"root": str(options.out), "split": options.split, **counts}))
    else:
        print(f"{options.out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return 0

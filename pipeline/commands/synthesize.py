"""`rvos synthesize`: a Ref-YouTube-VOS-shaped data set of drawn videos with exact ground truth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from demo.files import write_dataset
from demo.mevis_files import NO_TARGET, write_mevis
from rvos.errors import ConfigError


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "examples:\n  rvos synthesize --seed 7 --videos 100 --drop 0.015 --out data/unseen\n"
        "  rvos synthesize --seed 7 --videos 100 --format mevis --split valid_u --out data/unseen"
    )
    parser.add_argument("--seed", type=int, required=True, help="whole number from 0; another seed, another set")
    parser.add_argument("--videos", type=int, required=True, help="how many")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument(
        "--split", choices=("train", "valid", "valid_u", "test"), default="valid", help="default: valid"
    )
    parser.add_argument("--format", choices=("ref-youtube-vos", "mevis"), default="ref-youtube-vos")
    parser.add_argument(
        "--drop", type=float, default=0.0, metavar="SHARE", help="leave out this share of the sentences"
    )
    parser.add_argument(
        "--no-target",
        type=float,
        default=NO_TARGET,
        metavar="SHARE",
        help="mevis: sentences about nothing in the video",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write the data set."""
    own = {"seed": options.seed, "n_videos": options.videos, "split": options.split}
    if options.format == "mevis":
        if options.drop:
            raise ConfigError(f"--drop {options.drop}: only for ref-youtube-vos; leave it out")
        n_expressions, n_frames = write_mevis(options.out, no_target=options.no_target, **own)
    else:
        n_expressions, n_frames = write_dataset(options.out, drop=options.drop, **own)
    counts = {"videos": options.videos, "expressions": n_expressions, "frames": n_frames}
    if options.json:
        print(json.dumps({"root": str(options.out), "split": options.split, **counts}))
    else:
        print(f"{options.out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return 0

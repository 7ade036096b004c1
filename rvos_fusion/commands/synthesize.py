"""`rvos synthesize`: a data set of drawn videos with exact ground truth, in the shape of a real one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from rvos.errors import ConfigError
from rvos.formats import find_format
from rvos_fusion.synthetic.writers.davis import write_davis
from rvos_fusion.synthetic.writers.files import write_dataset
from rvos_fusion.synthetic.writers.index_maps import write_custom, write_mosev2
from rvos_fusion.synthetic.writers.mevis import write_mevis
from rvos_fusion.synthetic.writers.mixed_sentences import HARD, NO_TARGET
from rvos_fusion.synthetic.writers.object_folders import write_long_rvos, write_reason_vos
from rvos_fusion.synthetic.writers.revos import write_revos
from rvos_fusion.synthetic.writers.samples import write_a2d, write_jhmdb
from rvos_fusion.tables import print_json

WRITERS: Mapping[str, tuple[Callable[..., tuple[int, int]], tuple[str, ...]]] = {
    "ref-youtube-vos": (write_dataset, ("drop", "cuts")),
    "mevis": (write_mevis, ("no_target", "hard")),
    "ref-davis17": (write_davis, ()),
    "revos": (write_revos, ("no_target", "hard")),
    "reason-vos": (write_reason_vos, ()),
    "long-rvos": (write_long_rvos, ()),
    "mosev2": (write_mosev2, ()),
    "custom": (write_custom, ()),
    "a2d-sentences": (write_a2d, ()),
    "jhmdb-sentences": (write_jhmdb, ()),
}
"""Format -> what writes it, and the options that it alone has."""


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos synthesize --seed 7 --videos 100 --drop 0.015 --out data/unseen\n"
        "  rvos synthesize --seed 7 --videos 100 --format mevis --split valid_u --out data/unseen\n"
        "  rvos synthesize --seed 7 --videos 30 --format a2d-sentences --out data/unseen_a2d"
    )
    parser.add_argument("--seed", type=int, required=True, help="whole number from 0; another seed, another set")
    parser.add_argument("--videos", type=int, required=True, help="how many")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument(
        "--split",
        choices=("train", "valid", "valid_u", "test"),
        help="default: valid; test for a2d-sentences, jhmdb-sentences and reason-vos",
    )
    parser.add_argument("--format", choices=tuple(WRITERS), default="ref-youtube-vos")
    parser.add_argument(
        "--drop", type=float, default=0.0, metavar="SHARE", help="leave out this share of the sentences"
    )
    parser.add_argument(
        "--cuts",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="ref-youtube-vos: this share of the videos has two shots",
    )
    parser.add_argument(
        "--no-target",
        type=float,
        default=NO_TARGET,
        metavar="SHARE",
        help="mevis, revos: sentences about nothing in the video",
    )
    parser.add_argument(
        "--hard",
        type=float,
        default=HARD,
        metavar="SHARE",
        help="mevis, revos: of these, how many speak of an object that is there and say something wrong of it",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write the data set."""
    write, own = WRITERS[options.format]
    for name in ("drop", "cuts"):
        if getattr(options, name) and name not in own:
            takers = " and ".join(taker for taker, (_, others) in WRITERS.items() if name in others)
            raise ConfigError(f"--{name} {getattr(options, name)}: only for {takers}; leave it out")
    split = options.split or ("test" if find_format(options.format).default_split == "test" else "valid")
    given = {name: getattr(options, name) for name in own}
    n_expressions, n_frames = write(options.out, seed=options.seed, n_videos=options.videos, split=split, **given)
    counts = {"videos": options.videos, "expressions": n_expressions, "frames": n_frames}
    if options.json:
        print_json({"root": str(options.out), "split": split, **counts})
    else:
        print(f"{options.out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return 0

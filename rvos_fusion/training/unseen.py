"""Scores of a checkpoint on labelled videos: `python -m rvos_fusion.training.unseen CHECKPOINT --runner soc`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import deaot_toolkit
import torch
import yaml

from propagate.engines.cfbi.checkpoints import load_weights
from propagate.engines.cfbi.configs import find_config
from propagate.engines.cfbi.network import Cfbi
from runners.registry import RUNNERS
from rvos_fusion.training.data.videos import VideoFolder
from rvos_fusion.training.scores.members import MemberValidation, member_scores
from rvos_fusion.training.scores.propagation import PropagationValidation, Read, propagation_scores
from rvos_fusion.training.scores.starts import read_cfbi, read_toolkit


def score_checkpoint(
    checkpoint: Path,
    folder: VideoFolder,
    *,
    runner: str | None,
    network: str | None,
    options: Mapping[str, str | int | float | bool],
) -> Mapping[str, float]:
    """Return J, F and J&F (0 to 100) of a referring network; without a runner, of true key masks, propagated.

    Args:
        network: of CFBI or CFBI+; None: the file says which AOT or DeAOT it is.
    """
    if runner is None:
        with torch.inference_mode():
            return propagation_scores(_open_engine(checkpoint, network), PropagationValidation(folder))
    return member_scores(runner, checkpoint, MemberValidation(folder, options), device=torch.device("cpu"))


def _open_engine(checkpoint: Path, network: str | None) -> Read:
    if network is None:
        return partial(read_toolkit, deaot_toolkit.load(checkpoint))
    loaded = Cfbi(find_config(network))
    load_weights(loaded, checkpoint, name=network)
    return partial(read_cfbi, loaded.eval())


def main() -> None:
    """Print the scores as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--runner", choices=RUNNERS, help="none: a network that propagates")
    parser.add_argument("--network", help="of CFBI or CFBI+, such as compact-cfbi+; none: AOT or DeAOT")
    parser.add_argument("--data", type=Path, required=True, help="folder of `rvos synthesize`")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--videos", type=int)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of the runner")
    arguments = parser.parse_args()
    pairs = (option.partition("=") for option in arguments.option)
    options = {key: yaml.safe_load(value) for key, _, value in pairs}
    folder = VideoFolder(arguments.data, arguments.split, videos=arguments.videos)
    scores = score_checkpoint(
        arguments.checkpoint, folder, runner=arguments.runner, network=arguments.network, options=options
    )
    print(json.dumps({name: round(value, 2) for name, value in scores.items()}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

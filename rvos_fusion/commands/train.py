"""`rvos train CONFIG`: train one network as a YAML file says; the same command resumes it."""

from __future__ import annotations

import argparse
from pathlib import Path

from rvos_fusion.running.run_log import logged, name_log


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n"
        "  rvos train rvos_fusion/training/configs/small_deaot.yaml\n"
        "  rvos train rvos_fusion/training/configs/small_deaot.yaml --resume --set loop.steps=20000\n"
        "  torchrun --nproc_per_node 8 -m rvos_fusion.commands.cli train rvos_fusion/training/configs/soc_joint.yaml"
    )
    parser.add_argument("config", type=Path, metavar="CONFIG")
    parser.add_argument("--out", type=Path, help="folder of states and curves (default: runs/training/<name>)")
    parser.add_argument("--resume", action="store_true", help="go on from the saved state, if there is one")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the final (averaged) weights there")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--threads", type=int, help="CPU threads of torch")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Train, and say where the results are."""
    from rvos_fusion.training.config import read_config

    config = read_config(options.config, options.set)
    # torch is imported here, so that other commands and what is wrong with a file are quick.
    import torch

    from rvos_fusion.training.run import run_training

    if options.threads:
        torch.set_num_threads(options.threads)
    folder = options.out or Path("runs/training") / config.name
    with logged(name_log(folder)):
        summary = run_training(
            config, folder, resume=options.resume, export=options.export, device=options.device, quiet=options.quiet
        )
    score = f", best J&F {summary.best:.1f}" if summary.best >= 0 else ""
    print(f"{config.name}: {summary.steps} steps in {summary.seconds / 60:.1f} minutes{score}; see {folder}")
    return 0

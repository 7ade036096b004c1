"""`python -m rvos_fusion.parity CASE_DIR FILE`: writes the condensed form of a recorded case."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rvos.errors import PipelineError
from rvos_fusion.parity.condensed import LARGEST, condense


def main(arguments: list[str] | None = None) -> int:
    """Write the condensed case; 2 where it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m rvos_fusion.parity", description=__doc__)
    parser.add_argument("case", type=Path, metavar="CASE_DIR")
    parser.add_argument("out", type=Path, metavar="FILE", help="such as tests/parity_cases/aot/aott.npz")
    parser.add_argument(
        "--frames", type=int, metavar="N", help="keep the first N frames (networks that look back only)"
    )
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="PREFIX", help="inputs and outputs to drop")
    parser.add_argument("--largest", type=int, default=LARGEST, metavar="BYTES", help=f"default: {LARGEST}")
    options = parser.parse_args(arguments)
    left_out = tuple(options.leave_out)
    try:
        size = condense(options.case, options.out, frames=options.frames, leave_out=left_out, largest=options.largest)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

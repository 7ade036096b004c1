"""Loading official ReferFormer and MUTR files into the networks."""

from __future__ import annotations

from runners.checkpoints import CheckpointFile, LoadReport, load_strict
from runners.networks.referformer import ReferFormer
from runners.networks.text_encoder import IGNORED_TEXT_KEYS

# Constants that the networks compute themselves, and leftovers of a profiler.
IGNORED_KEYS = (
    *IGNORED_TEXT_KEYS,
    r"relative_position_index$",
    r"num_batches_tracked$",
    r"total_params$",
    r"total_ops$",
)


def load_released(network: ReferFormer, file: CheckpointFile) -> LoadReport:
    """Load every key of a file into the network, or nothing.

    Raises:
        CheckpointError: the file does not fit the network.
    """
    return load_strict(network, file, ignored=IGNORED_KEYS)

"""One thread for torch: spinning workers make small tests many times slower on busy machines."""

from __future__ import annotations

import torch

torch.set_num_threads(1)

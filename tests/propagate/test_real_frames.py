"""An untrained network on enlarged frames at 480p: it runs both ways within the memory that the README states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DEMO = Path(__file__).parents[2] / "demo" / "data" / "valid"

LIMIT = 900
"""Megabytes of the whole process: libraries, network, maps of the frame at hand, and a full cache."""
CACHE = 256

SCRIPT = """
import re, sys
from pathlib import Path
import deaot_toolkit, numpy as np, torch
from PIL import Image
from propagate.engines.aot.settings import AotSettings
from propagate.engines.table import build_engine
from propagate.propagator import Propagator, Source
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video

folder, checkpoint, cache = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(0)
deaot_toolkit.save(deaot_toolkit.build("deaott"), checkpoint)
engine = build_engine(
    AotSettings("deaott", checkpoint, scales=(480 / 360,), cache_megabytes=cache), device=torch.device("cpu")
)
paths = sorted((folder / "images").glob("*.jpg"))
frames = tuple(path.stem for path in paths)
video = Video(folder.name, frames, (), tuple(paths))
labels = np.asarray(Image.open(next((folder / "masks").glob("*.png"))))
sequences = []
for expression, (identity, key) in {"first": (1, 0), "second": (2, 2)}.items():
    masks = np.zeros((len(frames), *labels.shape), dtype=bool)
    masks[key] = labels == identity
    scores = np.zeros(len(frames), dtype=np.float32)
    sequences.append(
        MaskSequence.from_masks(
            masks, video=video.id, expression=expression, frames=frames, scores=scores, key_frame=key
        )
    )
results = Propagator(engine).propagate(video, [Source(sequences)])[0]
assert engine.input_size((360, 640), 480 / 360) == (481, 849)
assert [r.runs[r.key_frame] == s.runs[s.key_frame] for r, s in zip(results, sequences)] == [True, True]
assert engine.features.n_bytes <= cache << 20
# Not ru_maxrss: a new process starts with that of the one that made it.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
print(engine.features.n_made, engine.features.n_bytes >> 20, peak)
"""


def write_clip(folder: Path) -> Path:
    """Write five frames of 360 x 640 pixels and the map of two objects in the first."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    video = min((DEMO / "JPEGImages").iterdir())
    paths = sorted(video.glob("*.jpg"))[:5]
    for path in paths:
        Image.open(path).resize((640, 360), Image.Resampling.BICUBIC).save(folder / "images" / path.name)
    labels = np.zeros((360, 640), np.uint8)
    labels[80:240, 100:220], labels[120:300, 380:560] = 1, 2
    Image.fromarray(labels).save(folder / "masks" / "00000.png")
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak memory is read from Linux's /proc")
def test_480p_runs_both_ways_within_the_stated_memory(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip")
    command = [sys.executable, "-c", SCRIPT, str(clip), str(tmp_path / "deaott.safetensors"), str(CACHE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    encoded, cached, peak = map(int, done.stdout.split())
    assert encoded == 5
    assert 0 < cached <= CACHE
    assert peak < LIMIT

"""Every benchmark with its aim; `benchmarks.NAME` has `run()`, which yields its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """One benchmark.

    Args:
        aim: what it promises, in words.
        short: arguments of its `run` in the short table, which all together takes less than ten minutes on two cores;
            None: it is not in it, as it takes longer or promises nothing.
    """

    aim: str
    short: Mapping[str, Any] | None = field(default_factory=dict)


CASES: Mapping[str, Case] = {
    "assignment": Case("groups and assignment of a whole split cost a hundredth of dense masks"),
    "barrier": Case("no worker idles beside work that could run", None),
    "cfbi": Case(
        "expressions share all that they can, at 60 % of the machine; memory does not grow with the video", None
    ),
    "cluster": Case("memory of a cluster does not grow with the number of tasks", None),
    "evaluation": Case("J and F five times as fast as the dense procedure, the same values"),
    "frame_rates": Case("frames a second as papers report them; nothing is promised", None),
    "fuzz": Case("no spoilt input breaks a command", {"count": 100}),
    "fusion": Case("votes 20 times as fast as dense ones; a sweep costs two votes; memory and sizes are bounded"),
    "judge_kills": Case("what a judge was asked is never asked again, whenever a run is killed", {"count": 2}),
    "kills": Case("killed runs are resumed to the same bytes, and leave nothing behind", {"count": 3}),
    "masklets": Case("expressions that share nouns cost half"),
    "precision": Case("bfloat16 against float32; nothing is promised", None),
    "propagation": Case(
        "three to five times as fast as a plain run for each expression, the same masks", {"networks": ("r50-deaotl",)}
    ),
    "recipe": Case("a run costs no more than its nodes one by one; what is not the networks' is a tenth", {"goes": 1}),
    "report_page": Case("the page of a whole split opens as one of a tenth does, and stays small", None),
    "roofline": Case("whole passes at 45 % of what the machine can do", {"names": ("r50-aotl", "soc", "uninext-r50")}),
    "sam2": Case("expressions and directions share all that they can; memory does not grow with the video", None),
    "sam3": Case("phrases, sentences and detector share all that they can; memory does not grow with the video", None),
    "scaling": Case("64 workers at 90 % efficiency, simulated"),
    "sharing": Case("ReferFormer shares its visual pass; memory of windows is bounded", None),
    "sharing_soc": Case("SOC shares its visual pass", {"n_frames": 3}),
    "sharing_uninext": Case("UNINEXT shares its visual pass; ViT-H fits into 8 GiB", {"backbone": "resnet50"}),
    "tracklets": Case("proposals four times as fast as one by one; NMS from run lengths ten times"),
    "variants": Case("a variant of a grid costs a third of a recipe of its own", {"n_videos": 20, "n_recipes": 2}),
}
"""By name, in the order of the table."""

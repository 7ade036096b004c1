"""Every benchmark with its aim; `benchmarks.NAME` has `run()`, which yields its rows."""

from __future__ import annotations

from collections.abc import Mapping

CASES: Mapping[str, str] = {
    "assignment": "groups and assignment of a whole split in two seconds each",
    "barrier": "no worker idles beside work that could run",
    "cfbi": "expressions share all that they can, at 60 % of the machine; memory does not grow with the video",
    "cluster": "memory of a cluster does not grow with the number of tasks",
    "evaluation": "J and F five times as fast as the dense procedure, the same values",
    "frame_rates": "frames a second as papers report them; nothing is promised",
    "fuzz": "no spoilt input breaks a command",
    "fusion": "votes 20 times as fast as dense ones; a sweep costs two votes; memory and sizes are bounded",
    "judge_kills": "what a judge was asked is never asked again, whenever a run is killed",
    "kills": "killed runs are resumed to the same bytes, and leave nothing behind",
    "masklets": "expressions that share nouns cost half",
    "precision": "bfloat16 against float32; nothing is promised",
    "propagation": "three to five times as fast as a plain run for each expression, the same masks",
    "recipe": "a run costs no more than its nodes one by one; what is not the networks' is a tenth",
    "report_page": "the page of a whole split opens in two seconds and stays small",
    "roofline": "whole passes at 45 % of what the machine can do",
    "sam2": "expressions and directions share all that they can; memory does not grow with the video",
    "sam3": "phrases, sentences and detector share all that they can; memory does not grow with the video",
    "scaling": "64 workers at 90 % efficiency, simulated",
    "sharing": "ReferFormer shares its visual pass; memory of windows is bounded",
    "sharing_soc": "SOC shares its visual pass",
    "sharing_uninext": "UNINEXT shares its visual pass; ViT-H fits into 8 GiB",
    "tracklets": "proposals four times as fast as one by one; NMS from run lengths ten times",
    "variants": "a variant of a grid costs a third of a recipe of its own",
}

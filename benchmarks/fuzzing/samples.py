"""Which files are spoilt, and which commands read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzzing.projects import (
    write_checkpoints,
    write_clip,
    write_finished,
    write_imports,
    write_project,
    write_recipes,
    write_samples,
    write_trainings,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A project and what is done with it.

    Args:
        write: writes it into a folder.
        files: patterns of the files that are spoilt.
        commands: words of each command; FILE stands for the file, relative to the folder.
        own: names in the folder that commands may change.
        override: a file whose keys `--set` changes, in place of a spoilt file.
        weight: how often it is taken.
        runs_code: commands may import what is there.
    """

    write: Callable[[Path], None]
    files: tuple[str, ...]
    commands: tuple[str, ...]
    own: tuple[str, ...] = ("ws", "out", "runs")
    override: str = ""
    weight: int = 10
    runs_code: bool = False


_LOOK = ("plan FILE", "doctor FILE", "doctor FILE --deep", "licences FILE", "nouns FILE", "clean FILE", "table FILE")
_ALL = (
    "run my.yaml --quiet",
    "submit my.yaml",
    "submit my.yaml --team team.json --out out/x.zip",
    "report my.yaml --quiet",
    "report my.yaml ws --quiet --out out/r.html",
    "sweep my.yaml final",
    "table my.yaml",
    "table my.yaml --oracle --pairs --stability --json",
    "plan my.yaml",
    "plan my.yaml --workers 2",
    "clean my.yaml --remove",
    "doctor my.yaml --deep",
    "export final --workspace ws --out out",
    "pseudo-labels my.yaml final --out out --quiet",
    "check-submission ws/submission.zip --recipe my.yaml",
    "check-submission ws/submission.zip",
    "fit my.yaml final --force --out out/fit.json",
)
_SAMPLES = (
    "evaluate data masks --format FORMAT",
    "run pipeline.yaml --quiet",
    "table pipeline.yaml",
    "doctor pipeline.yaml --deep",
)

SAMPLES: Mapping[str, Sample] = {
    "recipe": Sample(
        write_project, ("my.yaml",), ("run FILE --quiet", *_LOOK, "report FILE --quiet", "submit FILE"), weight=25
    ),
    "bundled recipe": Sample(
        write_recipes, ("pipeline.yaml", "[a-l]*.yaml", "[n-z]*.yaml", "mevis*.yaml"), _LOOK, weight=15
    ),
    "override": Sample(
        write_project, (), ("run my.yaml --quiet", "plan my.yaml", "doctor my.yaml"), override="my.yaml", weight=12
    ),
    "training": Sample(write_trainings, ("*.yaml",), ("train FILE --quiet",), weight=12),
    "override of a training": Sample(
        write_trainings, (), ("train small_soc.yaml --quiet",), override="small_soc.yaml", weight=6
    ),
    "expressions": Sample(
        write_project,
        ("data/meta_expressions/*/*.json", "data/valid/meta.json"),
        (
            "run my.yaml --quiet",
            "evaluate data masks/a --format ref-youtube-vos",
            "doctor my.yaml",
            "import masks/a --root data",
            "report my.yaml --quiet",
            "evaluate data masks/a --format ref-youtube-vos --out out --json",
        ),
        weight=20,
    ),
    "masks": Sample(
        write_project,
        ("masks/*/*/*/*.png", "data/valid/*/*/*.png", "data/valid/*/*/*.jpg"),
        (
            "run my.yaml --quiet",
            "evaluate data masks/b --format ref-youtube-vos",
            "doctor my.yaml --deep",
            "import masks/a --root data --workspace out --node n",
        ),
        weight=20,
    ),
    "imports": Sample(
        write_imports,
        ("runs.json", "npz/*/*.npz", "dump.pth", "old.pth", "png16/*/*/*.png", "masks/a/key_frame.json", "masks.zip"),
        (
            "import SOURCE --root data --workspace out --node n",
            "import SOURCE --root data --soft",
            "import png16 --kind png16 --root data",
            "import SOURCE --root data --values probabilities --json",
        ),
        weight=40,
    ),
    "archive": Sample(
        write_imports,
        ("masks.zip",),
        (
            "evaluate data masks.zip --format ref-youtube-vos",
            "check-submission masks.zip --root data",
            "check-submission masks.zip --root data --json",
        ),
        weight=12,
    ),
    "checkpoint": Sample(
        write_checkpoints, ("*.safetensors", "*.pth", "*.pkl"), ("checkpoint FILE", "checkpoint FILE --json"), weight=25
    ),
    "workspace": Sample(
        write_finished,
        ("ws/nodes/*/*/*", "ws/made_by/*", "ws/*.json", "ws/*.csv", "ws/submission.zip", "ws/.gitignore", "team.json"),
        _ALL,
        weight=40,
    ),
    **{
        form: Sample(
            write_samples(form),
            ("data/*.*", "data/*/*.*", "data/*/*/*.*", "data/*/*/*/*.*", "data/*/*/*/*/*.*"),
            tuple(words.replace("FORMAT", form) for words in _SAMPLES),
            runs_code=True,
        )
        for form in ("mevis", "ref-davis17", "a2d-sentences", "jhmdb-sentences")
    },
    "clip": Sample(
        write_clip,
        ("clip.mp4", "pictures_*/1.*"),
        ("segment SOURCE words --out out --quiet",),
        runs_code=True,
        weight=12,
    ),
}

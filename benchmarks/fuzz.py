"""`python -m benchmarks.fuzz --seed N --count M`: spoilt inputs for every command; none may break one.

An input is a small valid project in which one file, or one word of the command line, is changed at random. It breaks a
command that ends in a traceback, does not end, needs more than a GiB, runs what it reads, asks the network, or writes
where it should not. Input `INDEX` of a seed is always the same: `--start INDEX --count 1 --keep FOLDER` makes it again.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch
import yaml

from benchmarks.fuzzing.containers import spoil_by_name
from benchmarks.fuzzing.places import PLACES
from benchmarks.fuzzing.samples import SAMPLES, Sample
from benchmarks.fuzzing.trials import Outcome, attempt, prepare
from benchmarks.fuzzing.values import TEXTS, make_override
from benchmarks.harness import Row, limit
from rvos.errors import PipelineError
from rvos_fusion.recipe.reader import read_recipe

_COUNT = 5000
_IN_PLACE = 0.03
"""Share of inputs in which something else than a file stands where one should; in as many it has another name."""


@dataclass(frozen=True, slots=True)
class Found:
    """An input and what the command did with it."""

    index: int
    sample: str
    what: str
    words: tuple[str, ...]
    outcome: Outcome


@dataclass(slots=True)
class Fuzz:
    """Inputs of a seed.

    Args:
        seed: another one, other inputs.
        folder: templates and inputs are written there.
        samples: names of those to take; none: all.
    """

    seed: int
    folder: Path
    samples: Sequence[str] = ()
    _written: dict[str, Path] = field(default_factory=dict)

    def run(self, start: int, count: int) -> Iterator[Found]:
        """Try inputs one after the other."""
        for index in range(start, start + count):
            yield self.try_one(index)

    def try_one(self, index: int) -> Found:
        """Make one input in a fresh folder, and give it to its command."""
        random = Random(f"{self.seed}/{index}")
        names = self.samples or tuple(SAMPLES)
        name = random.choices(names, [SAMPLES[name].weight for name in names])[0]
        sample, place = SAMPLES[name], self.folder / "input"
        if place.exists():
            shutil.rmtree(place)
        shutil.copytree(self._template(name), place, symlinks=True)
        words, what = _spoil(sample, place, random)
        outcome = attempt(words, place, own=[*sample.own, *_find_workspace(words, place)], runs_code=sample.runs_code)
        return Found(index, name, what, tuple(words), outcome)

    def _template(self, name: str) -> Path:
        if name not in self._written:
            place = self.folder / "templates" / name
            place.mkdir(parents=True)
            SAMPLES[name].write(place)
            self._written[name] = place
        return self._written[name]


def _spoil(sample: Sample, folder: Path, random: Random) -> tuple[list[str], str]:
    """Change the project, and return the words of a command and what was changed."""
    words = random.choice(sample.commands).split()
    if sample.override:
        override = make_override(yaml.safe_load((folder / sample.override).read_text()), random)
        return [*words, "--set", override], f"--set {override}"
    matching = [sorted(path for path in folder.glob(pattern) if path.is_file()) for pattern in sample.files]
    path = random.choice(random.choice([paths for paths in matching if paths]))
    name = str(path.relative_to(folder))
    source = str(path.relative_to(folder).parts[0])
    words = [{"FILE": name, "SOURCE": source}.get(word, word) for word in words]
    chance = random.random()
    if chance < _IN_PLACE and _rename(random.choice([path, *([path.parent] if path.parent != folder else ())]), random):
        return words, f"{name}: renamed"
    if chance > 1 - _IN_PLACE:
        kind = random.choice(tuple(PLACES))
        path.unlink()
        PLACES[kind](path)
        return words, f"{name}: {kind}"
    path.write_bytes(spoil_by_name(path.name, path.read_bytes(), random))
    return words, name


def _rename(path: Path, random: Random) -> bool:
    """Give a file or folder another name; False where that is no name."""
    try:
        path.rename(path.with_name(random.choice((random.choice(TEXTS), random.choice(TEXTS) + path.suffix))))
    except (OSError, ValueError):
        return False
    return True


def _find_workspace(words: Sequence[str], folder: Path) -> list[str]:
    """Return the workspace that a changed recipe names, wherever it lies: there commands may write."""
    recipes = [folder / word for word in words if word.endswith(".yaml")]
    overrides = [word for before, word in itertools.pairwise(words) if before == "--set"]
    try:
        with contextlib.chdir(folder):
            return [os.path.realpath(read_recipe(recipe, overrides).workspace) for recipe in recipes]
    except (PipelineError, OSError, ValueError):
        return []


def run(seed: int = 1, count: int = _COUNT) -> Iterator[Row]:
    """Yield how many of so many inputs broke a command."""
    torch.set_num_threads(1)
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        broken = [found for found in Fuzz(seed, Path(folder)).run(0, count) if found.outcome.faults]
    for found in broken:
        print(_tell(found), file=sys.stderr)
    yield limit(f"spoilt inputs of {count} that broke a command", len(broken), 0.5, "inputs")


def _tell(found: Found) -> str:
    faults = "; ".join(found.outcome.faults)
    return f"{found.index} [{found.sample}] {found.what!a:.100} rvos {' '.join(found.words)!a:.100}: {faults}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try inputs of a seed; 0 if none broke a command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, metavar="INDEX")
    parser.add_argument("--count", type=int, default=_COUNT)
    parser.add_argument(
        "--samples", nargs="+", default=(), choices=tuple(SAMPLES), metavar="NAME", help=", ".join(SAMPLES)
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the last input there, and print what it did")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    prepare()
    broken, ends = 0, [0, 0, 0]
    with tempfile.TemporaryDirectory() as temporary:
        fuzz = Fuzz(options.seed, options.keep or Path(temporary), options.samples)
        for found in fuzz.run(options.start, options.count):
            if 0 <= found.outcome.status < len(ends):
                ends[found.outcome.status] += 1
            if found.outcome.faults:
                broken += 1
                print(_tell(found), flush=True)
            if options.keep:
                print(_tell(found), found.outcome.shown, sep="\n")
    listed = ", ".join(f"{count} with status {status}" for status, count in enumerate(ends))
    print(
        f"seed {options.seed}, inputs {options.start} to {options.start + options.count - 1}: {broken} broke; {listed}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

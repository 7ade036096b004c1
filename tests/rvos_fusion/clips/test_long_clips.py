"""What bounds the memory of a long clip, and what it leaves as the recipe has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rvos_fusion.clips.long_clips import LONG_CLIP, bound_memory
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe

RECIPE = """\
dataset: {format: ref-youtube-vos, root: elsewhere, split: valid}
models:
  soc: {runner: soc, checkpoint: soc.pth}
  mutr: {runner: mutr, checkpoint: mutr.pth, window: 24}
  uninext: {runner: uninext, checkpoint: uninext.pth}
engines:
  aot: {network: r50-aotl, checkpoint: aot.pth}
  deaot: {network: r50-deaotl, checkpoint: deaot.pth, max_memory_frames: 7, cache_megabytes: 32}
  unused: {network: r50-aotl, checkpoint: unused.pth}
stages:
  stage1:
    soc_aot: {propagate: soc, engine: aot}
    mutr_aot: {propagate: mutr, engine: aot}
    uninext_deaot: {propagate: uninext, engine: deaot}
submission: {node: soc_aot}
"""
LONG = LONG_CLIP + 1


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = tmp_path / "pipeline.yaml"
    path.write_text(RECIPE)
    return read_recipe(path, [], workspace=tmp_path)


def test_a_clip_that_is_not_long_is_seen_as_officially(recipe: Recipe) -> None:
    assert bound_memory(recipe, LONG_CLIP) == ()


def test_members_see_windows_and_engines_remember_so_many_frames(recipe: Recipe) -> None:
    assert bound_memory(recipe, LONG) == (
        "models.soc.window=36",
        "models.soc.overlap=4",
        "engines.aot.cache_megabytes=128",
        "engines.aot.max_memory_frames=20",
        "engines.deaot.cache_megabytes=32",
    )


def test_the_bounds_are_settings_that_the_recipe_takes(recipe: Recipe) -> None:
    bounded = read_recipe(recipe.path, bound_memory(recipe, LONG), workspace=recipe.workspace)
    assert not any("window" in bound or "memory_frames" in bound for bound in bound_memory(bounded, LONG))

"""The concept detector: what its masks are, and what its phrases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from deaot_toolkit.errors import CheckpointError
from hypothesis import given
from hypothesis import strategies as st

from sam3_toolkit.configs import CONFIGS
from sam3_toolkit.detector import Detector
from sam3_toolkit.phrases import N_TOKENS, Phrases, learn_pairs
from sam3_toolkit.suppression import suppress

SIDE = 56


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    return Detector(CONFIGS["sam3-mini"], SIDE)


@torch.inference_mode()
def test_a_phrase_depends_on_the_frame_and_not_on_its_padding(detector: Detector) -> None:
    torch.manual_seed(1)
    first, second = (detector.encode(torch.randn(1, 3, SIDE, SIDE)) for _ in range(2))
    assert not torch.equal(first.summary, second.summary)
    tokens = torch.tensor([[512, 70, 80, 513, *[0] * 28]])
    concept = detector.read(tokens)
    found = detector.find(first, concept)
    assert found.prompt.shape == (1, 33, 256)
    noisy = type(concept)(torch.where(concept.is_token[..., None], concept.vectors, 9.0), concept.is_token)
    torch.testing.assert_close(detector.find(first, noisy).logits, found.logits)
    # Without the frame's own vector, as the library asks, all is another.
    without = detector.find(type(first)(first.levels, torch.zeros_like(first.summary)), concept)
    assert not torch.allclose(without.logits, found.logits, atol=1e-3)


@torch.inference_mode()
def test_masks_of_few_queries_are_those_of_all(detector: Detector) -> None:
    maps = detector.encode(torch.randn(1, 3, SIDE, SIDE))
    found = detector.find(maps, detector.read(torch.tensor([[512, 70, 513, *[0] * 29]])))
    every, semantic = detector.draw(maps, found, torch.arange(20))
    few, again = detector.draw(maps, found, torch.tensor([7, 3]))
    torch.testing.assert_close(few, every[[7, 3]])
    torch.testing.assert_close(semantic, again)
    assert ((found.scores > 0) & (found.scores < found.presence.sigmoid())).all()


OFFICIAL = np.load(Path(__file__).parent / "suppression_rule.npz")
"""Of the official code: masks with their bits packed, scores, and the numbers of those that stay."""


@pytest.mark.parametrize("case", sorted({name.partition(".")[0] for name in OFFICIAL.files}))
def test_the_masks_that_stay_are_the_official_ones(case: str) -> None:
    scores = torch.from_numpy(OFFICIAL[f"{case}.scores"])
    found = torch.nonzero(scores > 0.5)[:, 0]
    masks = torch.from_numpy(np.unpackbits(OFFICIAL[f"{case}.masks"], axis=-1)).bool()
    kept = found[suppress(masks[found], scores[found], 0.1)]
    assert kept.tolist() == OFFICIAL[f"{case}.kept"].tolist()


MASKS = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=0, max_size=8)


@given(rows=MASKS, most=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_what_stays_overlaps_little_and_what_goes_has_a_better_one(rows: list[list[bool]], most: float) -> None:
    masks = torch.tensor(rows, dtype=torch.bool).reshape(-1, 2, 3)
    scores = torch.linspace(0.9, 0.1, max(1, len(rows)))[torch.randperm(max(1, len(rows)))[: len(rows)]]
    kept = suppress(masks, scores, most).tolist()
    assert kept == sorted(kept)

    def overlap(one: int, other: int) -> float:
        union = int((masks[one] | masks[other]).sum())
        return int((masks[one] & masks[other]).sum()) / union if union else 0.0

    for number in range(len(rows)):
        better = [other for other in kept if scores[other] > scores[number] and overlap(number, other) > most + 1e-6]
        assert (number in kept) == (not better)


def write_folder(folder: Path, merges: list[str]) -> Path:
    symbols = [chr(code) for code in range(33, 127)]
    pieces = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *(line.replace(" ", "") for line in merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    return folder


def test_phrases_are_cleaned_merged_cut_and_filled_with_0(tmp_path: Path) -> None:
    phrases = Phrases.from_folder(write_folder(tmp_path, ["d o", "do g</w>"]), size=192)
    start, dog, end = 190, 189, 191
    assert phrases.encode("dog").tolist() == [[start, dog, end, *[0] * 29]]
    assert torch.equal(phrases.encode("  DOG\n dog"), phrases.encode("dog dog"))
    assert torch.equal(phrases.encode("a &amp;lt; b"), phrases.encode("a < b"))
    long = phrases.encode("dog " * 40)[0].tolist()
    assert long == [start, *[dog] * (N_TOKENS - 2), end]
    # An exclamation mark at a word's end is a word of its own, no filler.
    assert phrases.encode("dog!")[0, 2] != 0


WORDS_OF_LETTERS = st.lists(st.text(alphabet="abc", min_size=1, max_size=6), max_size=8)


@given(words=WORDS_OF_LETTERS)
def test_learned_pairs_make_every_word_one_piece_and_keep_all_bytes(words: list[str]) -> None:
    vocabulary, merges = learn_pairs(words)
    assert sorted(vocabulary.values()) == list(range(512 + len(merges) + 2))
    phrases = Phrases(vocabulary, merges)
    assert all(int((phrases.encode(word) != 0).sum()) == 3 for word in words)
    assert int((phrases.encode("\u00e9z") != 0).sum()) == 5


def test_other_vocabularies_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, [])
    with pytest.raises(CheckpointError, match="a vocabulary of 190, the network has 49408"):
        Phrases.from_folder(folder, size=49_408)
    (folder / "merges.txt").write_text("#version\none two three\n")
    with pytest.raises(CheckpointError, match=r"no vocabulary of byte pairs .* give the hub's folder of SAM 3"):
        Phrases.from_folder(folder, size=190)

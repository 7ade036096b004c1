"""Tokenisers: known ids, padding, truncation, texts that they cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest
from referring_helpers import write_roberta_folder

from runners.networks.text.tokenizers import RobertaTokens, SmallTokens
from rvos.errors import ConfigError, InputError


def test_expressions_are_padded_on_the_right(tmp_path: Path) -> None:
    tokens = RobertaTokens.from_folder(write_roberta_folder(tmp_path))
    ids, mask = tokens.encode(["the person on the right", "a person"])
    assert ids.tolist() == [[0, 627, 621, 15, 5, 235, 2], [0, 102, 621, 2, 1, 1, 1]]
    assert mask.tolist() == [[1] * 7, [1] * 4 + [0] * 3]


def test_a_vocabulary_with_other_ids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give the vocabulary and merges of roberta-base"):
        RobertaTokens.from_folder(write_roberta_folder(tmp_path, shift=1))


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_missing_files_are_named(tmp_path: Path, missing: str) -> None:
    (write_roberta_folder(tmp_path) / missing).unlink()
    with pytest.raises(ConfigError, match=r"vocab\.json and merges\.txt"):
        RobertaTokens.from_folder(tmp_path)


def test_a_damaged_file_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    (write_roberta_folder(tmp_path) / "vocab.json").write_text('{"a": ')
    with pytest.raises(ConfigError, match="cannot be read"):
        RobertaTokens.from_folder(tmp_path)


def test_a_long_expression_is_cut_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = RobertaTokens.from_folder(write_roberta_folder(tmp_path), max_tokens=5)
    ids, mask = tokens.encode(["the person on the right"])
    assert ids.tolist() == [[0, 627, 621, 15, 2]]
    assert mask.sum() == 5
    assert "7 tokens, cut to 5" in caplog.text


def test_text_that_is_not_english_has_byte_tokens(tmp_path: Path) -> None:
    tokens = RobertaTokens.from_folder(write_roberta_folder(tmp_path))
    ids, _ = tokens.encode(["é"])
    assert ids.shape == (1, 4)
    assert 3 not in ids


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_expression_is_an_error(tmp_path: Path, text: str) -> None:
    tokens = RobertaTokens.from_folder(write_roberta_folder(tmp_path))
    with pytest.raises(InputError, match="no words"):
        tokens.encode([text])
    with pytest.raises(InputError, match="no words"):
        SmallTokens().encode([text])


def test_words_outside_the_small_list_are_unknown_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    ids, _ = SmallTokens().encode(["the Zebra"])
    assert ids[0, 0] == 0
    assert ids[0, 1] > 3
    assert ids[0, 2:].tolist() == [3, 2]
    assert "zebra" in caplog.text


def test_case_and_punctuation_do_not_matter_to_the_small_tokens() -> None:
    tokens = SmallTokens()
    assert tokens.encode(["The red, square."])[0].equal(tokens.encode(["the red square"])[0])


def test_the_small_list_covers_the_synthetic_expressions() -> None:
    from rvos_fusion.synthetic.language.vocabulary import WORDS

    assert set(WORDS) <= SmallTokens().words

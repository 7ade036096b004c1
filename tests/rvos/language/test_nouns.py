"""What a sentence is about, by the rules of the specification."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvos.errors import InputError
from rvos.language.nouns import Noun, NounFinder, NounSettings, find_phrase, is_category, split_names
from rvos.videos import Expression, Video


@pytest.mark.parametrize(
    ("sentence", "phrase"),
    [
        ("a black and white dog running on the grass", "black white dog"),
        ("There is a cat on the sofa", "cat"),
        ("on the left, a man in red", "man"),
        ("the two striped balls", "striped balls"),
        ("every star that moves left", "star"),
        ("a group of people who dance", "people"),
        ("one of the dogs in front", "dogs"),
        ("a herd of white sheep", "white sheep"),
        ("a person holds a racket", "person"),
        ("bird that flies away", "bird"),
        ("the man left", "man"),
        ("a dog in front", "dog"),
        ("the woman's brown horse jumping", "brown horse"),
        ("a parked car", "parked car"),
        ("the car parked on the road", "car"),
        ("a bird perched", "bird"),
        ("a walking man", "walking man"),
        ("a red building", "red building"),
        ("The duckling quickly following its mother", "duckling"),
        ("a t-shirt worn by a boy", "t-shirt"),
        ("Giraffe's calf", "calf"),
        ("two cows walk to the left", "cows"),
        ("the pink object closest to the triangle", "pink object"),
        ("the square at the top", "square"),
        ("an orange and white fish", "orange white fish"),
        ("second elephant from the right", "second elephant"),
    ],
)
def test_the_noun_phrase_ends_with_the_noun(sentence: str, phrase: str) -> None:
    assert " ".join(find_phrase(sentence)) == phrase


@pytest.mark.parametrize(
    "sentence", ["the one on the left", "it moves", "jumping over the fence", "the black", "", "...", "3", "one"]
)
def test_sentences_that_name_nothing_have_no_noun(sentence: str) -> None:
    assert find_phrase(sentence) == ()


def make_video(*sentences: str) -> Video:
    expressions = tuple(Expression(str(index), text) for index, text in enumerate(sentences))
    return Video("v", ("0",), expressions, (Path("0.jpg"),))


def find(settings: NounSettings, *sentences: str) -> list[Noun]:
    video = make_video(*sentences)
    finder = NounFinder(settings)
    return [finder.find(video, expression) for expression in video.expressions]


def test_the_whole_sentence_stands_in_for_a_missing_noun() -> None:
    assert find(NounSettings(), "The one on the Left. ") == [
        Noun("the one on the left", "the one on the left", "expression")
    ]


def test_a_sentence_without_words_asks_for_nothing() -> None:
    assert [noun.text for noun in find(NounSettings(), "?! ...", "")] == ["", ""]


def test_the_whole_phrase_can_be_asked_for() -> None:
    assert find(NounSettings(text="phrase"), "A black cat sleeps") == [Noun("black cat", "black cat", "rules")]


def test_synonyms_are_asked_for_by_one_name() -> None:
    nouns = find(NounSettings(synonyms={"guy": "man"}), "a guy in blue", "a man in red")
    assert [noun.text for noun in nouns] == ["man", "man"]


def test_the_users_file_wins_by_id_and_by_sentence(tmp_path: Path) -> None:
    path = tmp_path / "nouns.json"
    path.write_text(json.dumps({"v/1": "Skateboard . Man", "the one on the left": "dog"}))
    nouns = find(NounSettings(path), "the one on the left", "a cat", "a cat")
    assert [(noun.text, noun.source) for noun in nouns] == [
        ("dog", "file"),
        ("skateboard . man", "file"),
        ("cat", "rules"),
    ]
    assert split_names(nouns[1].text) == ("skateboard", "man")


@pytest.mark.parametrize(
    ("noun", "category", "expected"),
    [
        ("dog", "dog", True),
        ("black dogs", "dog", True),
        ("people", "person", True),
        ("boxes", "box", True),
        ("puppies", "puppy", True),
        ("bus", "bus", True),
        ("giant panda", "giant panda", True),
        ("cat", "dog", False),
        ("dog", "hot dog", False),
    ],
)
def test_plurals_and_phrases_name_their_category(noun: str, category: str, expected: bool) -> None:
    assert is_category(noun, category) is expected


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"a": 3}', "'a': 3 is no noun"), ('{"a": " . "}', "is no noun"), ("[]", "instead of an object"), ("{", "JSON")],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "nouns.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        NounFinder(NounSettings(path))


def test_a_video_asks_for_each_noun_once() -> None:
    assert NounFinder().find_all(make_video("a cat", "the dog on the left", "that cat that runs", "")) == ("cat", "dog")


@given(st.text(max_size=60))
def test_any_sentence_gives_a_noun_of_its_own_words_or_itself(sentence: str) -> None:
    (noun,) = find(NounSettings(), sentence)
    assert noun.text == noun.text.lower()
    assert all(word in sentence.lower().replace("\u2019", "'") for word in find_phrase(sentence))
    assert noun.source == ("rules" if find_phrase(sentence) else "expression")

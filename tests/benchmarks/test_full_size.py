"""Files of official size: their names fit our networks, their values follow from names, their tokenisers are known."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from sam3_toolkit.phrases import Phrases

from benchmarks.full_size import making, running
from benchmarks.full_size.official import OFFICIAL, OfficialFile, read_list, widen
from benchmarks.full_size.running import Clips, write_clips
from benchmarks.full_size.vocabularies import list_words, write_bert, write_clip, write_roberta
from runners.checkpoints.loading import CheckpointFile, LoadReport, match_keys
from runners.networks.referformer.checkpoints import IGNORED_KEYS, find_mutr, find_referformer
from runners.networks.referformer.mutr import Mutr
from runners.networks.referformer.network import ReferFormer
from runners.networks.soc.checkpoints import load_soc
from runners.networks.text.tokenizers import RobertaTokens
from runners.networks.text.word_pieces import WordPieces
from rvos.formats import find_format
from rvos_fusion.parity.filling import fill


def read_outline(name: str) -> CheckpointFile:
    keys = OFFICIAL[name].keys()["keys"]
    types = {"float32": torch.float32, "int64": torch.int64}
    state = {key: torch.empty(shape, dtype=types[kind], device="meta") for key, shape, kind in keys if kind in types}
    return CheckpointFile(Path(OFFICIAL[name].file), state)


def fit(name: str) -> LoadReport:
    file = read_outline(name)
    with torch.device("meta"):
        if name.startswith("mutr"):
            network: ReferFormer = Mutr(find_mutr(file, backbone=None))
        else:
            network = ReferFormer(find_referformer(file, backbone=None))
    return match_keys(network, file.state, ignored=IGNORED_KEYS)[1]


@pytest.mark.parametrize("name", ["mutr", "referformer", "referformer-swin-l"])
def test_official_names_and_shapes_fit_our_networks_whole(name: str) -> None:
    assert fit(name).is_complete


def test_the_official_names_and_shapes_of_soc_fit_ours() -> None:
    assert load_soc(read_outline("soc")).config.backbone.width == 128


@pytest.mark.parametrize("network", ["aot", "deaot"])
def test_our_swin_has_the_official_names_and_the_shapes_of_swin_b(network: str) -> None:
    official = {
        name: shape for name, shape, kind in read_list(f"{network}_swinb_{network}l")["keys"] if "float" in kind
    }
    own = widen(f"{network}_swinb_{network}l", f"swinb-{network}l")["keys"]
    assert {name: shape for name, shape, _ in own} == official


def make_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> making.Made:
    keys = {"keys": [["a.weight", [3, 2], "float32"], ["copy.weight", [3, 2], "float32"], ["index", [2], "int64"]]}
    small = OfficialFile("small.pth", lambda: keys | {"tied": {"copy.": "a."}}, envelope="state_dict", prefix="module.")
    monkeypatch.setattr(making, "OFFICIAL", {"small": small})
    (made,) = making.make(folder, ["small"])
    return made


def test_values_follow_from_names_in_the_official_envelope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_small(tmp_path, monkeypatch)
    state = torch.load(made.path, weights_only=True)["state_dict"]
    assert list(state) == ["module.a.weight", "module.copy.weight"]
    assert torch.equal(state["module.a.weight"], torch.from_numpy(fill("a.weight", (3, 2), "")))
    assert state["module.copy.weight"].data_ptr() == state["module.a.weight"].data_ptr()
    assert made.parameters == 6


def test_a_file_that_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.pth").write_bytes(b"mine")
    assert make_small(tmp_path, monkeypatch).path.read_bytes() == b"mine"


def test_tokenisers_pass_their_checks_and_know_the_words_of_the_sentences(tmp_path: Path) -> None:
    for name, write in (("roberta", write_roberta), ("bert", write_bert), ("clip", write_clip)):
        write(tmp_path / name)
    words = [word for word in list_words() if word.isalpha()]
    readers = (
        RobertaTokens.from_folder(tmp_path / "roberta").pieces,
        WordPieces.from_folder(tmp_path / "bert").pieces,
        partial(encode_phrase, Phrases.from_folder(tmp_path / "clip", size=49408)),
    )
    for read in readers:
        one, spelled = read("a"), [read(f"a {word}") for word in words]
        assert {len(ids) - len(one) for ids in spelled} == {1}
        assert len({tuple(ids) for ids in spelled}) == len(words)


def encode_phrase(phrases: Phrases, text: str) -> list[int]:
    return [int(number) for number in phrases.encode(text)[0] if number]


@pytest.mark.parametrize(("split", "name"), [("valid", "ref-youtube-vos"), ("valid_u", "mevis")])
def test_clips_have_the_size_that_is_asked_for(tmp_path: Path, split: str, name: str) -> None:
    clips = Clips(n_videos=2, n_frames=3, n_sentences=1, size=(90, 160))
    for _ in range(2):  # what is there is made anew
        root = write_clips(tmp_path / "data", split, clips)
    dataset = find_format(name).open(root, split)
    assert [(video.n_frames, len(video.expressions)) for video in dataset.videos] == [(3, 1), (3, 1)]
    assert {video.read_frame(2).shape for video in dataset.videos} == {(90, 160, 3)}
    assert dataset.truth is None


def test_a_node_that_cannot_run_is_told_by_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "matrix_rate", lambda: 1e9)
    clips = Clips(n_videos=1, n_frames=2, n_sentences=1, size=(36, 64))
    first = next(running.run(tmp_path / "no weights", tmp_path, ["paper"], clips))
    assert (first.recipe, first.node, first.status, first.share) == ("paper", "soc", 2, None)
    assert first.gib > 0
    assert first.seconds > 0

"""SAM 3 asked for concepts: a small network with fixed weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sam2_weights import SIZE, make_sequence, make_video
from sam3_toolkit.configs import CONFIGS
from sam3_toolkit.detector import Detector
from sam3_toolkit.images import enlarge, prepare_frame
from sam3_toolkit.phrases import Phrases
from sam3_weights import NETWORK, SIDE, make_detector, make_tracker, write_vocabulary, write_weights

from propagate.engines.sam3.settings import Sam3Settings
from propagate.engines.table import build_engine
from propagate.propagator import Propagator, Source
from runners.detectors.sam3 import Sam3ConceptDetector
from runners.detectors.settings import Sam3DetectorSettings
from runners.detectors.table import build_detector, check_detector
from rvos.errors import CheckpointError, ConfigError
from rvos.masks.mask_sequences import decode
from rvos_fusion.synthetic.bundled import CHECKPOINTS
from rvos_fusion.synthetic.language.vocabulary import WORDS

CPU = torch.device("cpu")
LOW = 0.2
"""Below the scores that the small network gives."""


@pytest.fixture(scope="module")
def network() -> Detector:
    return make_detector()


@pytest.fixture(scope="module")
def folder(network: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_vocabulary(tmp_path_factory.mktemp("sam3") / "clip")
    write_weights(folder / "sam3.pt", network, make_tracker())
    return folder


def describe(folder: Path, **options: Any) -> Sam3DetectorSettings:
    settings: dict[str, Any] = {"box_threshold": LOW, "image_size": SIDE, "tokenizer": folder, **options}
    return Sam3DetectorSettings("sam3", checkpoint=folder / "sam3.pt", network=NETWORK, **settings)


def build(folder: Path, **options: Any) -> Sam3ConceptDetector:
    detector = build_detector(describe(folder, **options), device=CPU)
    assert isinstance(detector, Sam3ConceptDetector)
    return detector


def test_a_noun_gives_masks_boxes_scores_and_its_presence(folder: Path, tmp_path: Path) -> None:
    (found,) = build(folder, mask_iou=1.0).detect(make_video(tmp_path, 3), (0, 2), [("dog",)])
    assert len(found) == 2
    for frame in found:
        assert frame.masks is not None
        assert len(frame.masks) == len(frame.boxes.labels) > 1
        assert set(frame.boxes.labels) == {"dog"}
        assert decode(frame.masks, SIZE).shape == (len(frame.masks), *SIZE)
        assert (frame.boxes.boxes >= 0).all()
        assert (frame.boxes.boxes <= np.array([SIZE[1], SIZE[0]] * 2)).all()
        assert (np.diff(frame.boxes.scores) <= 0).all()
        # The probability of an instance is never above that of there being any.
        assert frame.presence is not None
        assert LOW < frame.boxes.scores[0] <= frame.presence < 1
    assert found[0].presence != found[1].presence


def test_masks_are_those_of_the_queries_at_frame_size(folder: Path, network: Detector, tmp_path: Path) -> None:
    video = make_video(tmp_path, 1)
    detector = build(folder, mask_iou=1.0)
    (((frame),),) = detector.detect(video, (0,), [("dog",)])
    with torch.inference_mode():
        maps = network.encode(prepare_frame(video.read_frame(0), SIDE, "bilinear"))
        found = network.find(maps, network.read(detector._phrases.encode("dog")))
        best = found.scores.argmax().reshape(1)
        mask = enlarge(network.draw(maps, found, best)[0][None], SIZE)[0, 0] > 0
    assert frame.masks is not None
    np.testing.assert_array_equal(decode(frame.masks[:1], SIZE)[0], mask.numpy())
    assert frame.boxes.scores[0] == pytest.approx(float(found.scores.max()))


def test_of_masks_that_cover_each_other_the_best_stays(folder: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path, 1)
    (((all_of_them),),) = build(folder, mask_iou=1.0).detect(video, (0,), [("dog",)])
    (((few),),) = build(folder, mask_iou=0.1).detect(video, (0,), [("dog",)])
    assert 0 < len(few.boxes.labels) < len(all_of_them.boxes.labels)
    assert few.boxes.scores[0] == all_of_them.boxes.scores[0]


def test_names_of_one_noun_share_its_masks_and_nouns_do_not(folder: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path, 1)
    detector = build(folder)
    both, man = detector.detect(video, (0,), [("man", "woman"), ("man",)])
    (woman,) = detector.detect(video, (0,), [("woman",)])
    assert both[0].presence == max(man[0].presence or 0, woman[0].presence or 0)
    assert both[0].boxes.scores[0] == max(man[0].boxes.scores[0], woman[0].boxes.scores[0])
    assert (both[0].boxes.boxes != man[0].boxes.boxes).any() or both[0].boxes.labels == man[0].boxes.labels


def test_a_frame_and_a_phrase_are_encoded_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"project": 0, "read": 0}
    for name in counts:
        plain = getattr(Detector, name)

        def counted(self: Detector, value: torch.Tensor, name: str = name, plain: Any = plain) -> Any:
            counts[name] += 1
            return plain(self, value)

        monkeypatch.setattr(Detector, name, counted)
    build(folder).detect(make_video(tmp_path, 3), (0, 1, 2), [("man",), ("woman", "man")])
    assert counts == {"project": 3, "read": 2}


def test_nothing_above_the_threshold_is_no_instance_but_still_a_presence(folder: Path, tmp_path: Path) -> None:
    (((frame),),) = build(folder, box_threshold=0.99).detect(make_video(tmp_path, 1), (0,), [("dog",)])
    assert frame.masks == ()
    assert frame.boxes.boxes.shape == (0, 4)
    assert frame.presence is not None


def test_the_resize_is_the_one_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path, 1)
    bilinear, bicubic = (build(folder, resize=rule).detect(video, (0,), [("dog",)]) for rule in ("bilinear", "bicubic"))
    assert bilinear[0][0].presence != bicubic[0][0].presence


def test_a_vocabulary_that_is_missing_damaged_or_another_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sam3\.pt: holds no vocabulary; give `tokenizer`"):
        build(folder, tokenizer=None)
    with pytest.raises(CheckpointError, match="no vocabulary of byte pairs"):
        build(folder, tokenizer=tmp_path)
    other = write_vocabulary(tmp_path / "clip")
    (other / "vocab.json").write_text('{"a": 0}')
    with pytest.raises(CheckpointError, match="a vocabulary of 1, the network has 514; give CLIP's vocabulary"):
        build(folder, tokenizer=other)


def test_a_file_without_the_detector_is_refused(folder: Path, tmp_path: Path) -> None:
    write_weights(tmp_path / "sam3.pt")
    settings = Sam3DetectorSettings(
        "sam3", checkpoint=tmp_path / "sam3.pt", network=NETWORK, tokenizer=folder, image_size=SIDE
    )
    with pytest.raises(CheckpointError, match=r"nothing was loaded; \d+ missing: detector_model\."):
        check_detector(settings)


def test_values_that_are_not_finite_are_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = build(folder)
    with torch.no_grad():
        detector._network.model.detr_decoder.query_embed.weight.fill_(torch.nan)
    with pytest.raises(CheckpointError, match="v/00000: sam3 gives values that are not finite"):
        detector.detect(make_video(tmp_path, 1), (0,), [("dog",)])


def test_the_bundled_folder_serves_detector_and_engine(tmp_path: Path) -> None:
    bundled, video = CHECKPOINTS / "sam3", make_video(tmp_path, 3)
    detector = build_detector(Sam3DetectorSettings("sam3", checkpoint=bundled, network="small-sam3"), device=CPU)
    ((frame,),) = detector.detect(video, (0,), [("star",)])
    assert frame.presence is not None
    assert 0 < frame.presence < 1
    # Every word of the synthetic sentences is one piece, between start and end.
    phrases = Phrases.from_folder(bundled, size=CONFIGS["small-sam3"].vocabulary)
    assert all(int((phrases.encode(word) != 0).sum()) == 3 for word in WORDS)
    engine = build_engine(Sam3Settings("small-sam3", bundled), device=CPU)
    (carried,) = Propagator(engine).propagate(video, [Source([make_sequence(video, key=1)])])[0]
    assert len(carried.runs) == 3
    assert carried.runs[1] == make_sequence(video, key=1).runs[1]


def test_small_parts_go_where_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path, 1)
    (((rough),),) = build(folder, mask_iou=1.0).detect(video, (0,), [("dog",)])
    # The grid has 16 x 16 cells.
    (((cleaned),),) = build(folder, mask_iou=1.0, small_parts=40).detect(video, (0,), [("dog",)])
    assert rough.masks is not None
    assert cleaned.masks is not None
    assert rough.masks != cleaned.masks
    np.testing.assert_array_equal(rough.boxes.scores, cleaned.boxes.scores)

"""CFBI and CFBI+: matching by hand, sessions that do not meet, files that are whole or refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import deaot_toolkit
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate

from propagate.engines.aot.settings import AotSettings
from propagate.engines.cfbi.checkpoints import load_weights, read_weights, rename
from propagate.engines.cfbi.configs import CONFIGS
from propagate.engines.cfbi.engine import CfbiEngine, CfbiSession
from propagate.engines.cfbi.ensembler import convolve_enlarged
from propagate.engines.cfbi.matching import (
    NOWHERE,
    ReferenceCells,
    distances_everywhere,
    distances_nearby,
    nearest_other,
    squash,
)
from propagate.engines.cfbi.memory import CfbiMemory
from propagate.engines.cfbi.network import Cfbi, CfbiFeatures
from propagate.engines.cfbi.settings import CfbiSettings
from propagate.engines.precision import use_precision
from propagate.engines.table import build_engine, find_family
from rvos.errors import CheckpointError, ConfigError

SIZE = (49, 65)
NAMES = ("small-cfbi", "small-cfbi+")


def make_network(name: str) -> Cfbi:
    torch.manual_seed(0)
    return Cfbi(CONFIGS[name]).eval()


def make_engine(name: str, **settings: object) -> CfbiEngine:
    stated = CfbiSettings(name, Path("none.pth"), **settings)  # type: ignore[arg-type]
    return CfbiEngine(make_network(name), stated, device=torch.device("cpu"))


def make_features(engine: CfbiEngine, number: int) -> list[CfbiFeatures]:
    torch.manual_seed(number)
    image = torch.randn(1, 3, *SIZE)
    views = [image.flip(3) if augmentation.mirrored else image for augmentation in engine.augmentations]
    with torch.inference_mode():
        return [engine._network.encode(view) for view in views]


def make_masks(*corners: tuple[int, int]) -> Tensor:
    masks = torch.zeros(len(corners), 48, 64, dtype=torch.uint8)
    for mask, (top, left) in zip(masks, corners, strict=True):
        mask[top : top + 16, left : left + 20] = 1
    return masks


def official_names(network: Cfbi) -> dict[str, Tensor]:
    """The state by the names of an official file."""
    config = network.config
    stages = ("S1_{}1", "S1_{}2", "S2_{}1", "S2_{}2", "S2_{}3", "S3_{}1", "S3_{}2", "S3_{}3")
    state = {}
    for ours, value in network.state_dict().items():
        name = ours
        if ours.startswith("embedding."):
            name = ours.replace("embedding.", "fpn." if config.is_pyramid else "", 1)
        if ours.startswith("dynamic_seghead.blocks."):
            _, _, number, kind, tail = ours.split(".", 4)
            word = "IA" if kind == "gate" else "layer"
            part = stages[int(number)].format(word) if config.is_pyramid else f"{word}{int(number) + 1}"
            name = f"dynamic_seghead.{part}.{tail}"
        if ours.startswith("dynamic_seghead.ASPP_IA.") and not config.is_pyramid:
            name = ours.replace("ASPP_IA", "IA9")
        state[name] = value
    return state


@pytest.mark.parametrize("n_cells", [40, 1300], ids=["one block", "several blocks"])
def test_global_distances_are_those_to_the_nearest_cell_of_a_row(n_cells: int) -> None:
    torch.manual_seed(1)
    query, reference = torch.randn(600, 5), torch.randn(n_cells, 5)
    labels = torch.randint(-1, 3, (2, n_cells))  # nothing has label 3, and -1 is no row
    labels[:, 100:1100] = 0
    found = distances_everywhere(query, ReferenceCells.of(reference, labels, n_rows=4))
    squared = (query[:, None] - reference[None]).square().sum(dim=2)
    for of_one, known in zip(found, labels, strict=True):
        for row in range(3):
            torch.testing.assert_close(of_one[row], squared[:, known == row].amin(dim=1), rtol=1e-4, atol=1e-4)
        assert (squash(of_one[3], torch.tensor(-3.0)) == 1).all()


@pytest.mark.parametrize("rate", [1, 2])
def test_local_distances_are_those_within_each_window(rate: int) -> None:
    torch.manual_seed(2)
    height, width = 13, 19
    query, previous = torch.randn(4, height, width), torch.randn(4, height, width)
    labels = torch.randint(0, 2, (2, height, width))
    radii = (2, 4)
    found = distances_nearby(query, previous, labels, n_rows=2, radii=radii, rate=rate)
    for of_one, known in zip(found, labels, strict=True):
        for window, radius in enumerate(radii):
            for y, x in ((0, 0), (6, 9), (12, 18), (3, 17)):
                expected = [NOWHERE, NOWHERE]
                for dy in range(-radius, radius + 1, rate):
                    for dx in range(-radius, radius + 1, rate):
                        at = (y + dy, x + dx)
                        if 0 <= at[0] < height and 0 <= at[1] < width:
                            distance = float((query[:, y, x] - previous[:, at[0], at[1]]).square().sum())
                            expected[known[at]] = min(expected[known[at]], distance)
                for row in range(2):
                    if expected[row] == NOWHERE:
                        assert of_one[row, window, y, x] >= NOWHERE
                    else:
                        assert float(of_one[row, window, y, x]) == pytest.approx(expected[row], abs=1e-4)


def test_the_background_of_a_row_is_the_nearest_of_all_others() -> None:
    maps = torch.tensor([[1.0, 5.0], [2.0, 4.0], [3.0, 3.0]])
    assert nearest_other(maps).tolist() == [[2.0, 3.0], [1.0, 3.0], [1.0, 4.0]]


@pytest.mark.parametrize("size", [(13, 9), (4, 5), (17, 5)])
def test_a_convolution_of_an_enlarged_map_needs_no_enlarged_map(size: tuple[int, int]) -> None:
    torch.manual_seed(3)
    maps, weights = torch.randn(2, 6, 4, 5), torch.randn(7, 6, 3, 3)
    enlarged = interpolate(maps, size, mode="bicubic", align_corners=True)
    found = convolve_enlarged(maps, weights, torch.Size(size))
    torch.testing.assert_close(found, conv2d(enlarged, weights, padding=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_an_expression_gives_to_the_bit_what_it_gives_alone(name: str) -> None:
    engine = make_engine(name, flip=True)
    first, second, third = (make_features(engine, number) for number in range(3))
    masks = make_masks((4, 6), (20, 30))
    together, alone = engine.open(), engine.open()
    together.start(first, masks=masks)
    alone.start(first, masks=masks[1:])
    for features in (second, third):
        ours, theirs = together.step(features), alone.step(features)
        assert torch.equal(ours.probability[1], theirs.probability[0])
        assert torch.equal(ours.masks[1], theirs.masks[0])
        together.commit(ours.masks)
        alone.commit(theirs.masks)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_a_fork_goes_its_own_way(name: str) -> None:
    engine = make_engine(name)
    first, second, third = (make_features(engine, number) for number in range(3))
    session = engine.open()
    session.start(first, masks=make_masks((4, 6)))
    twin = session.fork()
    session.commit(session.step(second).masks)
    fresh = engine.open()
    fresh.start(first, masks=make_masks((4, 6)))
    assert torch.equal(twin.step(third).probability, fresh.step(third).probability)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_objects_of_one_state_never_share_a_pixel(name: str) -> None:
    engine = make_engine(name)
    first, second = make_features(engine, 0), make_features(engine, 1)
    session = engine.open_joint()
    session.start(first, masks=make_masks((4, 6), (8, 16), (30, 40)))
    step = session.step(second)
    assert step.probability.shape == (3, 48, 64)
    assert int(step.masks.sum(dim=0).max()) <= 1
    assert float(step.probability.sum(dim=0).max()) <= 1 + 1e-5


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_an_empty_mask_gives_finite_values(name: str) -> None:
    engine = make_engine(name)
    session = engine.open()
    session.start(make_features(engine, 0), masks=torch.zeros(1, 48, 64, dtype=torch.uint8))
    assert torch.isfinite(session.step(make_features(engine, 1)).probability).all()


@torch.inference_mode()
def test_a_second_reference_is_matched_too() -> None:
    engine = make_engine("small-cfbi+")
    first, second, third = (make_features(engine, number) for number in range(3))
    both, last = engine.open(), engine.open()
    both.start(first, masks=make_masks((4, 6)))
    both.start(second, masks=make_masks((20, 30)))
    last.start(second, masks=make_masks((20, 30)))
    assert not torch.equal(both.step(third).probability, last.step(third).probability)


def count_bytes(value: object) -> int:
    """Memory of all tensors that a state leads to, each once; those of the network are not its own."""
    tensors: dict[int, Tensor] = {}
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, Tensor):
            tensors[one.untyped_storage().data_ptr()] = one
        elif isinstance(one, list | tuple):
            pending += one
        elif isinstance(one, dict):
            pending += one.values()
        elif dataclasses.is_dataclass(one):
            pending += [getattr(one, field.name) for field in dataclasses.fields(one)]
        elif isinstance(one, CfbiSession | CfbiMemory):
            pending += [part for name, part in vars(one).items() if name not in ("_engine", "_network")]
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors.values())


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_what_a_session_holds_does_not_grow_with_the_video(name: str) -> None:
    engine = make_engine(name)
    session = engine.open()
    masks = make_masks((4, 6), (20, 30))
    features = make_features(engine, 0)
    session.start(features, masks=masks)
    held = []
    for number in range(1, 8):
        session.step(make_features(engine, number))
        session.commit(masks)
        held.append(count_bytes(session))
    assert set(held[1:]) == {held[0]}
    # The reference and the frame before, with labels: three frames' features would be more.
    assert features[0].n_bytes < held[0] < 3 * features[0].n_bytes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@torch.inference_mode()
def test_half_precision_gives_nearly_the_same_probabilities(name: str, precision: str) -> None:
    found = []
    for arithmetic in ("float32", precision):
        engine = make_engine(name, precision=arithmetic)
        with use_precision(arithmetic, engine.device):
            first, second = (make_features(engine, number) for number in range(2))
        session = engine.open()
        session.start(first, masks=make_masks((8, 8)))
        found.append(session.step(second).probability)
    assert found[1].dtype == torch.float32
    # Random weights amplify what rounding loses: maps that have nothing to do with each other have 0.
    assert torch.corrcoef(torch.stack([maps.flatten() for maps in found]))[0, 1] > 0.75


def test_boxes_are_refused() -> None:
    engine = make_engine("small-cfbi")
    with pytest.raises(ConfigError, match="starts from masks, not from boxes"):
        engine.open().start(make_features(engine, 0), boxes=torch.zeros(1, 4))


def test_the_longest_edge_follows_the_scales() -> None:
    path = Path("x.pth")
    assert CfbiSettings("cfbi", path).longest_edge == 1040
    assert CfbiSettings("cfbi", path, scales=(1.0, 1.3)).longest_edge == 800
    assert CfbiSettings("cfbi", path, scales=(1.3,), long_edge=640).longest_edge == 640
    assert find_family("cfbi+").module == find_family("mobilenet-cfbi").module == "propagate.engines.cfbi.engine"


@pytest.mark.parametrize("name", NAMES)
def test_an_official_file_is_loaded_whole(tmp_path: Path, name: str) -> None:
    network = make_network(name)
    state = official_names(network)
    assert {rename(key, network.config) for key in state} == set(network.state_dict())
    if name == "small-cfbi":
        state |= {f"semantic_embedding.4.{kind}": state[f"bn2.{kind}"].clone() for kind in ("weight", "bias")}
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "c.pth")
    torch.manual_seed(9)
    other = Cfbi(network.config)
    load_weights(other, tmp_path / "c.pth", name=name)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in other.state_dict().items())


def test_a_file_of_another_network_is_refused_whole(tmp_path: Path) -> None:
    torch.save({"state_dict": official_names(make_network("small-cfbi+"))}, tmp_path / "plus.pth")
    network = make_network("small-cfbi")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"plus\.pth: does not fit small-cfbi, nothing was loaded"):
        load_weights(network, tmp_path / "plus.pth", name="small-cfbi")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_file_of_another_engine_is_named_with_its_engine(tmp_path: Path, device: str) -> None:
    torch.save({"state_dict": official_names(make_network("small-cfbi+"))}, tmp_path / "plus.pth")
    sizes = {"encoder": deaot_toolkit.EncoderConfig("compact", depths=(1, 1, 1), widths=(8, 8, 16, 16))}
    deaot_toolkit.save(deaot_toolkit.build("small-deaot", sizes), tmp_path / "de.safetensors")
    torch.save(deaot_toolkit.build("aott").state_dict(), tmp_path / "aot.pth")
    for settings, owner in (
        (AotSettings("r50-aotl", tmp_path / "plus.pth"), "cfbi"),
        (CfbiSettings("cfbi", tmp_path / "de.safetensors"), "aot"),
        (CfbiSettings("small-cfbi+", tmp_path / "aot.pth"), "aot"),
    ):
        with pytest.raises(CheckpointError) as caught:
            build_engine(settings, device=torch.device(device))
        message = str(caught.value)
        assert message.startswith(f"{settings.checkpoint}: made for the engine {owner}, nothing was loaded")
        assert message.endswith(f"give a file of {settings.network}")
        assert len(message.splitlines()) == 1


def test_a_file_of_another_network_of_the_same_engine_lists_what_does_not_fit(tmp_path: Path) -> None:
    torch.save({"state_dict": official_names(make_network("small-cfbi+"))}, tmp_path / "plus.pth")
    with pytest.raises(CheckpointError, match=r"plus\.pth: does not fit small-cfbi, nothing was loaded; \d+ missing"):
        build_engine(CfbiSettings("small-cfbi", tmp_path / "plus.pth"), device=torch.device("meta"))


def test_a_duplicate_that_differs_is_refused(tmp_path: Path) -> None:
    network = make_network("small-cfbi")
    state = official_names(network)
    state["semantic_embedding.4.weight"] = state["bn2.weight"] + 1
    torch.save({"state_dict": state}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match=r"semantic_embedding\.4\.weight is not equal to bn2\.weight"):
        read_weights(tmp_path / "c.pth", network.config)

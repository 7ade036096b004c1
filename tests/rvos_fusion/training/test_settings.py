"""Training configurations: strict reading, overrides, and the files that the project ships."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.errors import ConfigError, PipelineError
from rvos_fusion.training.config import LoopSettings, TrainingConfig, read_config
from rvos_fusion.training.tasks import build_task

CONFIGS = sorted((Path(__file__).parents[3] / "rvos_fusion/training/configs").glob("*.yaml"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = "name: x\ntask: aot\noptimiser: {rate: 1e-4}\nloop: {steps: 3}\n"


def test_numbers_that_yaml_reads_as_text(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, GOOD)).optimiser.rate == 1e-4


def test_all_problems_are_in_one_message_with_their_lines(tmp_path: Path) -> None:
    text = "name: x\ntask: aot\noptimiser:\n  {rate: fast, clipp: 1}\nloop: {steps: 3.5}\n"
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, text))
    message = str(caught.value)
    assert "config.yaml:4: optimiser: unknown key 'clipp'; did you mean 'clip'?" in message
    assert "config.yaml:4: optimiser.rate 'fast' is not a number" in message
    assert "config.yaml:5: loop.steps '3.5' is not a whole number" in message


def test_missing_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, "name: x\ntask: aot\n"))
    assert "'optimiser' is missing" in str(caught.value)
    assert "'loop' is missing" in str(caught.value)


@pytest.mark.parametrize("text", ["- 1", "name: [", "name: x\n  y: z"])
def test_files_that_are_no_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml:\d: (.*must be a mapping|not YAML)"):
        read_config(written(tmp_path, text))


def test_overrides_reach_nested_settings_and_items_of_lists(tmp_path: Path) -> None:
    text = GOOD + "initial: [{path: a.pth}, {path: b.pth}]\n"
    changes = ["loop.steps=7", "data.size=[3, 4]", "optimiser.clip=null", "initial.1.path=runs/c.pth"]
    config = read_config(written(tmp_path, text), changes)
    assert config.loop.steps == 7
    assert config.data == {"size": [3, 4]}
    assert config.optimiser.clip is None
    assert [str(initial.path) for initial in config.initial] == ["a.pth", "runs/c.pth"]


@pytest.mark.parametrize("assignment", ["loop.steps", "name.first=1", "loop.steps=[1"])
def test_overrides_that_cannot_be_used(tmp_path: Path, assignment: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        read_config(written(tmp_path, GOOD), [assignment])


def test_length_is_given_once() -> None:
    with pytest.raises(ConfigError, match="exactly one of epochs and steps"):
        LoopSettings(steps=3, epochs=1)
    with pytest.raises(ConfigError, match="exactly one of epochs and steps"):
        LoopSettings()


@pytest.mark.parametrize(
    "text", ["initial: [{path: a, keep: '('}]", "initial: [{path: a, renames: [[a, '\\2']]}]"], ids=["match", "group"]
)
def test_what_is_no_regular_expression_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml:5: initial\.0: .* is no regular expression"):
        read_config(written(tmp_path, GOOD + text))


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_shipped_configurations_are_read(path: Path) -> None:
    config = read_config(path)
    assert config.name == path.stem.replace("_", "-")


SMALL = Path(__file__).parents[3] / "rvos_fusion/training/configs/small_soc.yaml"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("network.backbone=null", r"network\.backbone must be a mapping"),
        ("network.backbone.kind=null", r"network\.backbone\.kind .* is unknown; choose one of"),
        ("network.text.heads=[]", r"network\.text\.heads must be a single value"),
        ("network.text.hidden=1e29", r"network\.text\.hidden '1e29' is not a whole number"),
        ("network.text.hidden=65", "network` do not fit together"),
        ("network.text.hidden=999999", "network` do not fit together|takes .* GiB"),
        ("network.text.vocab_size=-1", r"vocab_size '-1' is not a whole number of at least 1"),
        ("network.text.layers=1000000000", r"layers '1000000000' is not a whole number of at least 1 and of at most"),
        ("network.text.dropout=-1", r"dropout '-1' is not a number of at least 0"),
        ("network.text.max_tokens=2", r"max_tokens '2' is not a whole number of at least 3"),
        ("validation.options.short_side=x", r"validation\.options\.short_side 'x' is not"),
        ("validation.options.shortside=96", r"validation\.options: unknown key 'shortside'; did you mean 'short_side'"),
        ("network.encoder_layers=.nan", r"encoder_layers '.nan' is not a whole number"),
        ("network.backbone.depths=[1]", r"small_soc\.yaml:\d+: network\.backbone: .*4 positive depths"),
    ],
)
def test_sizes_that_no_network_can_have_are_one_message(assignment: str, message: str) -> None:
    config = read_config(SMALL, [assignment])
    with pytest.raises(ConfigError, match=message) as caught:
        build_task(config)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.text(alphabet="abelmnoprstx:-?[]{}&*!|>'\"%@`#,~ \n\t.0123456789", max_size=150))
def test_any_text_gives_a_configuration_or_one_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = written(tmp_path_factory.getbasetemp(), GOOD + text)
    try:
        assert isinstance(read_config(path), TrainingConfig)
    except ConfigError as error:
        str(error).encode()


_KEYS = [
    "task", "optimiser.rate", "optimiser.betas", "optimiser.rules.0.match", "schedule.milestones", "loop.batch",
    "initial.0.path", "initial.0.renames.0", "network", "network.backbone", "network.backbone.depths",
    "network.text.heads", "network.text.dropout", "network.queries", "network.heads", "network.pyramid_widths",
    "network.points", "data", "data.videos", "data.videos.0.folder", "data.videos.0.frames", "data.expressions",
    "data.videos.0.augmentation.short_sides", "options.weights", "options.weights.classes", "validation.folder.videos",
]  # fmt: skip
_WORDS = ["null", "-1", "0", "3", "1.5", ".nan", "1e29", "999999", "x", "[]", "[1, 2]", "{}", "{a: 1}", "true", "'('"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.sampled_from(_KEYS), word=st.sampled_from(_WORDS))
def test_any_value_anywhere_gives_a_task_or_one_error(key: str, word: str) -> None:
    try:
        build_task(read_config(SMALL, [f"{key}={word}", "data.videos.0.folder.root=nowhere"]))
    except PipelineError as error:
        str(error).encode()

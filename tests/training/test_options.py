"""Options of a page become a config: only those that a stranger may set."""

import pytest

from bicyclegan.checkpoints import DEFAULT_ROOT, load_config
from bicyclegan.errors import UserError
from bicyclegan.training.config import TrainConfig
from bicyclegan.training.options import WITHHELD, defaults, open_fields, record_for, with_options

SHOES = DEFAULT_ROOT / "edges2shoes"


def test_a_start_brings_its_networks_and_edges():
    config = defaults("fast", SHOES)
    shoes = load_config(SHOES)
    assert (config.model, config.edge_style) == (shoes.model, shoes.edge_style)
    assert config.init_from == str(SHOES)
    assert config.record.log_with == "none"


def test_from_scratch_the_networks_fit_the_size():
    assert defaults("fast", image_size=64).model.image_size == 64
    with pytest.raises(UserError, match="multiple of 32"):
        defaults("fast", image_size=50)
    with pytest.raises(UserError, match="no preset"):
        defaults("best")


def test_options_reach_the_group_they_belong_to():
    config = with_options(
        defaults("fast"), {"steps": 60, "lambda_z": 2, "layout": "photos", "low_threshold": 30, "seed": 5}
    )
    assert (config.steps, config.loss.lambda_z, config.source.layout, config.edge_style.low_threshold, config.seed) == (
        60,
        2.0,
        "photos",
        30.0,
        5,
    )
    assert config.loss.lambda_l1 == TrainConfig().loss.lambda_l1


def test_every_field_is_either_offered_or_withheld():
    offered = {name for names in open_fields().values() for name in names}
    assert not offered & set(WITHHELD)
    assert {"steps", "lambda_kl", "image_size", "mix"} <= offered


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "/etc"}, "'data' is no option"),
        ({"out": "/tmp/x"}, "'out' is no option"),
        ({"num_workers": 64}, "no option"),
        ({"no_such": 1}, "'no_such' is no option"),
        ({"image_size": 4096}, "at most 512"),
        ({"batch_size": 100_000}, "at most 128"),
        ({"steps": 0}, "from 1 to"),
        ({"steps": "many"}, "of type int"),
        ({"lambda_z": float("nan")}, "lambda_z is nan"),
        ({"batch_size": 3}, "even"),
        ({"low_threshold": 500.0}, "at most high_threshold"),
        ({"mix": "stir"}, "mix"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        with_options(defaults("fast"), options)


@pytest.mark.parametrize("steps", [1, 2, 7, 60, 1000, 10_000_000])
def test_how_often_is_written_fits_the_length(steps):
    usual = TrainConfig().record
    record = record_for(usual, steps)
    for name in ("log_every", "measure_every", "sample_every", "validate_every", "checkpoint_every"):
        assert 1 <= getattr(record, name) <= getattr(usual, name)
    assert steps < 60 or steps // record.log_every >= 60
    assert with_options(defaults("fast"), {"steps": 60, "sample_every": 0}).record.sample_every == 0

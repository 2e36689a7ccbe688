"""Starting from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bicyclegan.checkpoints import load_checkpoint, load_discriminators, save_checkpoint
from bicyclegan.config import CheckpointConfig, EdgeStyle, ModelConfig
from bicyclegan.errors import UserError
from bicyclegan.models import Discriminator, Encoder, Generator
from bicyclegan.models.spectral import learnt_weight
from bicyclegan.training.config import LossConfig, TrainConfig
from bicyclegan.training.networks import Networks, build_networks
from bicyclegan.training.start import config_from_checkpoint, fit_channels, load_start


@pytest.fixture
def saved(tmp_path: Path, tiny_config: ModelConfig) -> Callable[..., Path]:
    """Write a checkpoint; `critics` names the discriminators it brings."""

    def save(critics: tuple[str, ...] = (), **fields: object) -> Path:
        config = replace(tiny_config, **fields)
        torch.manual_seed(5)
        networks = {name: Discriminator(config) for name in critics}
        encoder = Encoder(config) if config.encoder != "none" else None
        described = CheckpointConfig(config, name="start")
        return save_checkpoint(tmp_path / "start", described, Generator(config), encoder, discriminators=networks)

    return save


def start(folder: Path, model: ModelConfig, **loss: object) -> tuple[Networks, bool]:
    config = TrainConfig(model=model, init_from=str(folder), loss=LossConfig(**loss), seed=9)
    networks = build_networks(config)
    return networks, load_start(config, networks)


def test_weights_are_taken_over(saved: Callable[..., Path], tiny_config: ModelConfig) -> None:
    folder = saved()
    networks, complete = start(folder, tiny_config)
    stored = load_checkpoint(folder)
    for ours, theirs in ((networks.generator, stored.generator), (networks.encoder, stored.encoder)):
        for name, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[name]), name
    assert all(weight.requires_grad for weight in networks.generator.parameters()), "they go on learning"
    assert not complete, "no discriminators came along"


@pytest.mark.parametrize(
    ("critics", "complete"),
    [(("discriminator", "discriminator2"), True), (("discriminator",), False), ((), False)],
)
def test_discriminators_come_along_where_they_are(
    saved: Callable[..., Path], tiny_config: ModelConfig, critics: tuple[str, ...], complete: bool
) -> None:
    folder = saved(critics)
    networks, found = start(folder, tiny_config)
    assert found == complete
    fresh = build_networks(TrainConfig(model=tiny_config, seed=9))
    for name in ("discriminator", "discriminator2"):
        ours, new = (next(getattr(each, name).parameters()) for each in (networks, fresh))
        assert torch.equal(ours, new) != (name in critics)


def test_one_discriminator_is_enough_where_one_is_needed(saved: Callable[..., Path], tiny_config: ModelConfig) -> None:
    assert start(saved(("discriminator",)), tiny_config, objective="cvae-gan")[1]


def test_other_discriminators_than_the_checkpoints_start_fresh(
    saved: Callable[..., Path], tiny_config: ModelConfig
) -> None:
    folder = saved(("discriminator", "discriminator2"))
    assert not start(folder, replace(tiny_config, discriminator_channels=8))[1]


def test_a_grey_sketch_in_three_channels_paints_what_it_painted(
    saved: Callable[..., Path], tiny_config: ModelConfig
) -> None:
    folder = saved(("discriminator", "discriminator2"), conditional_discriminator=True)
    model = replace(tiny_config, input_channels=3, conditional_discriminator=True)
    networks, complete = start(folder, model)
    assert complete
    a, z = torch.rand(2, 1, 32, 32) * 2 - 1, torch.randn(2, 8)
    stored = load_checkpoint(folder)
    with torch.no_grad():
        painted = networks.generator.eval()(a.expand(-1, 3, -1, -1), z)
        torch.testing.assert_close(painted, stored.generator(a, z), rtol=0, atol=1e-5)


def test_channels_go_down_to_one_and_only_by_whole_numbers() -> None:
    weight = torch.randn(4, 3 + 2, 3, 3)
    grey = torch.randn(1, 1, 5, 5)
    three = torch.nn.functional.conv2d(grey.expand(-1, 3, -1, -1), weight[:, :3])
    one = torch.nn.functional.conv2d(grey, fit_channels(weight, 3, 1)[:, :1])
    torch.testing.assert_close(one, three, rtol=0, atol=1e-5)
    assert torch.equal(fit_channels(weight, 3, 1)[:, 1:], weight[:, 3:]), "planes of z stay"
    assert fit_channels(weight, 3, 3) is weight
    with pytest.raises(UserError, match="3 channels; they cannot become 2"):
        fit_channels(weight, 3, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base_channels": 8}, "base_channels 4, this run asks for 8"),
        ({"latent_dim": 4}, "latent_dim 8, this run asks for 4"),
        ({"encoder": "conv"}, "encoder 'resnet'"),
        ({"upsample": "transposed"}, "upsample 'bilinear'"),
        ({"output_layer": "conv7"}, "output_layer 'upsample', this run asks for 'conv7'"),
    ],
)
def test_other_networks_are_an_error(
    saved: Callable[..., Path], tiny_config: ModelConfig, fields: dict[str, object], message: str
) -> None:
    folder = saved()
    with pytest.raises(UserError, match=message):
        start(folder, replace(tiny_config, **fields))


def test_an_encoder_that_is_not_there_is_an_error_only_where_it_is_needed(
    saved: Callable[..., Path], tiny_config: ModelConfig
) -> None:
    folder = saved(encoder="none")
    with pytest.raises(UserError, match="encoder 'none'"):
        start(folder, tiny_config)
    start(folder, replace(tiny_config, encoder="none"), objective="pix2pix+noise")


def test_a_map_of_codes_may_be_new(saved: Callable[..., Path], tiny_config: ModelConfig) -> None:
    folder, mapped = saved(), replace(tiny_config, map_code=True)
    networks, _ = start(folder, mapped)
    x, z = torch.randn(2, 1, 32, 32).sign(), torch.randn(2, 8)
    with torch.inference_mode():
        assert torch.equal(networks.generator.eval()(x, z), load_checkpoint(folder).generator(x, z))


def test_a_map_of_codes_is_not_dropped(saved: Callable[..., Path], tiny_config: ModelConfig) -> None:
    with pytest.raises(UserError, match="has map_code True, this run asks for False"):
        start(saved(map_code=True), tiny_config)


@pytest.mark.parametrize(
    "new", [{"attention": 8}, {"attention": 4}, {"residual_blocks": 2}, {"attention": 16, "residual_blocks": 1}]
)
def test_parts_that_are_new_change_nothing_at_first(
    saved: Callable[..., Path], tiny_config: ModelConfig, new: dict[str, int]
) -> None:
    folder = saved(("discriminator", "discriminator2"))
    networks, complete = start(folder, replace(tiny_config, **new))
    assert complete, "D only has attention more"
    x, z = torch.randn(2, 1, 32, 32).sign(), torch.randn(2, 8)
    with torch.inference_mode():
        assert torch.equal(networks.generator.eval()(x, z), load_checkpoint(folder).generator(x, z))
        stored, photo = load_discriminators(folder, tiny_config), torch.rand(2, 3, 32, 32)
        for name in stored:
            for ours, theirs in zip(getattr(networks, name)(photo), stored[name](photo), strict=True):
                assert torch.equal(ours, theirs)


def test_more_residual_blocks_keep_those_there_are(saved: Callable[..., Path], tiny_config: ModelConfig) -> None:
    folder = saved(residual_blocks=1)
    networks, _ = start(folder, replace(tiny_config, residual_blocks=2))
    stored = load_checkpoint(folder).generator.state_dict()
    assert any("residual" in name for name in stored)
    assert all(torch.equal(networks.generator.state_dict()[name], value) for name, value in stored.items())


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ({"residual_blocks": 2}, {"residual_blocks": 1}, "has residual_blocks 2, this run asks for 1"),
        ({"attention": 8}, {}, "attention at 8 px in pictures of 32 px; .* is 8 px, but this run asks for 0"),
        ({"attention": 8}, {"attention": 16}, "asks for 16. Use attention 8, or image_size 32 and leave it out"),
        ({"attention": 8}, {"attention": 8, "image_size": 64}, "in 64 px the same place is 16 px, .* asks for 8"),
    ],
)
def test_parts_that_learnt_are_not_dropped_or_moved(
    saved: Callable[..., Path], tiny_config: ModelConfig, theirs: dict[str, int], ours: dict[str, int], message: str
) -> None:
    folder = saved(**theirs)
    with pytest.raises(UserError, match=message):
        start(folder, replace(tiny_config, **ours))


def test_attention_keeps_its_place_at_another_size(saved: Callable[..., Path], tiny_config: ModelConfig) -> None:
    folder = saved(attention=8)
    networks, _ = start(folder, replace(tiny_config, attention=16, image_size=64))
    stored = load_checkpoint(folder).generator
    assert torch.equal(networks.generator.refine[2].attention.query.weight, stored.refine[2].attention.query.weight)


@pytest.mark.parametrize("new", [{"spectral_norm": True}, {"minibatch": "statistics"}, {"minibatch": "discrimination"}])
def test_another_kind_of_discriminator_starts_fresh(
    saved: Callable[..., Path], tiny_config: ModelConfig, new: dict[str, object]
) -> None:
    folder = saved(("discriminator", "discriminator2"))
    assert not start(folder, replace(tiny_config, **new))[1]


def test_every_kind_of_discriminator_comes_along(saved: Callable[..., Path], tiny_config: ModelConfig) -> None:
    fields = {"spectral_norm": True, "minibatch": "discrimination", "attention": 8}
    folder = saved(("discriminator", "discriminator2"), **fields)
    networks, complete = start(folder, replace(tiny_config, **fields))
    assert complete
    stored, photo = (
        load_discriminators(folder, replace(tiny_config, **fields))["discriminator"],
        torch.rand(2, 3, 32, 32),
    )
    with torch.no_grad():
        for ours, theirs in zip(networks.discriminator.eval()(photo), stored(photo), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0.02)  # their singular vectors are in half precision


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 4)])
def test_a_normalised_discriminator_may_read_another_number_of_channels(
    saved: Callable[..., Path], tiny_config: ModelConfig, before: int, after: int
) -> None:
    critic = {"spectral_norm": True, "conditional_discriminator": True}
    folder = saved(("discriminator", "discriminator2"), input_channels=before, **critic)
    networks, complete = start(folder, replace(tiny_config, input_channels=after, **critic))
    assert complete
    stored = load_discriminators(folder, replace(tiny_config, input_channels=before, **critic))["discriminator"]
    for ours, theirs in zip(networks.discriminator.eval().scales, stored.scales, strict=True):
        expected = fit_channels(learnt_weight(theirs[0]), before, after)
        assert torch.equal(learnt_weight(ours[0]), expected)
        assert torch.linalg.matrix_norm(ours[0].weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_other_sizes_are_fine(saved: Callable[..., Path], tiny_config: ModelConfig) -> None:
    start(saved(), replace(tiny_config, image_size=64))


def test_a_missing_checkpoint_is_named(tmp_path: Path, tiny_config: ModelConfig) -> None:
    with pytest.raises(UserError, match="There is no checkpoint folder"):
        start(tmp_path / "nothing", tiny_config)


def test_the_checkpoints_networks_and_edges_become_the_defaults(tiny_config: ModelConfig) -> None:
    style = EdgeStyle(line_width=2.0)
    config = config_from_checkpoint(TrainConfig(), CheckpointConfig(tiny_config, edge_style=style))
    assert (config.model, config.edge_style) == (tiny_config, style)
    labels = config_from_checkpoint(TrainConfig(), CheckpointConfig(tiny_config, edge_style=None))
    assert labels.edge_style == EdgeStyle()

"""The three networks: what their config allows, the shapes they make, and the fast generator equal to the plain one."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bicyclegan.config import CheckpointConfig, EdgeStyle, ModelConfig, from_json
from bicyclegan.errors import UserError
from bicyclegan.models import Discriminator, Encoder, Generator
from bicyclegan.models.attention import SelfAttention
from bicyclegan.models.generator import DownBlock
from bicyclegan.models.inference import FastGenerator, _FastDown, upsample_operator
from bicyclegan.models.layers import ZeroConv2d

DEPTHS = {3: 16, 5: 32, 7: 128}


def config(depth: int = 5, **fields: object) -> ModelConfig:
    """A small one of any depth."""
    latent_dim = fields.get("latent_dim", 8)
    defaults = {
        "image_size": DEPTHS.get(depth, 32),
        "depth": depth,
        "base_channels": 4,
        "encoder": "resnet" if latent_dim else "none",
        "encoder_channels": 4,
        "encoder_blocks": 3,
        "discriminator_channels": 4,
        "discriminator_layers": 1,
    }
    return ModelConfig(**{**defaults, **fields})


def generator(config: ModelConfig, seed: int = 0) -> Generator:
    """In eval mode; no part as it was at first, batch norm and what starts as the identity included."""
    torch.manual_seed(seed)
    network = Generator(config).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
        elif isinstance(module, ZeroConv2d):  # neither does it stay the identity that it was
            nn.init.normal_(module.weight, 0, 0.05)
        elif isinstance(module, SelfAttention):
            nn.init.ones_(module.gamma)
    return network


def sketch(config: ModelConfig, count: int = 1, size: tuple[int, int] | None = None) -> torch.Tensor:
    shape = (count, config.input_channels, *(size or (config.image_size, config.image_size)))
    return torch.randn(shape).sign()


# Config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depth": 1}, r"ModelConfig.depth is 1; it must be from 2 to 12"),
        ({"depth": 13}, r"depth is 13; it must be from 2 to 12"),
        ({"depth": 5.0}, r"depth is 5.0; it must be of type int"),
        ({"depth": True}, r"depth is True; it must be of type int"),
        ({"latent_dim": -1}, r"latent_dim is -1; it must be from 0 to 1024"),
        ({"latent_dim": "8"}, r"latent_dim is '8'; it must be of type int"),
        ({"base_channels": 0}, r"base_channels is 0; it must be from 1 to 4096"),
        ({"encoder_blocks": 0}, r"encoder_blocks is 0; it must be from 1 to 1024"),
        ({"dropout": 1.0}, r"dropout is 1.0; it must be 0 up to, not including, 1"),
        ({"dropout": float("nan")}, r"dropout is nan"),
        ({"dropout": True}, r"dropout is True; it must be of type float"),
        ({"inject": "middle"}, r"inject is 'middle'; it must be 'all' \| 'input'"),
        ({"upsample": "nearest"}, r"upsample is 'nearest'; it must be 'transposed' \| 'bilinear'"),
        ({"norm": "layer"}, r"norm is 'layer'; it must be 'instance' \| 'batch' \| 'none'"),
        ({"activation": ["relu"]}, r"activation is \['relu'\]; it must be 'relu'"),
        ({"encoder": None}, r"encoder is None; it must be 'resnet' \| 'conv' \| 'none'"),
        ({"conditional_discriminator": 1}, r"conditional_discriminator is 1; it must be of type bool"),
        ({"image_size": 48}, r"image_size is 48; it must be a multiple of 32, because depth is 5"),
        ({"encoder_blocks": 6}, r"image_size is 32; it must be a multiple of 64, because .* encoder_blocks is 6"),
        ({"num_discriminators": 4}, r"num_discriminators is 4; .* coarsest picture is only 4 px wide"),
        ({"discriminator_layers": 4}, r"fewer scales or discriminator_layers \(now 4\)"),
        ({"latent_dim": 0, "encoder": "conv"}, r"encoder is 'conv'; it must be 'none' when latent_dim is 0"),
        ({"encoder": "conv", "encoder_blocks": 5}, r"encoder_blocks is 5; it must be smaller: instance norm"),
        (
            {"attention": 12},
            r"attention is 12; it must be one of 0, 4, 8, 16: sides of G's feature maps at image_size 32",
        ),
        ({"attention": 32}, r"attention is 32; it must be one of 0, 4, 8, 16"),
        ({"attention": 2}, r"attention is 2; it must be one of 0, 4, 8, 16"),
        (
            {"attention": 128, "image_size": 256},
            r"one of 0, 16, 32, 64: .* at image_size 256 and depth 5, from 4 to 64",
        ),
        ({"attention": True}, r"attention is True; it must be of type int"),
        ({"residual_blocks": 17}, r"residual_blocks is 17; it must be from 0 to 16"),
        ({"output_layer": "conv5"}, r"output_layer is 'conv5'; it must be 'upsample' \| 'conv7'"),
        ({"spectral_norm": 1}, r"spectral_norm is 1; it must be of type bool"),
        ({"minibatch": "std"}, r"minibatch is 'std'; it must be 'none' \| 'statistics' \| 'discrimination'"),
    ],
)
def test_wrong_combinations_say_what_is_allowed(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        config(**fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"low_threshold": 200.0}, r"EdgeStyle.low_threshold is 200.0; it must be at most high_threshold \(120.0\)"),
        ({"line_width": 0}, r"line_width is 0.0; it must be from 0.25 to 64"),
        ({"low_threshold": float("nan")}, r"low_threshold is nan"),
        ({"low_threshold": 10**400}, r"low_threshold is .*; it must be from 0 to 10000"),
        ({"detector": "hed"}, r"detector is 'hed'; it must be 'canny'"),
    ],
)
def test_wrong_edge_styles(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EdgeStyle(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "name is ''; it must be 1 to 64 letters"),
        ({"name": ".."}, "name is '..'"),
        ({"name": "a/b"}, "name is 'a/b'"),
        ({"palette": ()}, "1 to 256 colours"),
        ({"palette": ("red",)}, "colours written #rrggbb, not 'red'"),
        ({"paper": "white"}, "colours written #rrggbb, not 'white'"),
        ({"palette_names": ("ink", "paper")}, "palette_names is .* one name for each of 1 colours, or none"),
        ({"palette_names": ["ink"]}, "one name for each of 1 colours"),
        ({"palette_names": (" ",)}, "names of 1 to 40 characters, not ' '"),
        ({"palette_names": ("x" * 41,)}, "names of 1 to 40 characters"),
        ({"palette_names": ("two\nlines",)}, "names of 1 to 40 characters"),
        ({"palette_names": (7,)}, "names of 1 to 40 characters, not 7"),
        ({"shades": 1}, "shades is 1; it must be true or false"),
        ({"training": [1]}, "training is .* it must be a JSON object"),
    ],
)
def test_wrong_checkpoint_configs(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CheckpointConfig(config(), **fields)


@pytest.mark.parametrize(
    "described",
    [
        CheckpointConfig(config()),
        CheckpointConfig(
            config(latent_dim=0, norm="none", dropout=0.25),
            name="maps",
            edge_style=None,
            palette=("#ff0000", "#00ff00"),
            paper="#123456",
            training={"steps": 3, "data": "面"},
        ),
        CheckpointConfig(
            config(), edge_style=None, palette=("#ff0000", "#00ff00"), palette_names=("wall", "窗"), shades=True
        ),
        CheckpointConfig(config(), edge_style=EdgeStyle(adaptive=True, line_width=2, antialias=True)),
    ],
)
def test_configs_survive_json(described: CheckpointConfig) -> None:
    assert CheckpointConfig.from_json(json.loads(json.dumps(described.to_json()))) == described


def test_older_programs_read_what_says_nothing_new() -> None:
    assert not {"palette_names", "shades"} & CheckpointConfig(config()).to_json().keys()


def changed(**changes: object) -> dict[str, object]:
    return {**CheckpointConfig(config()).to_json(), **changes}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "config.json must hold a JSON object, not list"),
        ({}, "schema_version None; expected 1"),
        (changed(schema_version="1"), "schema_version '1'; expected 1"),
        (changed(schema_version=True), "schema_version True; expected 1"),
        (changed(schema_version=2), "schema version 2; this program reads up to 1. Update it: git pull"),
        (changed(model=None), "The ModelConfig part must be a JSON object, not NoneType"),
        (changed(edge_style=3), "The EdgeStyle part must be a JSON object, not int"),
        (
            changed(model={"ngf": 64}),
            r"ModelConfig has unknown field\(s\) ngf; known are activation, attention, base_channels",
        ),
        (changed(colour=1), r"CheckpointConfig has unknown field\(s\) colour; known are edge_style"),
        (changed(palette=7), "palette is 7"),
        (changed(palette="#000000"), "palette is '#000000'"),
        (changed(name=7), "name is 7"),
    ],
)
def test_config_files_say_what_is_wrong(data: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        CheckpointConfig.from_json(data)


def test_fields_left_out_take_their_defaults() -> None:
    assert from_json(EdgeStyle, {"line_width": 2}) == EdgeStyle(line_width=2.0)


# Generator

GRID = [
    {"depth": 3},
    {"depth": 3, "image_size": 24, "encoder_blocks": 3},
    {"depth": 5, "image_size": 64},
    {"depth": 7},
    {"depth": 5, "latent_dim": 0},
    {"depth": 5, "latent_dim": 0, "upsample": "transposed"},
    {"depth": 5, "inject": "input"},
    {"depth": 5, "inject": "input", "activation": "elu"},
    {"depth": 5, "inject": "input", "activation": "leaky_relu", "upsample": "transposed"},
    {"depth": 5, "inject": "adain"},
    {"depth": 7, "inject": "adain", "activation": "elu", "dropout": 0.5},
    {"depth": 5, "inject": "adain", "upsample": "transposed", "activation": "leaky_relu"},
    {"depth": 5, "inject": "adain", "norm": "batch"},
    {"depth": 5, "inject": "adain", "latent_dim": 0},
    {"depth": 5, "map_code": True},
    {"depth": 5, "map_code": True, "inject": "adain"},
    {"depth": 5, "map_code": True, "latent_dim": 0},
    {"depth": 5, "upsample": "transposed"},
    {"depth": 5, "norm": "batch"},
    {"depth": 5, "norm": "batch", "inject": "input", "latent_dim": 1},
    {"depth": 5, "norm": "none"},
    {"depth": 5, "norm": "none", "upsample": "transposed", "activation": "elu"},
    {"depth": 5, "activation": "leaky_relu"},
    {"depth": 7, "dropout": 0.5},
    {"depth": 7, "dropout": 0.5, "norm": "batch", "latent_dim": 3},
    {"depth": 5, "input_channels": 3, "output_channels": 1},
    {"depth": 2, "image_size": 16},
    {"depth": 5, "attention": 4},
    {"depth": 5, "attention": 16, "inject": "adain", "map_code": True},
    {"depth": 3, "image_size": 24, "attention": 6, "inject": "input", "upsample": "transposed"},
    {"depth": 5, "residual_blocks": 2},
    {"depth": 5, "residual_blocks": 1, "inject": "adain", "norm": "batch", "activation": "elu"},
    {"depth": 5, "output_layer": "conv7"},
    {"depth": 5, "output_layer": "conv7", "inject": "adain", "activation": "leaky_relu"},
    {"depth": 5, "output_layer": "conv7", "inject": "input", "upsample": "transposed", "norm": "none"},
    {"depth": 2, "image_size": 16, "output_layer": "conv7", "residual_blocks": 1, "attention": 8},
    {"depth": 5, "output_layer": "conv7", "residual_blocks": 1, "attention": 8, "latent_dim": 0},
    {"depth": 5, "image_size": 64, "output_layer": "conv7", "residual_blocks": 2, "attention": 32, "inject": "adain"},
]
each_config = pytest.mark.parametrize("fields", GRID, ids=lambda fields: "-".join(map(str, fields.values())))


@each_config
@torch.inference_mode()
def test_generator_and_fast_generator_agree(fields: dict[str, object]) -> None:
    network = generator(config(**fields))
    c = network.config
    x, z = sketch(c), torch.randn(3, c.latent_dim)
    expected = network(x.expand(3, -1, -1, -1), z)
    assert expected.shape == (3, c.output_channels, c.image_size, c.image_size)
    assert expected.abs().max() <= 1
    assert expected.std() > 1e-3
    fast = FastGenerator(network)
    torch.testing.assert_close(fast(fast.prepare(x), z), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 64), (96, 32), (64, 64)])
@torch.inference_mode()
def test_other_sizes_than_the_trained_one(size: tuple[int, int]) -> None:
    network = generator(config(5))
    x, z = sketch(network.config, size=size), torch.randn(2, 8)
    expected = network(x.expand(2, -1, -1, -1), z)
    assert expected.shape == (2, 3, *size)
    fast = FastGenerator(network)
    torch.testing.assert_close(fast(fast.prepare(x), z), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"inject": "input"},
        {"inject": "adain"},
        {"upsample": "transposed"},
        {"norm": "none"},
        {"output_layer": "conv7"},
        {"output_layer": "conv7", "inject": "adain"},
        {"attention": 8, "residual_blocks": 1},
    ],
)
@torch.inference_mode()
def test_codes_change_the_picture_everywhere(fields: dict[str, object]) -> None:
    network = generator(config(5, **fields))
    x = sketch(network.config)
    fast = FastGenerator(network)
    a, b, again = fast(fast.prepare(x), torch.tensor([[2.0] * 8, [-2.0] * 8, [2.0] * 8]))
    difference = (a - b).abs()
    assert difference.mean() > 1e-3
    assert (difference.amax(0) > 0).float().mean() > 0.9
    torch.testing.assert_close(a, again, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_without_codes_the_picture_depends_on_the_sketch_alone() -> None:
    network = generator(config(5, latent_dim=0))
    x = sketch(network.config)
    assert torch.equal(network(x), network(x, torch.zeros(1, 0)))
    assert not torch.equal(network(x), network(-x))


def test_dropout_acts_in_training_only() -> None:
    network = generator(config(7, dropout=0.5))
    x, z = sketch(network.config), torch.randn(1, 8)
    assert torch.equal(network(x, z), network(x, z))
    network.train()
    assert not torch.equal(network(x, z), network(x, z))


@pytest.mark.parametrize(
    ("x", "z", "message"),
    [
        ((1, 3, 32, 32), (1, 8), r"\(N, 1, H, W\) with H and W multiples of 32, not \(1, 3, 32, 32\)"),
        ((1, 1, 32, 40), (1, 8), r"not \(1, 1, 32, 40\)"),
        ((1, 32, 32), (1, 8), r"not \(1, 32, 32\)"),
        ((1, 1, 32, 32), (1, 7), r"latent codes of shape \(1, 8\), not \(1, 7\)"),
        ((2, 1, 32, 32), (1, 8), r"latent codes of shape \(2, 8\), not \(1, 8\)"),
        ((1, 1, 32, 32), None, r"latent codes of shape \(1, 8\), not None"),
    ],
)
def test_wrong_inputs_of_the_generator(x: tuple[int, ...], z: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        generator(config(5))(torch.zeros(x), None if z is None else torch.zeros(z))


# Fast generator


@pytest.mark.parametrize("height", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_share_of_the_code_is_right_at_every_border(height: int, width: int) -> None:
    """The planes of a code end where the zero padding begins: borders and corners get another bias."""
    torch.manual_seed(0)
    block = DownBlock(5 + 8, 6, norm=nn.Identity(), activate=False).requires_grad_(False)
    x, z = torch.randn(2, 5, 2 * height, 2 * width), torch.randn(2, 8)
    planes = z[:, :, None, None].expand(-1, -1, *x.shape[2:])
    fast = _FastDown(block, 8)
    ours = fast.add_code(fast.conv_x(x), z)
    assert ours.shape == (2, 6, height, width)
    torch.testing.assert_close(ours, block(torch.cat([x, planes], dim=1)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 64])
def test_upsample_operator_equals_the_real_operators(size: int) -> None:
    torch.manual_seed(0)
    values, kernel = torch.randn(1, 1, size), torch.randn(1, 1, 3)
    fine = F.interpolate(values, scale_factor=2, mode="linear", align_corners=False)
    expected = F.conv1d(F.pad(fine, (1, 1), mode="reflect"), kernel)[0, 0]
    taps = upsample_operator(size).view(2 * size, 3, size)
    torch.testing.assert_close(torch.einsum("otp,t,p->o", taps, kernel[0, 0], values[0, 0]), expected)


@pytest.mark.parametrize("fields", [{"norm": "batch"}, {"upsample": "transposed", "latent_dim": 0}])
def test_making_a_fast_generator_leaves_a_learning_one_alone(fields: dict[str, object]) -> None:
    network = Generator(config(5, **fields)).train()
    fast = FastGenerator(network)
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    x, z = sketch(network.config), torch.randn(1, network.config.latent_dim)
    with torch.no_grad():
        before = fast(fast.prepare(x), z)
        for parameter in network.parameters():
            parameter.mul_(2)
        assert torch.equal(fast(fast.prepare(x), z), before), "its weights are copies"


# Encoder


@pytest.mark.parametrize("kind", ["resnet", "conv"])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@torch.inference_mode()
def test_encoder_reads_any_size_that_its_strides_divide(kind: str, norm: str) -> None:
    torch.manual_seed(0)
    network = Encoder(config(encoder=kind, norm=norm, latent_dim=5)).eval()
    for size in ((32, 32), (64, 64), (40, 16), (256, 256)):
        photo = torch.rand(2, 3, *size) * 2 - 1
        mu, logvar = network(photo)
        assert mu.shape == logvar.shape == (2, 5)
        assert mu.isfinite().all()
        assert not torch.equal(mu, logvar), "two heads"
        assert not torch.equal(mu[0], mu[1])
        torch.testing.assert_close(network(photo[:1])[0], mu[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (1, 3, 36, 32), (3, 32, 32)])
def test_wrong_inputs_of_the_encoder(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"\(N, 3, H, W\) with H and W multiples of 8, not") as caught:
        Encoder(config())(torch.zeros(shape))
    assert str(shape) in str(caught.value)


def test_a_model_without_an_encoder_builds_none() -> None:
    with pytest.raises(ValueError, match="no encoder"):
        Encoder(config(latent_dim=0))


# Discriminator


@pytest.mark.parametrize(
    ("fields", "size", "expected"),
    [
        ({"discriminator_layers": 2, "num_discriminators": 1}, 128, [30]),
        ({"discriminator_layers": 2, "num_discriminators": 2}, 128, [30, 14]),
        ({"discriminator_layers": 3, "num_discriminators": 2}, 256, [30, 14]),
        ({"discriminator_layers": 1, "num_discriminators": 3}, 32, [14, 6, 2]),
    ],
)
@pytest.mark.parametrize("conditional", [False, True])
@torch.inference_mode()
def test_discriminator_judges_patches_at_several_scales(
    fields: dict[str, int], size: int, expected: list[int], conditional: bool
) -> None:
    c = config(image_size=size, conditional_discriminator=conditional, **fields)
    scores = Discriminator(c)(torch.rand(2, 4 if conditional else 3, size, size))
    assert [tuple(map.shape) for map in scores] == [(2, 1, side, side) for side in expected]


@torch.inference_mode()
def test_a_patch_sees_its_own_part_of_the_picture() -> None:
    """A PatchGAN of two stride-2 layers looks at 34 pixels."""
    c = config(image_size=128, discriminator_layers=2, num_discriminators=1, norm="none")
    network = Discriminator(c)
    photo = torch.zeros(1, 3, 128, 128)
    marked = photo.clone()
    marked[..., :8, :8] = 1
    [before], [after] = network(photo), network(marked)
    touched = (before != after)[0, 0]
    assert touched[0, 0]
    assert not touched[6:].any()
    assert not touched[:, 6:].any()


def test_without_new_parts_weights_keep_their_names_and_order() -> None:
    """Checkpoints, runs and optimisers of earlier versions go by them."""
    c = config(3, num_discriminators=1)
    weights = {network: [name for name, _ in network(c).named_parameters()] for network in (Generator, Discriminator)}
    both = ("weight", "bias")
    down = [f"down.{level}.conv.{kind}" for level in range(3) for kind in both]
    assert weights[Generator] == down + [f"up.{level}.upsample.2.{kind}" for level in range(3) for kind in both]
    assert weights[Discriminator] == [f"scales.0.{layer}.{kind}" for layer in (0, 2, 5) for kind in both]


def test_one_config_builds_all_three() -> None:
    c = replace(config(7), image_size=128)
    networks = Generator(c), Encoder(c), Discriminator(c)
    assert all(network.config is c for network in networks)
    assert asdict(c)["base_channels"] == 4


@pytest.mark.parametrize("fields", [{"map_code": True}, {"inject": "adain"}])
@torch.inference_mode()
def test_a_code_gives_the_same_bits_wherever_it_lies_in_memory(fields: dict[str, object]) -> None:
    """Recipes bring codes from files, and samples come alone or in a batch."""
    network = generator(config(5, **fields))
    layer = network.code_map or network.up[1].modulation
    layer.weight.normal_()
    given = () if network.code_map else (torch.randn(1, layer.bias.numel() // 2, 4, 4),)
    z = torch.randn(11, 8, generator=torch.Generator().manual_seed(0))
    expected = layer(*given, z)
    for offset in range(1, 9):
        moved = torch.empty(11 * 8 + offset)[offset:].view(11, 8).copy_(z)
        assert torch.equal(layer(*given, moved), expected)
    for k in range(11):
        assert torch.equal(layer(*given, z[k : k + 1])[0], expected[k])

"""Outputs are what the networks say, whatever mode they are in, and the networks stay as they were."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from bicyclegan.config import ModelConfig
from bicyclegan.metrics import Outputs, compute_outputs, evaluate
from bicyclegan.metrics.outputs import draw_codes, paint_each
from bicyclegan.models import Encoder, Generator


@pytest.fixture
def networks(tiny_config: ModelConfig) -> tuple[Generator, Encoder]:
    torch.manual_seed(0)
    config = replace(tiny_config, depth=5, dropout=0.5, norm="batch", latent_dim=3)
    return Generator(config), Encoder(config)


@pytest.fixture
def pairs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(5, 1, 32, 32, generator=generator) * 2 - 1, torch.rand(5, 3, 32, 32, generator=generator) * 2 - 1


def equal(one: Outputs, other: Outputs) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Outputs)]
    return all(torch.allclose(x, y, atol=1e-5) for x, y in pairs)


def test_every_field_is_what_the_networks_say(networks: tuple, pairs: tuple) -> None:
    generator, encoder = networks
    a, b = pairs
    found = compute_outputs(generator, encoder, a, b, inputs=2, samples=4)
    generator.eval(), encoder.eval()
    with torch.no_grad():
        mu, logvar = encoder(b)
        assert torch.allclose(found.mu, mu, atol=1e-6)
        assert torch.allclose(found.logvar, logvar, atol=1e-6)
        assert torch.allclose(found.reconstruction, generator(a, mu), atol=1e-5)
        assert found.random.shape == (2, 4, 3, 32, 32)
        for k in range(2):
            painted = generator(a[k].expand(4, -1, -1, -1), found.z[k])
            assert torch.allclose(found.random[k], painted, atol=1e-4)
            assert torch.allclose(found.recovered[k], encoder(painted)[0], atol=1e-4)
    assert torch.equal(found.a, a)
    assert torch.equal(found.b, b)


def test_modes_statistics_and_gradients_are_left_alone(networks: tuple, pairs: tuple) -> None:
    generator, encoder = networks
    generator.train(), encoder.eval()
    generator.down[1].eval()  # somebody froze a part
    modes = [module.training for network in networks for module in network.modules()]
    state = {key: value.clone() for key, value in generator.state_dict().items()}
    random = torch.get_rng_state()
    found = compute_outputs(generator, encoder, *pairs)
    assert [module.training for network in networks for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in generator.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not found.reconstruction.requires_grad
    generator(*(each[:2] for each in (pairs[0], found.z[:, 0]))).sum().backward()


def test_modes_come_back_after_an_error(networks: tuple, pairs: tuple) -> None:
    generator, encoder = networks
    generator.train()
    with pytest.raises(ValueError, match="generator takes sketches"):
        compute_outputs(generator, encoder, pairs[0][..., :31], pairs[1])
    assert generator.training


def test_batches_seeds_and_precision_of_the_caller_change_nothing(networks: tuple, pairs: tuple) -> None:
    whole = compute_outputs(*networks, *pairs, seed=3)
    assert equal(whole, compute_outputs(*networks, *pairs, seed=3, batch=2))
    torch.manual_seed(99)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = compute_outputs(*networks, *pairs, seed=3)
    assert mixed.random.dtype == torch.float32
    assert equal(whole, mixed)
    assert not torch.equal(whole.z, compute_outputs(*networks, *pairs, seed=4).z)


def test_codes_of_a_sketch_depend_on_no_other() -> None:
    some = draw_codes(7, 3, 4, 8)
    assert torch.equal(draw_codes(7, 9, 6, 8)[:3, :4], some)
    assert len({tuple(code) for code in some.flatten(0, 1).tolist()}) == 12
    assert draw_codes(2**32 - 1, 2, 1, 8).shape == (2, 1, 8), "the last seed has a successor"
    many = draw_codes(0, 300, 8, 2)
    eighths = (torch.special.ndtr(many[..., 0]) * 8).long()  # a wall of eight would have each once
    assert sum(len(set(row.tolist())) == 8 for row in eighths) < 10, "metrics need independent codes"
    assert abs(many.mean().item()) < 0.06
    assert many.std().item() == pytest.approx(1, abs=0.05)


def test_the_same_styles_for_all_sketches(networks: tuple, pairs: tuple) -> None:
    z = draw_codes(0, 1, 3, 3)[0]
    grid = paint_each(networks[0], pairs[0], z)
    assert grid.shape == (5, 3, 3, 32, 32)
    assert torch.allclose(grid[2], paint_each(networks[0], pairs[0][2:3], z)[0], atol=1e-5)


def test_without_encoder(networks: tuple, pairs: tuple) -> None:
    found = compute_outputs(networks[0], None, *pairs)
    assert found.mu is found.logvar is found.recovered is None
    code = found.z[0, 0].expand(5, -1)
    assert torch.allclose(found.reconstruction, networks[0].eval()(pairs[0], code), atol=1e-5)
    assert evaluate(found, ["diversity_rgb"])["diversity_rgb"] > 0


def test_without_code(tiny_config: ModelConfig, pairs: tuple) -> None:
    generator = Generator(replace(tiny_config, latent_dim=0, encoder="none"))
    found = compute_outputs(generator, None, *pairs)
    assert found.random.shape == (5, 1, 3, 32, 32)
    assert torch.allclose(found.random[:, 0], found.reconstruction, atol=1e-5)
    assert "reconstruction_l1" in evaluate(found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.gpu
def test_a_gpu_says_the_same(networks: tuple, pairs: tuple) -> None:
    here = compute_outputs(*networks, *pairs)
    there = compute_outputs(*(network.cuda() for network in networks), *pairs)
    assert {each.device.type for each in vars(there).values()} == {"cpu"}
    assert torch.allclose(here.random, there.random, atol=2e-2)

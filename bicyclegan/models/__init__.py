"""The three networks of the paper as `nn.Module`s, each built from one `ModelConfig`."""

from bicyclegan.models.discriminator import Discriminator
from bicyclegan.models.encoder import Encoder
from bicyclegan.models.generator import Generator

__all__ = ["Discriminator", "Encoder", "Generator"]

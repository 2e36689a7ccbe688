"""Training data: pairs of a sketch (A) and a photo (B), found, checked, cached, augmented and delivered in batches."""

from bicyclegan.data.check import DataReport
from bicyclegan.data.pairs import Data, PairDataset, check_data, make_loader, open_data, step_keys

__all__ = ["Data", "DataReport", "PairDataset", "check_data", "make_loader", "open_data", "step_keys"]

"""The evaluation loop of the official LPIPS release, written anew from its description, as a baseline.

What makes it what it is: a DataLoader (4 worker processes, batches of 50) whose workers open each file
with Pillow, shrink it to 64x64 (or keep it) and make a [-1, 1] tensor; per metric two calls of the network a batch,
each running the trunk on both of its images, so four forward passes; plain NCHW tensors; gradients of
the heads recorded; no sharing between metrics.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from metrics.deep.lpips import LPIPS, SCALE, SHIFT

BATCH = 50


class Triplets(Dataset[dict[str, Tensor]]):
    """One item at a time, four files each, paired by position in sorted listings."""

    def __init__(self, folder: Path, side: int) -> None:
        self.side = side
        self.paths = {role: sorted((folder / role).iterdir()) for role in ("ref", "p0", "p1", "judge")}

    def __len__(self) -> int:
        return len(self.paths["ref"])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        item = {role: image_tensor(self.paths[role][index], self.side) for role in ("ref", "p0", "p1")}
        judge = np.load(self.paths["judge"][index]).reshape((1, 1, 1))
        return {**item, "judge": torch.FloatTensor(judge)}


def image_tensor(path: Path, side: int) -> Tensor:
    """A file as a [-1, 1] tensor (3, side, side), by Pillow."""
    image = Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
    return (tensor - 0.5) / 0.5


class PlainLPIPS(nn.Module):
    """LPIPS the plain way: each call runs the trunk on both images; heads are 1x1 convolutions."""

    def __init__(self, ours: LPIPS) -> None:
        super().__init__()
        self.slices = nn.ModuleList([*ours.net.children()])
        self.channels = ours.spec.channels
        self.heads = nn.ModuleList([nn.Conv2d(c, 1, 1, bias=False) for c in self.channels])
        for mine, theirs in zip(self.heads, ours.heads, strict=False):
            mine.load_state_dict({"weight": theirs.weight})
        self.calibrated = ours.calibrated
        self.shift = torch.tensor(SHIFT)[None, :, None, None]
        self.scale = torch.tensor(SCALE)[None, :, None, None]

    def features(self, x: Tensor) -> list[Tensor]:
        found = []
        x = (x - self.shift) / self.scale
        for piece in self.slices:
            x = piece(x)
            found.append(x)
        return found

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        total = torch.zeros(())
        for x, y, head in zip(self.features(a), self.features(b), self.heads, strict=True):
            x = x / (torch.sqrt(torch.sum(x**2, dim=1, keepdim=True)) + 1e-10)
            y = y / (torch.sqrt(torch.sum(y**2, dim=1, keepdim=True)) + 1e-10)
            square = (x - y) ** 2
            local = head(square) if self.calibrated else square.sum(dim=1, keepdim=True)
            total = total + local.mean([2, 3], keepdim=True)
        return total


def official_batches(folder: Path, side: int, *, workers: int = 0) -> DataLoader[dict[str, Tensor]]:
    """Batches of a set's folder, each a tensor (50, 3, side, side) a role."""
    return DataLoader(Triplets(folder, side), batch_size=BATCH, shuffle=False, num_workers=workers)


def evaluate_plain(
    model: nn.Module, folder: Path, *, workers: int = 4, side: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Distances d0, d1 of every triplet of a set's folder, at `side` pixels."""
    first, second = [], []
    for batch in official_batches(folder, side, workers=workers):
        first.append(model(batch["ref"], batch["p0"]).data.cpu().numpy().flatten())
        second.append(model(batch["ref"], batch["p1"]).data.cpu().numpy().flatten())
    return np.concatenate(first), np.concatenate(second)

"""How a variant learns: one step of generator and discriminator, and what it comes to on held-out photos."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from distortions.cnn.discriminator import Discriminator, deception_loss, judgment_loss
from distortions.cnn.generator import Generator, placed, to_patches, to_tensor
from distortions.cnn.losses import FeatureLoss
from distortions.cnn.streaming import Examples
from distortions.cnn.variants import Variant
from metrics.classic.pixel import mean_absolute
from metrics.registry import load
from metrics.weights.store import WeightStore

METRIC = "lpips-alex"
_ADAM = ("step", "exp_avg", "exp_avg_sq")
# What a seed is the parent of, beside the crops of `streaming`.
_START, _STEP = 3, 4


@dataclass(frozen=True)
class Training:
    """How variants are trained, besides their rows.

    Attributes
    ----------
    steps : int
    batch : int
        Patches a step.
    side : int
        Of the patches, a multiple of 16 from 32 up.
    seed : int
    vgg_patches, vgg_side : int
        The feature loss sees so many patches of a batch, and of each a square of this side at a random place.
    decay : float
        Share of the steps, the last ones, over which learning rates fall to 0 in a line.
    bf16 : bool
        Whether products are taken in bfloat16.
    half : bool
        Whether the trained weights are rounded to half precision.
    """

    steps: int
    batch: int = 16
    side: int = 64
    seed: int = 0
    vgg_patches: int = 16
    vgg_side: int = 64
    decay: float = 0.0
    bf16: bool = False
    half: bool = False


@dataclass(frozen=True)
class Losses:
    """Those of one step, before they are weighted; 0 where the variant has none."""

    l1: float
    vgg: float
    adversarial: float
    discriminator: float


@dataclass(frozen=True)
class Quality:
    """What a generator makes of held-out patches.

    Attributes
    ----------
    l1 : float
        Mean absolute difference to the clean patches, for levels in [0, 1].
    psnr : float
        Of the whole sample, in dB.
    lpips : float or None
        Mean lpips-alex to the clean patches, where it was asked for.
    """

    l1: float
    psnr: float
    lpips: float | None


class Learner:
    """A generator with what trains it."""

    def __init__(
        self, variant: Variant, training: Training, *, device: str = "cpu", weights: WeightStore | None = None
    ) -> None:
        self.variant, self.training, self.device = variant, training, torch.device(device)
        _seed(training.seed, variant.number, _START)
        self.generator = placed(Generator(variant), self.device)
        self.discriminator = placed(Discriminator(variant.discriminator), self.device)
        self.features = None
        if variant.vgg:
            self.features = placed(FeatureLoss(variant.vgg_tap, weights or WeightStore()), self.device)
        self.optimisers = [
            Adam(net.parameters(), lr=variant.learning_rate, betas=(0.5, 0.999), fused=True)
            for net in (self.generator, self.discriminator)[: 1 + bool(variant.adversarial)]
        ]

    def step(self, number: int, examples: Examples) -> Losses:
        """Learn from examples. What chance decides in it follows from the seed and the step's number."""
        _seed(self.training.seed, self.variant.number, _STEP, number)
        self.generator.train()
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = self.variant.learning_rate * self._share_of_rate(number)
        clean, corrupted = (to_tensor(x, self.device) for x in (examples.clean, examples.corrupted))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.bf16):
            outputs = self.generator(corrupted)
            l1, vgg, deception = (outputs.float() - clean).abs().mean(), torch.zeros(()), torch.zeros(())
            loss = self.variant.l1 * l1
            if self.features is not None:
                vgg = self.features(*self._seen_by_vgg(outputs, clean))
                loss = loss + self.variant.vgg * vgg
            if self.variant.adversarial:
                self.discriminator.requires_grad_(False)
                deception = deception_loss(self.discriminator(outputs))
                loss = loss + self.variant.adversarial * deception
        self._descend(self.optimisers[0], loss)
        judgment = self._judge(clean, outputs.detach()) if self.variant.adversarial else torch.zeros(())
        return Losses(*(value.item() for value in (l1, vgg, deception, judgment)))

    def _share_of_rate(self, number: int) -> float:
        falling = self.training.decay * self.training.steps
        return min(1.0, (self.training.steps - number) / falling) if falling else 1.0

    def _judge(self, clean: Tensor, outputs: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.bf16):
            loss = judgment_loss(self.discriminator(clean), self.discriminator(outputs))
        self._descend(self.optimisers[1], loss)
        return loss

    @staticmethod
    def _descend(optimiser: Adam, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def _seen_by_vgg(self, *batches: Tensor) -> list[Tensor]:
        """The same squares of the first patches of each batch."""
        side, whole = self.training.vgg_side, batches[0].shape[-1]
        top, left = (int(torch.randint(whole - side + 1, ())) for _ in range(2))
        seen = slice(self.training.vgg_patches)
        return [batch[seen, :, top : top + side, left : left + side] for batch in batches]

    @torch.inference_mode()
    def outputs(self, corrupted: np.ndarray) -> np.ndarray:
        """What the generator makes of patches, uint8 (N, H, W, 3) to the same, with the precision it is kept in."""
        self.generator.eval()
        return to_patches(self.generator(to_tensor(corrupted, self.device)))

    def quality(self, examples: Examples, *, with_lpips: bool = False) -> Quality:
        """Measure the generator on examples."""
        return quality_of(self.outputs(examples.corrupted), examples.clean, with_lpips=with_lpips)

    def is_finite(self) -> bool:
        """Whether every number of the networks still is one."""
        return all(bool(value.isfinite().all()) for value in self.state().values())

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, by name."""
        tensors = {}
        for role, net in self._nets().items():
            tensors.update({f"{role}.{name}": value for name, value in net.state_dict().items()})
        for role, optimiser in zip(self._nets(), self.optimisers, strict=False):
            for number, values in optimiser.state_dict()["state"].items():
                tensors.update({f"adam.{role}.{number}.{key}": values[key] for key in _ADAM})
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Come back to a state.

        Raises
        ------
        KeyError, RuntimeError, ValueError
            If it is that of something else.
        """
        for role, net in self._nets().items():
            own = {
                name.removeprefix(f"{role}."): value for name, value in tensors.items() if name.startswith(f"{role}.")
            }
            net.load_state_dict(own, strict=True)
        for (role, net), optimiser in zip(self._nets().items(), self.optimisers, strict=False):
            state = {
                number: {key: _laid_out(tensors[f"adam.{role}.{number}.{key}"], parameter) for key in _ADAM}
                for number, parameter in enumerate(net.parameters())
            }
            optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})

    def _nets(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def round_to_half(self) -> None:
        """Round the generator's weights to half precision, in which they will be kept."""
        with torch.no_grad():
            for value in self.generator.state_dict().values():
                if value.is_floating_point():
                    value.copy_(value.half())


def quality_of(outputs: np.ndarray, clean: np.ndarray, *, with_lpips: bool) -> Quality:
    """Compare patches with the clean ones, uint8 (N, H, W, 3)."""
    square = np.mean((outputs.astype(np.float64) - clean) ** 2)
    return Quality(
        l1=float(mean_absolute(outputs, clean).mean()) / 255,
        psnr=float(10 * np.log10(255**2 / max(square, 1e-10))),
        lpips=float(load(METRIC)(outputs, clean).mean()) if with_lpips else None,
    )


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """A moment of Adam with the memory layout of its parameter: the fused Adam walks through both side by side."""
    return torch.empty_like(parameter).copy_(value) if value.dim() else value


def _seed(*numbers: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1)))

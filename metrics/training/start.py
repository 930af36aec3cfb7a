"""What a run starts from: an LPIPS module with the right trunk and heads, and what of it is trained."""

from pathlib import Path

import torch
from torch import nn

from metrics.deep.kmeans import kmeans_file
from metrics.deep.lpips import LPIPS
from metrics.deep.trunks.trunk import trunk_specs
from metrics.training.features import channels_last
from metrics.training.ranking import RankingNet
from metrics.training.recipe import Recipe, TrainingError
from metrics.weights.store import WeightStore

RANDOM = "random"
KMEANS = "kmeans"


def starting_module(recipe: Recipe, store: WeightStore) -> LPIPS:
    """Build the module of a recipe as it is before the first step.

    Raises
    ------
    WeightsError
        If weights cannot be obtained.
    TrainingError
        If the weights to continue from belong to another net.
    """
    if recipe.start:
        module = LPIPS.from_file(Path(recipe.start).expanduser(), weights=store)
        if module.spec.net != recipe.net:
            raise TrainingError(f"{recipe.start}: weights of {module.spec.net}, but the run is to train {recipe.net}")
    else:
        bare = _with_trunk(recipe, store)
        module = LPIPS.blank(recipe.net)
        module.net.load_state_dict(bare.net.state_dict())
        module.weights = bare.weights
        for head in module.heads:
            nn.init.constant_(head.weight, recipe.head_start)
    for each in module.modules():
        if isinstance(each, nn.Dropout):
            each.p = recipe.dropout
    module.check_range = False  # bytes cannot be in the wrong range
    module.net.requires_grad_(recipe.mode != "lin")
    for head in module.heads:
        head.requires_grad_(True)
    return channels_last(module)


def starting_ranking(recipe: Recipe) -> RankingNet:
    """Build the ranking net, its weights drawn from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return RankingNet(hidden=recipe.hidden, ratio_offset=recipe.ratio_offset)


def needs_own_trunk(recipe: Recipe, module: LPIPS) -> bool:
    """Whether saved heads must bring their trunk: it is trained, or not the published one."""
    published = bool(module.weights) and module.weights[0].verified
    return recipe.mode != "lin" or not published


def _with_trunk(recipe: Recipe, store: WeightStore) -> LPIPS:
    if recipe.mode == "scratch" or recipe.trunk == RANDOM:
        return LPIPS(recipe.net, version=None, trunk_seed=recipe.seed, weights=store)
    if recipe.trunk:
        file = kmeans_file(recipe.net, store) if recipe.trunk == KMEANS else Path(recipe.trunk).expanduser()
        store = store.with_unverified(trunk_specs()[recipe.net].weights, file)
    return LPIPS(recipe.net, version=None, weights=store)

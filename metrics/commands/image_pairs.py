"""Distances between image files: of pairs, and of all pairs of one folder.

Both are computed a batch at a time, in memory that does not grow with the number of pairs. All pairs of
N files are taken in blocks of B images: block i is read and embedded once, then each block j after it,
so that a metric embeds about N²/(2B) images, and N + 1 if all fit into one block (the one tells whether
embeddings can be cut into rows, see `AllPairs.distances`).
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bapps_builder.errors import ImageError, MetricError
from bapps_builder.files.by_stem import files_by_stem, unpaired
from bapps_builder.files.file_names import say_passed_over
from bapps_builder.images.photographs import PHOTO_SUFFIXES, read_photo
from metrics.metric import Floats, Images, Metric, NotADistance, identity, joint_distances

FilePair = tuple[Path, Path]
Batch = tuple[list[FilePair], Floats]

# Pixels that go through the metrics at a time: fifty patches of 64x64, or one photograph.
PIXELS_AT_A_TIME = 50 * 64 * 64


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Give the images of a folder, hidden files left out, sorted by file name.

    Raises
    ------
    ImageError
        If two of them differ in their suffix alone.
    """
    files = files_by_stem(folder, PHOTO_SUFFIXES)
    for name in files.second:
        first = files.path(Path(name).stem)
        raise ImageError(f"{folder / name} and {first}: two images of one name; keep one")
    say_passed_over(folder, files.foreign)
    return files.paths()


@dataclass(frozen=True)
class FilePairs:
    """Pairs of image files; the two of a pair have one size, pairs may differ.

    Attributes
    ----------
    pairs : list of (Path, Path)
    """

    pairs: list[FilePair]

    @classmethod
    def by_name(cls, a: Path, b: Path) -> "FilePairs":
        """Pair the images of two folders by name, suffixes aside.

        Raises
        ------
        ImageError
            If an image has no partner, or there are none.
        """
        left, right = images_by_stem(a), images_by_stem(b)
        alone = unpaired({"a": left, "b": right})
        if odd := sorted(alone["a"] + alone["b"]):
            where, other = (a, b) if odd[0] in left else (b, a)
            raise ImageError(f"{where / odd[0]} has no partner in {other} ({len(odd)} such in all); names must match")
        if not left:
            raise ImageError(f"{a}: holds no images ({', '.join(sorted(PHOTO_SUFFIXES))})")
        return cls([(left[stem], right[stem]) for stem in left])

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[FilePair]:
        return iter(self.pairs)

    def distances(self, metrics: Sequence[Metric]) -> Iterator[Batch]:
        """Compute the distances of consecutive pairs of one size, a batch at a time.

        Yields
        ------
        pairs : list of n (Path, Path)
            In the order of `pairs`.
        values : array of shape (metrics, n), float64

        Raises
        ------
        ImageError
            If a file cannot be read, or two images of a pair differ in size.
        MetricError
            If a metric fails; the message names the images.
        """
        waiting: list[FilePair] = []
        left: list[Images] = []
        right: list[Images] = []
        for x, y in self.pairs:
            first, second = read_photo(x), read_photo(y)
            if first.shape != second.shape:
                raise ImageError(f"{x} is {_size(first)}, {y} is {_size(second)}; two images must be of the same size")
            if left and (left[0].shape != first.shape or len(left) >= _images_at_a_time(first)):
                yield waiting, _named_distances(metrics, waiting, np.stack(left), np.stack(right))
                waiting, left, right = [], [], []
            waiting.append((x, y))
            left.append(first)
            right.append(second)
        if waiting:
            yield waiting, _named_distances(metrics, waiting, np.stack(left), np.stack(right))


@dataclass(frozen=True)
class AllPairs:
    """Every pair of some image files of one size, each once, the earlier file first.

    Attributes
    ----------
    files : list of Path
    """

    files: list[Path]

    @classmethod
    def of_folder(cls, folder: Path) -> "AllPairs":
        """Take the images of a folder.

        Raises
        ------
        ImageError
            If it holds less than two.
        """
        files = list(images_by_stem(folder).values())
        if len(files) < 2:
            raise ImageError(f"{folder}: holds {len(files)} images; all pairs of a folder need two")
        return cls(files)

    def __len__(self) -> int:
        return math.comb(len(self.files), 2)

    def __iter__(self) -> Iterator[FilePair]:
        return itertools.combinations(self.files, 2)

    def distances(self, metrics: Sequence[Metric]) -> Iterator[Batch]:
        """Compute the distances of all pairs, block by block; every file is read before the first.

        What `embed` returns is a metric's own affair. If it is made of arrays with one row an image, as a
        comparison with the embedding of one image alone tells, an image is contrasted with all others of
        a block at once; if not, images are embedded one by one and contrasted pair by pair.

        Yields
        ------
        pairs : list of n (Path, Path)
            In the order of iteration if all files fit into one block. Else by the block of the first
            file, then by the block of the second, and in this order inside a pair of blocks.
        values : array of shape (metrics, n), float64

        Raises
        ------
        ImageError
            If a file cannot be read, or has another size than the first file.
        MetricError
            If a metric fails; the message names the images.
        """
        first = read_photo(self.files[0])
        step = _images_at_a_time(first)
        for path in self.files[step:]:  # the first block is checked when it is read
            self._read(path, first)
        blocks = [self.files[start : start + step] for start in range(0, len(self.files), step)]
        in_rows: bool | None = None
        for i, files in enumerate(blocks):
            left = self._block(files, first)
            if in_rows is None:
                in_rows = left.is_in_rows(metrics)
            for others in blocks[i:]:
                right = left if others is files else self._block(others, first)
                yield from _between(metrics, left, right, in_rows=in_rows)

    def _block(self, files: list[Path], first: Images) -> "_Block":
        return _Block(files, np.stack([self._read(path, first) for path in files]))

    def _read(self, path: Path, first: Images) -> Images:
        image = read_photo(path)
        if image.shape != first.shape:
            raise ImageError(
                f"{self.files[0]} is {_size(first)}, {path} is {_size(image)}; all pairs of a folder need images of "
                "one size"
            )
        return image


@dataclass(frozen=True)
class _Block:
    """Images of one size with the embeddings made of them so far.

    Attributes
    ----------
    files : list of N Path
    images : uint8 array of shape (N, H, W, 3)
    whole : dict
        By `embed`, the embedding of all N.
    single : dict
        By `embed` and row, the embedding of one image.
    """

    files: list[Path]
    images: Images
    whole: dict[Any, Any] = field(default_factory=dict)
    single: dict[Any, Any] = field(default_factory=dict)

    def is_in_rows(self, metrics: Sequence[Metric]) -> bool:
        """Tell whether the embeddings of all metrics can be cut into rows, one an image."""
        if len(self.files) == 1:
            return False
        try:
            for embed in {metric.embed for metric in metrics}:
                self.whole[embed] = embed(self.images)
                if not _alike(self.whole[embed], embed(self.images[:1]), len(self.images)):
                    return False
        except Exception:  # a metric may be anybody's code; what it raises comes again, and is reported, pair by pair
            return False
        return True

    def rows(self, embed: Callable[[Images], Any], rows: slice | list[int]) -> Any:
        """Give some rows of an embedding that is made of rows."""
        if embed not in self.whole:
            self.whole[embed] = embed(self.images)
        return _cut(self.whole[embed], rows)

    def one(self, embed: Callable[[Images], Any], row: int) -> Any:
        """Give the embedding of one image alone."""
        if (embed, row) not in self.single:
            self.single[embed, row] = embed(self.images[row : row + 1])
        return self.single[embed, row]


def _between(metrics: Sequence[Metric], left: _Block, right: _Block, *, in_rows: bool) -> Iterator[Batch]:
    """Distances from each image of a block to those of another, or to those after it in the same."""
    for row, file in enumerate(left.files):
        start = row + 1 if right is left else 0
        # How many images of `right` at a time: all, or one.
        step = len(right.files) if in_rows else 1
        for column in range(start, len(right.files), step):
            columns = slice(column, min(column + step, len(right.files)))
            pairs = [(file, other) for other in right.files[columns]]
            rows = [row] * len(pairs)

            def embedded(embed: Any, rows: list[int] = rows, columns: slice = columns) -> tuple[Any, Any]:
                if in_rows:
                    return left.rows(embed, rows), right.rows(embed, columns)
                return left.one(embed, rows[0]), right.one(embed, columns.start)

            prepared = _with_embeddings(metrics, embedded)
            a = np.broadcast_to(left.images[row], (len(pairs), *left.images.shape[1:]))
            yield pairs, _named_distances(prepared, pairs, a, right.images[columns])


def _with_embeddings(metrics: Sequence[Metric], embedded: Callable[[Any], tuple[Any, Any]]) -> list[Metric]:
    """Give metrics that contrast what `embedded` has for their `embed`, whatever images they are called with.

    Embeddings are asked for inside `contrast`, so that `joint_distances` turns what goes wrong into its
    errors. Metrics that shared both steps still share them.
    """
    contrasts: dict[Any, Callable[[Any, Any], Any]] = {}
    prepared = []
    for metric in metrics:

        def contrast(a: Images, b: Images, metric: Metric = metric) -> Any:
            return metric.contrast(*embedded(metric.embed))

        shared = contrasts.setdefault((metric.embed, metric.contrast), contrast)
        prepared.append(replace(metric, embed=identity, contrast=shared))
    return prepared


def _named_distances(metrics: Sequence[Metric], pairs: list[FilePair], a: Images, b: Images) -> Floats:
    """`joint_distances` of two batches, (metrics, pairs), whose errors name the files."""
    try:
        return joint_distances(metrics, a, b)[:, 0]
    except NotADistance as error:
        x, y = pairs[error.index]
        raise MetricError(f"{x} and {y}: {error}") from error
    except MetricError as error:
        (x, y), more = pairs[0], len(pairs) - 1
        raise MetricError(f"{x} and {y}{f' (or {more} pairs after it)' if more else ''}: {error}") from error


def _alike(many: Any, one: Any, n: int) -> bool:
    """Whether the embeddings of n > 1 images and of one differ in the length of each array's first axis alone."""
    if type(many) is not type(one):
        return False
    if isinstance(many, list | tuple):
        return len(many) == len(one) and all(_alike(x, y, n) for x, y in zip(many, one, strict=True))
    if isinstance(many, dict):
        return many.keys() == one.keys() and all(_alike(many[key], one[key], n) for key in many)
    first, *rest = getattr(one, "shape", None) or [0]
    return first == 1 and list(many.shape) == [n, *rest]


def _cut(embedding: Any, rows: slice | list[int]) -> Any:
    """Rows of every array of an embedding: numpy, torch, or what is indexed like them."""
    if isinstance(embedding, dict):
        return {key: _cut(part, rows) for key, part in embedding.items()}
    if isinstance(embedding, list):
        return [_cut(part, rows) for part in embedding]
    if isinstance(embedding, tuple):
        parts = [_cut(part, rows) for part in embedding]
        return type(embedding)(*parts) if hasattr(embedding, "_fields") else tuple(parts)
    return embedding[rows]


def _images_at_a_time(image: Images) -> int:
    return max(1, PIXELS_AT_A_TIME // (image.shape[0] * image.shape[1]))


def _size(image: Images) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"

"""Work in pieces and threads gives what one piece gives, and leaves torch as it was."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from metrics.image_math.torch_threads import contrast, embedding, keep_to_our_cores

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(params=[1, 2])
def torch_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_rows_come_back_in_order(torch_threads: int) -> None:
    def mean(images: torch.Tensor) -> torch.Tensor:
        return images.mean((1, 2, 3))

    def less_twice(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a - 2 * b

    embed, compare = embedding(mean), contrast(less_twice)
    means = IMAGES.mean((1, 2, 3)) / 255
    pieces = embed(IMAGES)
    assert len(pieces) > 2
    assert compare(pieces, embed(IMAGES[::-1].copy())) == pytest.approx(means - 2 * means[::-1], abs=1e-12)
    assert torch.get_num_threads() == torch_threads


def test_each_piece_has_one_core_and_no_gradients(torch_threads: int) -> None:
    seen = []

    def look(images: torch.Tensor) -> torch.Tensor:
        seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled(), threading.current_thread()))
        return images

    embedding(look)(IMAGES)
    assert {(threads, without) for threads, without, _ in seen} == {(1, True)}
    # Where the caller has one core, it does the work itself.
    assert (threading.current_thread() in {thread for _, _, thread in seen}) is (torch_threads == 1)


def test_larger_work_is_cut_smaller() -> None:
    assert len(embedding(lambda images: images, working_size=100_000)(IMAGES)) == len(IMAGES)


def test_an_error_reaches_the_caller(torch_threads: int) -> None:
    def fail(images: torch.Tensor) -> torch.Tensor:
        raise ArithmeticError(f"{len(images)} images")

    with pytest.raises(ArithmeticError, match=r"\d images"):
        embedding(fail)(IMAGES)


def test_a_thread_started_later_has_all_cores(torch_threads: int) -> None:
    embedding(lambda images: images)(IMAGES)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [torch_threads]


@pytest.mark.parametrize(("limit", "left"), [(1, 1), (2, 2), (64, 2)])
def test_torch_starts_no_more_threads_than_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, limit: int, left: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr("metrics.image_math.torch_threads.cores", lambda: limit)
    try:
        torch.set_num_threads(2)
        keep_to_our_cores()
        assert torch.get_num_threads() == left
    finally:
        torch.set_num_threads(before)

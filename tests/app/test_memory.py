"""Memory that ran out is told with what helps."""

import pytest
import torch

from latentloom.app.memory import explain


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (
            torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 8 GiB"
            ),
            ("The GPU", "2.50 GiB", "--offload model"),
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4294967296 bytes."),
            ("The computer", "4.00 GiB", "smaller"),
        ),
        (MemoryError(), ("The computer has not enough memory. Make",)),
    ],
)
def test_what_helps(error, parts):
    sentence = explain(error)
    assert sentence is not None and all(part in sentence for part in parts)


def test_a_real_allocation_that_is_too_large():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert "The computer has not enough memory" in (explain(caught.value) or "")


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("memory"), OSError(28, "disk full")])
def test_other_errors_are_left_alone(error):
    assert explain(error) is None

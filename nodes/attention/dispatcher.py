"""What diffusers' attention dispatcher can run here: https://huggingface.co/docs/diffusers/optimization/attention_backends

Backends that would download code from the hub are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

BACKENDS = {"flash_2": "flash", "flash_3": "_flash_3", "sage": "sage", "xformers": "xformers", "flex": "flex"}
"""Our names, and the dispatcher's."""


def obstacle(name: str, q: Tensor, k: Tensor, v: Tensor) -> str | None:
    """Why a backend cannot attend with queries, keys and values (B, H, L, D) of this device, type and shape; None
    where diffusers knows no reason."""
    missing = _missing(name)
    if missing:
        return missing
    from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

    query, key, value = (tensor.transpose(1, 2) for tensor in (q, k, v))
    asked = {"query": query, "key": key, "value": value, "attn_mask": None, "is_causal": False}
    for check in _AttentionBackendRegistry._constraints[AttentionBackendName(BACKENDS[name])]:
        try:
            check(**asked)
        except ValueError as error:
            return str(error).rstrip(".")
    return None


def offered(q: Tensor, k: Tensor, v: Tensor) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """The backends that can do this, as functions of such queries, keys and values."""
    return {name: partial(_attend, name) for name in BACKENDS if obstacle(name, q, k, v) is None}


@cache
def _missing(name: str) -> str | None:
    """Which package a backend lacks, in diffusers' words."""
    from diffusers.models import attention_dispatch as dispatch

    try:
        dispatch._check_attention_backend_requirements(dispatch.AttentionBackendName(BACKENDS[name]))
    except RuntimeError as error:
        return str(error).rstrip(".")
    return None


def _attend(name: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    query, key, value = (tensor.transpose(1, 2) for tensor in (q, k, v))
    found: Any = dispatch_attention_fn(query, key, value, backend=AttentionBackendName(BACKENDS[name]))
    return found.transpose(1, 2)

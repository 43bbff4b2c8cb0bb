"""How far a flow model shifts its times towards the noise, which for some grows with the picture (Esser et al., 2024,
https://arxiv.org/abs/2403.03206, section 5.3.2): larger pictures need more noise to hide what they show."""

from __future__ import annotations

from typing import Any

from .family import Flow
from .live import Parts


def flow_of(parts: Parts, tokens: int, even: bool = False) -> Flow:
    """The path of a picture of as many `tokens`, by the model's own scheduler configuration."""
    config = parts.scheduler_config
    return Flow(_mu(config, tokens) if config.get("use_dynamic_shifting") else None, even)


def _mu(config: dict[str, Any], tokens: int) -> float:
    """The line through (base_image_seq_len, base_shift) and (max_image_seq_len, max_shift), as the stock pipelines
    compute it."""
    first, last = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (high - low) / (last - first)
    return tokens * slope + (low - slope * first)

"""Many prompts at once are the single ones."""

import torch

from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.prompt.encode_prompts import encode_prompts
from latentloom.nodes.types import Prompts

TEXTS = ("a red (circle:1.4)", "", "a blue square above a green ring")


def test_each_is_what_it_is_alone(pair):
    model, _ = pair
    many = encode_prompts(model, Prompts(TEXTS)).tokens
    alone = torch.cat([encode_prompt(model, text).tokens for text in TEXTS])
    torch.testing.assert_close(many, alone, atol=1e-5, rtol=0)

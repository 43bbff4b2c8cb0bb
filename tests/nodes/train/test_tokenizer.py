from random import Random
from typing import cast

from transformers import AutoTokenizer, CLIPTokenizer

from latentloom.nodes.shapes.caption import random_caption
from latentloom.nodes.shapes.scene import random_scenes
from latentloom.nodes.train.tokenizer import caption_words, new_tokenizer


def test_every_caption_word_is_one_token():
    tokenizer = new_tokenizer()
    random = Random(0)
    for scene in random_scenes(200, "tokens"):
        text, _ = random_caption(scene, random)
        words = text.replace(",", " ,").split()
        assert tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids[1:-1]) == [word + "</w>" for word in words]
    assert all(len(tokenizer(word).input_ids) == 3 for word in caption_words())


def test_any_other_text_still_encodes():
    tokenizer = new_tokenizer()
    ids = tokenizer("Ünïcode dog, 17!").input_ids
    assert tokenizer.eos_token_id not in ids[1:-1]
    assert cast(str, tokenizer.decode(ids, skip_special_tokens=True)).replace(" ", "") == "ünïcodedog,17!"


def test_a_saved_tokenizer_is_the_same(tmp_path):
    tokenizer = new_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    texts = ["a large red circle left of a small blue square on a white background", "", "Ünïcode?"]
    for loaded in (CLIPTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert loaded.model_max_length == 77
        assert loaded(texts, padding="max_length").input_ids == tokenizer(texts, padding="max_length").input_ids
        assert loaded.pad_token_id == loaded.eos_token_id

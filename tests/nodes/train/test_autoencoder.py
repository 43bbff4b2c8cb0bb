from typing import Any, cast

import torch

from latentloom.nodes.train.autoencoder import edge_weight, fit_autoencoder, new_autoencoder, training_pictures
from latentloom.nodes.train.whiten import whiten

TINY = {"steps": 4, "batch": 3, "size": 16, "channels": (8, 8, 16)}


def test_edges_weigh_more():
    picture = torch.zeros(1, 3, 8, 8)
    picture[..., 4:] = 1
    weight = edge_weight(picture)[0, 0]
    assert weight[:, 3:5].min() == 4
    assert weight[:, :3].max() == weight[:, 5:].max() == 1


def test_training_pictures_repeat():
    assert torch.equal(training_pictures(6, 16, 1, 2), training_pictures(6, 16, 1, 2))
    assert not torch.equal(training_pictures(6, 16, 1, 2), training_pictures(6, 16, 1, 3))


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    model, whole = fit_autoencoder(tmp_path / "whole", **TINY)
    fit_autoencoder(tmp_path / "killed", **TINY, stop_after=2)
    resumed, again = fit_autoencoder(tmp_path / "killed", **TINY)
    assert again.losses == whole.losses
    picture = training_pictures(3, 16, 0, 0)
    with torch.no_grad():
        assert torch.equal(model(picture).sample, resumed(picture).sample)


def test_whitened_latents_are_white_and_pictures_unchanged():
    torch.manual_seed(0)
    model = cast(Any, new_autoencoder(16, (8, 8, 16))).eval()
    pictures = training_pictures(64, 16, 0, 0)
    with torch.no_grad():
        before = model(pictures).sample
        scale = model.encode(pictures).latent_dist
        whiten(model, pictures)
        after = model(pictures).sample
        latents = model.encode(pictures).latent_dist
    flat = latents.mode().transpose(0, 1).reshape(4, -1)
    assert flat.mean(1).abs().max() < 1e-4
    assert (torch.cov(flat) - torch.eye(4)).abs().max() < 1e-3
    assert (before - after).abs().max() < 1e-4
    assert model.config.scaling_factor == 1
    assert (scale.logvar - latents.logvar).std((0, 2, 3)).max() < 1e-4

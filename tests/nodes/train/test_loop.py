import pytest
import torch
from torch import nn

from latentloom.nodes.train.loop import Descent, averaged_weights, descend, generator_at

HOW = Descent(steps=12, rate=0.05, warmup=3)


def fit(folder, stop_after=None, how=HOW, report=lambda *told: None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss_at(step):
        x = torch.randn(16, 3, generator=generator_at(0, step))
        return (model(x) - x.prod(1, keepdim=True)).square().mean()

    return descend(folder, model, loss_at, how, report, stop_after), model


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    whole, _ = fit(tmp_path / "whole")
    fit(tmp_path / "killed", stop_after=5)
    fit(tmp_path / "killed", stop_after=6)
    resumed, _ = fit(tmp_path / "killed")
    assert resumed.losses == whole.losses
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())


def test_a_cancelled_run_resumes_where_it_was_cancelled(tmp_path):
    whole, _ = fit(tmp_path / "whole")

    def cancel(step: int, steps: int, loss: float) -> None:
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cancelled", report=cancel)
    resumed, _ = fit(tmp_path / "cancelled")
    assert resumed.losses == whole.losses
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, _ = fit(tmp_path)
    again, _ = fit(tmp_path)
    assert all(torch.equal(again.weights[name], value) for name, value in first.weights.items())


def test_the_curve_of_a_killed_run_is_whole(tmp_path):
    how = Descent(steps=300, rate=0.01)
    whole, _ = fit(tmp_path / "whole", how=how)
    fit(tmp_path / "killed", stop_after=100, how=how)
    resumed, _ = fit(tmp_path / "killed", how=how)
    assert len(whole.losses) == 100
    assert resumed.losses == whole.losses


def test_it_learns_and_reports(tmp_path):
    told = []
    trained, _ = fit(tmp_path, how=Descent(steps=200, rate=0.02, warmup=5), report=lambda *news: told.append(news))
    assert told[-1][:2] == (200, 200)
    assert trained.losses[-1][1] < trained.losses[0][1]


def test_the_average_follows_the_weights(tmp_path):
    trained, model = fit(tmp_path)
    assert set(averaged_weights(tmp_path)) == {name for name, _ in model.named_parameters()}
    assert not torch.equal(trained.weights["0.weight"], model.get_parameter("0.weight"))


def test_the_rate_rises_and_falls():
    how = Descent(steps=100, rate=1.0, warmup=10)
    rates = [how.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.02


def test_an_exploding_run_says_so(tmp_path):
    model = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match="lower the rate"):
        descend(tmp_path, model, lambda step: model.weight.sum() * float("nan"), HOW)


def test_weights_of_an_untrained_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="train there first"):
        averaged_weights(tmp_path)

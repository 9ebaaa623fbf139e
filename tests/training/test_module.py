"""One batch: what the Lightning module computes from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_run import TinyNet, TinyRealNet, draw_people, tiny_recipe

from bihrnet.data.top_down import TopDownDataset
from bihrnet.evaluation.evaluate import evaluate
from bihrnet.model import ModelSpec
from bihrnet.nn.logits import SigmoidHeatmaps, heatmaps
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import LSP
from bihrnet.training.batches import validation_batches
from bihrnet.training.distillation import heatmap_kl
from bihrnet.training.losses import adaptive_wing, binary_cross_entropy
from bihrnet.training.module import PoseTraining
from bihrnet.training.options import RunOptions
from bihrnet.training.run import _trainer
from bihrnet.training.run_callback import RunCallback
from bihrnet.training.run_folder import RunFolder
from bihrnet.training.teacher import Teacher

PEOPLE = draw_people(10, seed=1)
SPEC = ModelSpec("tiny", LSP, (32, 32))


def batch() -> dict[str, torch.Tensor]:
    dataset = TopDownDataset(PEOPLE, (32, 32), 1.0)
    return next(iter(validation_batches(dataset, 10, rank=0, processes=1, workers=0)))


def test_crops_are_normalized_as_in_a_session():
    network = TinyRealNet(14).eval()
    module = PoseTraining(tiny_recipe(), network, 5, PEOPLE)
    crops = batch()["crop"]
    with torch.no_grad():
        ours = network(module._normalize(crops)).numpy()
    assert np.allclose(ours, TorchModel(network, SPEC)(crops.numpy()), atol=1e-5)


def test_crops_are_channels_last_in_memory():
    module = PoseTraining(tiny_recipe(), TinyNet(14), 5, PEOPLE)
    crops = module._normalize(batch()["crop"])
    assert crops.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("balance", [0.5, 0.9])
def test_the_loss_is_equation_7_on_the_same_crops(balance):
    recipe = tiny_recipe(teacher={"architecture": "tiny-real", "balance": balance})
    network, teacher = TinyNet(14), TinyRealNet(14)
    module = PoseTraining(recipe, network, 5, PEOPLE, Teacher(teacher))
    sample = batch()
    outputs = module.training_step(sample, 0)
    crops = module._normalize(sample["crop"])
    heatmaps = network(crops)
    pose = adaptive_wing(heatmaps, sample["target"], sample["weight"])
    kl = heatmap_kl(heatmaps, teacher.eval()(crops), sample["weight"])
    assert outputs["loss"].item() == pytest.approx((balance * pose + (1 - balance) * kl).item())
    assert outputs["pose"].item() == pytest.approx(pose.item())
    assert outputs["kl"].item() == pytest.approx(kl.item())
    outputs["loss"].backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert network[0].weight.grad.abs().sum() > 0


def test_the_teacher_is_no_part_of_the_module():
    recipe = tiny_recipe(teacher={"architecture": "tiny-real"})
    teacher = TinyRealNet(14)
    module = PoseTraining(recipe, TinyNet(14), 5, PEOPLE, Teacher(teacher)).train()
    assert not teacher.training
    assert all(name.startswith("network.") for name in module.state_dict())


class TwoStacks(torch.nn.Module):
    """Two heatmaps while it learns, the second one of which is what it gives otherwise."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.first, self.second = TinyRealNet(joints), TinyRealNet(joints)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        outputs = [self.first(x), self.second(x)]
        return outputs if self.training else outputs[-1]


@pytest.mark.parametrize(("loss", "imitation"), [("mse", "kl"), ("bce", "kl"), ("bce", "bce")])
def test_every_stack_is_supervised_by_labels_and_teacher(loss, imitation):
    recipe = tiny_recipe(loss=loss, teacher={"architecture": "tiny-real", "loss": imitation})
    network, teacher = TwoStacks(14), TinyRealNet(14)
    sample, total = batch(), 0.0
    outputs = PoseTraining(recipe, network, 5, PEOPLE, Teacher(teacher)).training_step(sample, 0)
    for stack in (network.first, network.second):
        alone = PoseTraining(recipe, stack, 5, PEOPLE, Teacher(teacher)).training_step(sample, 0)
        total += alone["loss"].item()
    assert outputs.keys() == {"loss", "pose", imitation}
    assert outputs["loss"].item() == pytest.approx(total, rel=1e-5)
    parts = outputs["pose"].item(), outputs[imitation].item()
    assert outputs["loss"].item() == pytest.approx(sum(parts) / 2, rel=1e-5)
    outputs["loss"].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_divergence_is_that_of_heatmaps_also_where_the_network_gives_logits():
    recipe = tiny_recipe(loss="bce", teacher={"architecture": "tiny-real"})
    network, teacher = TinyRealNet(14), TinyRealNet(14)
    module = PoseTraining(recipe, network, 5, PEOPLE, Teacher(teacher))
    sample = batch()
    outputs = module.training_step(sample, 0)
    crops = module._normalize(sample["crop"])
    maps = heatmaps(network(crops), "bce")
    kl = heatmap_kl(maps, teacher.eval()(crops), sample["weight"])
    assert outputs["kl"].item() == pytest.approx(kl.item(), rel=1e-4)


@pytest.mark.parametrize("flip_test", [False, True])
def test_logits_are_evaluated_as_heatmaps(tmp_path, flip_test):
    recipe = tiny_recipe(loss="bce", evaluation={"metric": "PCKh@0.5", "flip_test": flip_test})
    torch.manual_seed(0)
    network = TinyNet(14)
    with torch.no_grad():
        network[4].bias.fill_(-50)  # as in the background: outputs would all be "absent"
    module = PoseTraining(recipe, network, 5, PEOPLE)
    folder = RunFolder(tmp_path, recipe)
    trainer = _trainer(recipe, folder, RunCallback(folder, 10), RunOptions())
    dataset = TopDownDataset(PEOPLE, (32, 32), 1.0)
    loader = validation_batches(dataset, 4, rank=0, processes=1, workers=0)
    trainer.validate(module, loader, verbose=False)
    session = TorchModel(SigmoidHeatmaps(network), SPEC)
    expected = evaluate(session, PEOPLE, flip_test=flip_test)
    assert (expected.predictions[..., 2] > 0).all()
    assert {**module.metrics, "val_loss": 0} == {**expected.scores.metrics, "val_loss": 0}
    sample = batch()
    with torch.no_grad():
        outputs = network.eval()(module._normalize(sample["crop"]))
        loss = binary_cross_entropy(outputs, sample["target"], sample["weight"])
    assert module.metrics["val_loss"] == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("flip_test", [False, True])
def test_validation_agrees_with_evaluate(tmp_path, flip_test):
    recipe = tiny_recipe(evaluation={"metric": "PCKh@0.5", "flip_test": flip_test})
    network = TinyNet(14)
    module = PoseTraining(recipe, network, 5, PEOPLE)
    callback = RunCallback(RunFolder(tmp_path, recipe), 10)
    trainer = _trainer(recipe, RunFolder(tmp_path, recipe), callback, RunOptions())
    dataset = TopDownDataset(PEOPLE, (32, 32), 1.0)
    loader = validation_batches(dataset, 4, rank=0, processes=1, workers=0)
    trainer.validate(module, loader, verbose=False)
    expected = evaluate(TorchModel(network, SPEC), PEOPLE, flip_test=flip_test)
    metrics = dict(module.metrics)
    sample = batch()
    with torch.no_grad():
        heatmaps = network.eval()(module._normalize(sample["crop"]))
        loss = adaptive_wing(heatmaps, sample["target"], sample["weight"])
    assert metrics.pop("val_loss") == pytest.approx(loss.item(), rel=1e-5)
    assert metrics == expected.scores.metrics


def test_compiled_training_is_the_same_step_and_leaves_no_trace_in_checkpoints():
    torch.manual_seed(0)
    network = TinyNet(14)
    plain = PoseTraining(tiny_recipe(), network, 5, PEOPLE)
    fused = PoseTraining(tiny_recipe(), network, 5, PEOPLE, compile=True)
    sample, results = batch(), []
    for module in (plain, fused):
        loss = module.training_step(sample, 0)["loss"]
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        results.append(torch.cat([loss[None], *(gradient.flatten() for gradient in gradients)]))
    # Gradients go up to 1.4; near 0 two orders of summation differ by the rounding of such sums.
    assert torch.allclose(*results, rtol=1e-3, atol=1e-5)
    assert fused.state_dict().keys() == plain.state_dict().keys()

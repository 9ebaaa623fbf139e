"""Engine models: batches, threads, several at once, what is refused, and constant memory."""

import gc
import os
import threading

import numpy as np
import pytest

from bihrnet.engine import _native, engine_model
from bihrnet.engine.engine_model import EngineModel
from bihrnet.engine.golden import Golden
from bihrnet.engine.graph import (
    AddStep,
    Conv,
    ConvBinary,
    Graph,
    Load,
    MeanStep,
    MultiplyStep,
    SignStep,
    StoreStep,
    Tensor,
)
from bihrnet.engine.model_file import ModelFile
from bihrnet.engine.packing import pack_bits
from bihrnet.engine.reference import run_graph
from bihrnet.errors import BihrnetError
from bihrnet.model import ModelSpec
from bihrnet.skeleton import COCO

WIDTH = 24


def residual_network(seed=0, size=(64, 64)):
    """A stem, four gated binary blocks with residuals written in place, and heatmaps."""
    rng = np.random.default_rng(seed)
    constants = {"offset": np.full(3, 128, np.float32)}
    tensors = [Tensor("image", "u8", 3)]

    def conv(kind, name, source, weight, outputs, stride, pad, *steps, **extra):
        constants[f"{name}.w"] = weight
        constants[f"{name}.mul"] = rng.uniform(-0.1, 0.1, outputs).astype(np.float32)
        constants[f"{name}.add"] = rng.normal(0, 0.1, outputs).astype(np.float32)
        names = (f"{name}.w", f"{name}.mul", f"{name}.add")
        return kind(name, source, *names, stride, (pad, pad), steps, **extra)

    def real(*shape):
        return rng.normal(0, 0.3, shape).astype(np.float32)

    steps = (StoreStep("x0"), MeanStep("mean0"))
    ops = [conv(Conv, "stem", "image", real(WIDTH, 3, 3, 3), WIDTH, 4, 1, *steps, offset="offset")]
    for block in range(4):
        constants[f"t{block}"] = rng.normal(0, 0.3, WIDTH).astype(np.float32)
        gate = (MultiplyStep(f"mean{block}"), SignStep(f"bits{block}", f"t{block}"))
        ops.append(Load(f"gate{block}", f"x{block}", gate))
        for half in range(2):
            first = half * WIDTH // 2
            weight = pack_bits(rng.random((WIDTH // 2, 3, 3, WIDTH)) < 0.5)
            steps = (
                AddStep(f"x{block}", first),
                StoreStep(f"x{block + 1}", first),
                *((MeanStep(f"mean{block + 1}", first),) if block < 3 else ()),
            )
            name = f"conv{block}{half}"
            args = (f"bits{block}", weight, WIDTH // 2, 1, 1)
            ops.append(conv(ConvBinary, name, *args, *steps))
        tensors.append(Tensor(f"bits{block}", "bits", WIDTH))
        tensors.append(Tensor(f"mean{block}", "f32", WIDTH))
    tensors += [Tensor(f"x{block}", "f32", WIDTH) for block in range(5)]
    tensors.append(Tensor("out", "f32", 17))
    ops.append(conv(Conv, "last", "x4", real(17, 1, 1, WIDTH), 17, 1, 0, StoreStep("out")))
    spec = ModelSpec("test", COCO, size)
    golden = Golden.of(0, np.zeros((1, 17, size[0] // 4, size[1] // 4), np.float32))
    graph = Graph(tuple(tensors), tuple(ops), "image", "out")
    return ModelFile(spec, graph, constants, precision="fp32", golden=golden, counts={})


@pytest.fixture(scope="module")
def model():
    return residual_network()


def crops(count, size=(64, 64), seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)


def reference(model, images):
    return run_graph(model.graph, model.constants, images)["out"].transpose(0, 3, 1, 2)


@pytest.mark.parametrize("isa", engine_model.usable_isas())
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_agree_with_the_reference(model, isa, threads):
    images = crops(3)
    heatmaps = EngineModel(model, threads=threads, isa=isa)(images)
    wanted = reference(model, images)
    # A bit whose value lies within rounding of its threshold may fall on either side.
    assert np.mean(np.abs(heatmaps - wanted) > 1e-3 * np.abs(wanted).max()) < 0.02


def test_repeated_runs_and_single_images_give_the_same(model):
    engine = EngineModel(model, threads=2)
    images = crops(4)
    together = engine(images)
    for _ in range(3):
        np.testing.assert_array_equal(engine(images), together)
    for number in range(4):
        np.testing.assert_array_equal(engine(images[number : number + 1])[0], together[number])


def test_an_empty_batch_gives_no_heatmaps(model):
    assert EngineModel(model, threads=1)(crops(0)).shape == (0, 17, 16, 16)


def test_another_size_than_the_models_own(model):
    images = crops(1, (96, 32))
    engine = EngineModel(model, threads=1, input_size=(96, 32))
    assert engine.spec.input_size == (96, 32)
    assert engine(images).shape == (1, 17, 24, 8)


def test_a_size_that_the_strides_do_not_divide(model):
    with pytest.raises(BihrnetError, match="test: 66x64 is no multiple of its strides"):
        EngineModel(model, threads=1, input_size=(66, 64))


def test_models_run_side_by_side_and_calls_of_one_model_take_turns(model):
    shared = EngineModel(model, threads=2)
    images = [crops(2, seed=seed) for seed in range(4)]
    wanted = [shared(image) for image in images]
    equal = []

    def work(number):
        own = EngineModel(model, threads=2)
        for _ in range(20):
            found = own(images[number]), shared(images[number])
            equal.append(all(np.array_equal(one, wanted[number]) for one in found))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(equal) == 80
    assert all(equal)


def test_other_python_threads_run_meanwhile(model):
    engine = EngineModel(model, threads=1)
    images = crops(1000)
    done = threading.Event()
    worker = threading.Thread(target=lambda: (engine(images), done.set()))
    worker.start()
    turns = 0
    while not done.wait(0.001):
        turns += 1
    worker.join()
    assert turns > 0


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_memory_stays_where_it_was(model):
    engine = EngineModel(model, threads=2)
    image = crops(1)
    for _ in range(500):
        engine(image)
    gc.collect()
    before = resident_bytes()
    for _ in range(9500):
        engine(image)
    assert resident_bytes() - before < 2_000_000


def test_crops_of_another_kind_are_refused(model):
    engine = EngineModel(model, threads=1)
    for wrong in (crops(1, (32, 64)), crops(1).astype(np.float32), crops(1)[0]):
        with pytest.raises(ValueError, match="crops must be uint8"):
            engine(wrong)


def test_crops_that_are_not_contiguous(model):
    engine = EngineModel(model, threads=1)
    images = crops(2)
    np.testing.assert_array_equal(engine(images[:, :, ::-1]), engine(images[:, :, ::-1].copy()))


def test_the_environment_forces_an_instruction_set(model, monkeypatch):
    monkeypatch.setenv("BIHRNET_ISA", "portable")
    assert EngineModel(model, threads=1).isa == "portable"
    monkeypatch.setenv("BIHRNET_ISA", "mmx")
    with pytest.raises(BihrnetError, match="BIHRNET_ISA: this build has no instruction set 'mmx'"):
        EngineModel(model, threads=1)
    monkeypatch.delenv("BIHRNET_ISA")
    assert (
        EngineModel(model, threads=1).isa
        == engine_model.usable_isas()[0]
        == engine_model.default_isa()
    )


def test_numbers_of_threads(model):
    assert EngineModel(model).threads == engine_model.default_threads()
    with pytest.raises(BihrnetError, match="number of threads"):
        EngineModel(model, threads=0)


def test_op_times_name_every_op(model):
    times = EngineModel(model, threads=1).op_times(crops(1)[0], runs=2)
    assert [name for name, _ in times] == [op.name for op in model.graph.ops]
    assert all(seconds > 0 for _, seconds in times)


class TestDescribing:
    """The native side checks what it is told, whatever Python has checked before."""

    @pytest.fixture
    def network(self):
        network = _native.Network()
        network.tensor("u8", 8, 8, 3)
        network.tensor("f32", 8, 8, 16)
        network.tensor("bits", 8, 8, 16)
        return network

    def conv(self, network, outputs=16, kernel=1, pad=0, stride=1, source=0):
        weight = np.zeros((outputs, kernel, kernel, 3), np.float32)
        ones = np.ones(outputs, np.float32)
        network.conv(source, weight, stride, pad, pad, ones, ones, None)

    @pytest.mark.parametrize(
        ("call", "sentence"),
        [
            (lambda n: n.tensor("f32", 0, 8, 1), "out of range"),
            (lambda n: n.tensor("f64", 8, 8, 1), "unknown element type"),
            (lambda n: n.tensor("u8", 8, 8, 1, 1.0, 300), "quantization"),
            (lambda n: n.load(7, 1), "refers to a tensor that does not exist"),
            (lambda n: n.load(0, 1), "cannot read"),
            (lambda n: n.load(1, 3), "power of two"),
            (lambda n: n.max_pool(0, 2, 2, 0), "cannot read"),
            (lambda n: n.max_pool(1, 16, 2, 0), "out of range"),
            (lambda n: n.max_pool(1, 2, 0, 0), "out of range"),
            (lambda n: n.max_pool(1, 2, 2, 2), "out of range"),
            (lambda n: n.max_pool(1, 9, 1, 0), "larger than its input"),
            (lambda n: n.step("relu"), "belongs to no op"),
            (lambda n: n.finish(0, 1), "no ops"),
            (lambda n: n.finish(2, 1), "not a u8 tensor"),
        ],
    )
    def test_refusals(self, network, call, sentence):
        with pytest.raises(ValueError, match=sentence):
            call(network)

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"kernel": 16}, "out of range"),
            ({"pad": 1}, "out of range"),
            ({"stride": 0}, "out of range"),
            ({"kernel": 9}, "larger than its input"),
            ({"source": 2}, "cannot read"),
            ({"source": 1}, "wrong size"),
        ],
    )
    def test_refused_convolutions(self, network, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            self.conv(network, **options)

    @pytest.mark.parametrize(
        ("source", "inputs", "kernel", "pad", "sentence"),
        [
            (2, 16, 3, 1, "cannot read"),
            (1, 65, 3, 1, "wrong size"),
            (1, 16, 16, 1, "out of range"),
            (1, 16, 3, 3, "out of range"),
            (1, 16, 9, 0, "larger than its input"),
        ],
    )
    def test_refused_ternary_convolutions(self, network, source, inputs, kernel, pad, sentence):
        bits = pack_bits(np.zeros((4, kernel, kernel, inputs), bool))
        ones = np.ones(4, np.float32)
        with pytest.raises(ValueError, match=sentence):
            network.conv_ternary(source, bits, bits, pad, pad, ones, ones)

    def test_ternary_bits_of_different_sizes(self, network):
        bits = pack_bits(np.zeros((4, 3, 3, 16), bool))
        ones = np.ones(4, np.float32)
        with pytest.raises(ValueError, match="wrong size"):
            network.conv_ternary(1, bits, bits[:2], 1, 1, ones, ones)

    @pytest.mark.parametrize(
        ("step", "sentence"),
        [
            (lambda n: n.step("store", 1, 1), "does not fit"),
            (lambda n: n.step("store", 2, 0), "does not fit"),
            (lambda n: n.step("quantise", 1, 0), "does not fit"),
            (lambda n: n.step("sign", 1, 0, values=np.zeros(16, np.float32)), "does not fit"),
            (lambda n: n.step("sign", 2, 0, values=np.zeros(15, np.float32)), "wrong size"),
            (lambda n: n.step("prelu", values=np.zeros(17, np.float32)), "wrong size"),
            (lambda n: n.step("add", 1, 0, 2), "wrong size"),
            (lambda n: n.step("multiply", 1), "wrong size"),
            (lambda n: n.step("mean", 1, 0), "wrong size"),
            (lambda n: n.step("prelu"), "wrong size"),
            (lambda n: n.step("relu", values=np.zeros(16, np.float32)), "wrong size"),
            (lambda n: n.step("relu", 1), "takes no tensor"),
            (lambda n: n.step("store", 1, 0, 2), "does not up-sample"),
            (lambda n: n.step("tanh"), "no step tanh"),
            (lambda n: n.step("add", 1, -1, 1), "does not fit"),
        ],
    )
    def test_refused_steps(self, network, step, sentence):
        self.conv(network)
        with pytest.raises(ValueError, match=sentence):
            step(network)

    @pytest.mark.parametrize(
        "more",
        [lambda n: n.step("relu"), lambda n: n.load(1, 1), lambda n: n.max_pool(1, 2, 2, 0)],
    )
    def test_a_finished_network_does_not_change(self, network, more):
        """The image and what may be written are checked for all ops when it is finished."""
        self.conv(network)
        network.step("store", 1, 0)
        network.finish(0, 1)
        with pytest.raises(ValueError, match="is finished"):
            more(network)

    def test_results_are_never_lost_in_a_copy(self, network):
        self.conv(network)
        network.step("store", 1, 0)
        network.finish(0, 1)
        engine = _native.Engine(network, "portable", 1)
        images, heatmaps = np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 16, 8, 8), np.float32)
        engine.run(images, heatmaps)
        assert (heatmaps == 1).all()
        for wrong in (heatmaps.astype(np.float64), np.zeros((1, 8, 8, 16), np.float32).T):
            with pytest.raises(TypeError):
                engine.run(images, wrong)
        with pytest.raises(TypeError):
            engine.run(images.astype(np.float32), heatmaps)

    def test_reading_a_tensor_before_it_is_written(self, network):
        network.load(1, 1)
        network.step("store", network.tensor("f32", 8, 8, 16), 0)
        network.finish(0, 1)
        with pytest.raises(ValueError, match="before it is written"):
            _native.Engine(network, "portable", 1)

    def test_an_unfinished_network(self, network):
        self.conv(network)
        with pytest.raises(ValueError, match="not finished"):
            _native.Engine(network, "portable", 1)

// The Python module bihrnet.engine._native. Arrays are copied in when a network is described;
// running it touches no Python object and holds no lock of the interpreter.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <utility>

#include "engine.h"
#include "isa.h"
#include "network.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bihrnet {
namespace {

constexpr int kMaxThreads = 256;

template <class T>
using Array = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
using FloatArray = Array<float>;

std::vector<float> floats(const FloatArray& array) {
  return {array.data(), array.data() + array.size()};
}

template <class T>
void append_bytes(std::vector<std::uint8_t>& bytes, const Array<T>& array) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(array.data());
  bytes.insert(bytes.end(), begin, begin + array.size() * sizeof(T));
}

template <class T>
ConvInfo conv_info(Dot dot, const Array<T>& weight, int stride, int pad_y, int pad_x,
                   const FloatArray& mul, const FloatArray& add) {
  if (weight.ndim() != 4) {
    throw std::invalid_argument("the weight of a convolution does not have four dimensions");
  }
  ConvInfo conv{dot, int(weight.shape(1)), int(weight.shape(2)), stride, pad_y, pad_x};
  append_bytes(conv.weights, weight);
  conv.mul = floats(mul);
  conv.add = floats(add);
  return conv;
}

// The method of Network for f32 or int8 weights.
template <Dot dot, class T>
void conv(Network& network, int input, const Array<T>& weight, int stride, int pad_y, int pad_x,
          const FloatArray& mul, const FloatArray& add, const std::optional<FloatArray>& offset) {
  ConvInfo info = conv_info(dot, weight, stride, pad_y, pad_x, mul, add);
  if (offset) info.offset = floats(*offset);
  network.conv(input, std::move(info));
}

ElementType element_type(const std::string& name) {
  if (name == "f32") return ElementType::f32;
  if (name == "bits") return ElementType::bits;
  if (name == "u8") return ElementType::u8;
  throw std::invalid_argument("unknown element type '" + name + "'");
}

template <int Sides>
using Pixels = nb::ndarray<const std::uint8_t, nb::ndim<Sides>, nb::c_contig, nb::device::cpu>;
using Heatmaps = nb::ndarray<float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;

void run(Engine& engine, const Pixels<4>& images, const Heatmaps& heatmaps) {
  const TensorInfo& in = engine.input();
  const TensorInfo& out = engine.output();
  const auto has = [](const auto& array, std::size_t count, int a, int b, int c) {
    return array.shape(0) == count && array.shape(1) == std::size_t(a) &&
           array.shape(2) == std::size_t(b) && array.shape(3) == std::size_t(c);
  };
  const std::size_t count = images.shape(0);
  if (!has(images, count, in.height, in.width, 3) ||
      !has(heatmaps, count, out.channels, out.height, out.width)) {
    throw std::invalid_argument("images or heatmaps have the wrong shape");
  }
  const nb::gil_scoped_release free_python;
  engine.run(images.data(), int(count), heatmaps.data());
}

std::vector<double> measure(Engine& engine, const Pixels<3>& image, int runs) {
  const TensorInfo& in = engine.input();
  if (image.shape(0) != std::size_t(in.height) || image.shape(1) != std::size_t(in.width) ||
      image.shape(2) != 3) {
    throw std::invalid_argument("the image has the wrong shape");
  }
  const nb::gil_scoped_release free_python;
  return engine.measure(image.data(), runs);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The C++ half of the engine. Use bihrnet.engine.engine_model.EngineModel.";
  m.attr("LANES") = kLanes;
  m.attr("MAX_THREADS") = kMaxThreads;
  m.def("usable_isas", &usable_isas, "Instruction sets that can run here, the best first.");

  m.def(
      "check_isa", [](const std::string& name) { return std::string(kernels(name).name); },
      "name"_a, "The name back, or a ValueError whose sentence says why it cannot run here.");

  nb::class_<Network>(m, "Network", "A network as it is described, op by op.")
      .def(nb::init<>())
      .def(
          "tensor",
          [](Network& network, const std::string& type, int height, int width, int channels,
             float inverse_scale, int zero_point) {
            return network.tensor(element_type(type), height, width, channels, inverse_scale,
                                  zero_point);
          },
          "type"_a, "height"_a, "width"_a, "channels"_a, "inverse_scale"_a = 1.0f,
          "zero_point"_a = 0)
      .def("conv", &conv<Dot::f32, float>, "input"_a, "weight"_a, "stride"_a, "pad_y"_a, "pad_x"_a,
           "mul"_a, "add"_a, "offset"_a.none())
      .def("conv_int8", &conv<Dot::int8, std::int8_t>, "input"_a, "weight"_a, "stride"_a, "pad_y"_a,
           "pad_x"_a, "mul"_a, "add"_a, "offset"_a.none())
      .def(
          "conv_binary",
          [](Network& network, int input, const Array<std::uint64_t>& weight, int stride, int pad_y,
             int pad_x, const FloatArray& mul, const FloatArray& add) {
            network.conv(input, conv_info(Dot::binary, weight, stride, pad_y, pad_x, mul, add));
          },
          "input"_a, "weight"_a, "stride"_a, "pad_y"_a, "pad_x"_a, "mul"_a, "add"_a)
      .def(
          "conv_ternary",
          [](Network& network, int input, const Array<std::uint64_t>& positive,
             const Array<std::uint64_t>& negative, int pad_y, int pad_x, const FloatArray& mul,
             const FloatArray& add) {
            ConvInfo info = conv_info(Dot::f32, positive, 1, pad_y, pad_x, mul, add);
            append_bytes(info.weights, negative);
            network.conv_ternary(input, std::move(info));
          },
          "input"_a, "positive"_a, "negative"_a, "pad_y"_a, "pad_x"_a, "mul"_a, "add"_a)
      .def("load", &Network::load, "input"_a, "upsample"_a)
      .def(
          "max_pool",
          [](Network& network, int input, int kernel, int stride, int padding) {
            network.max_pool(input, {kernel, stride, padding});
          },
          "input"_a, "kernel"_a, "stride"_a, "padding"_a)
      .def(
          "step",
          [](Network& network, const std::string& name, int tensor, int channel, int upsample,
             const std::optional<FloatArray>& values) {
            network.step({name, tensor, channel, upsample,
                          values ? floats(*values) : std::vector<float>{}});
          },
          "name"_a, "tensor"_a = -1, "channel"_a = 0, "upsample"_a = 1, "values"_a = nb::none())
      .def("finish", &Network::finish, "input"_a, "output"_a);

  nb::class_<Engine>(m, "Engine", "A network that is ready to run.")
      .def(
          "__init__",
          [](Engine* self, const Network& network, const std::string& isa, int threads) {
            if (!network.finished()) throw std::invalid_argument("the network is not finished");
            if (threads < 1 || threads > kMaxThreads) {
              throw std::invalid_argument("the number of threads is not between 1 and 256");
            }
            new (self) Engine(network, kernels(isa), threads);
          },
          "network"_a, "isa"_a, "threads"_a)
      // A copy that Python made of an array would be filled in place of it, and thrown away.
      .def("run", &run, "images"_a.noconvert(), "heatmaps"_a.noconvert())
      .def("measure", &measure, "image"_a.noconvert(), "runs"_a)
      .def_prop_ro("output_shape",
                   [](const Engine& engine) {
                     const TensorInfo& out = engine.output();
                     return std::vector<int>{out.channels, out.height, out.width};
                   })
      .def_prop_ro("isa", &Engine::isa)
      .def_prop_ro("threads", &Engine::threads)
      .def_prop_ro("arena_bytes", &Engine::arena_bytes);
}

}  // namespace bihrnet

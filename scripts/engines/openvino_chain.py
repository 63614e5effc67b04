"""Eight layers of compressed weights in a row, in OpenVINO: prints {"milliseconds": [...], "version": ...}.

    python openvino_chain.py BITS SIDE LAYERS THREADS REPETITIONS

Needs openvino and numpy. The weights are random; what they are makes no difference to the time. They are written the
way OpenVINO's own weight compression writes them: 8 bits unsigned with a zero point and a scale for each row, or 4 bits
with a zero point and a scale for every 128 columns. The plug-in may still expand them to floats when it compiles, and
would then be measured on four or eight times the bytes: the compiled graph is looked at and refused if it did.
Milliseconds are of a layer: a whole inference, divided by the number of layers.
"""

import json
import sys
import time

import numpy
import openvino
from openvino import opset13

GROUP = 128
WARM_UP = 8


def rows_u8(input, side, generator):
    weights = opset13.constant(generator.integers(0, 256, (side, side), dtype=numpy.uint8))
    middle = opset13.constant(numpy.full((side, 1), 128, numpy.uint8))
    # 74: the standard deviation of 0...255. Outputs are then as large as inputs.
    scale = opset13.constant(numpy.full((side, 1), 1 / (74 * side**0.5), numpy.float32))
    centered = opset13.subtract(opset13.convert(weights, "f32"), opset13.convert(middle, "f32"))
    return opset13.matmul(input, opset13.multiply(centered, scale), False, True)


def nibbles(shape, bytes):
    """A constant of 4-bit numbers, two in a byte. The tensor owns its memory: one made around an array would not."""
    tensor = openvino.Tensor(openvino.Type.u4, openvino.Shape(shape))
    tensor.data[:] = bytes
    return opset13.constant(tensor)


def groups_u4(input, side, generator):
    groups = side // GROUP
    # 1...15 lies evenly around the zero point 8: what lies beside it grows from layer to layer.
    low, high = generator.integers(1, 16, (2, side * side // 2), dtype=numpy.uint8)
    weights = nibbles([side, groups, GROUP], low | high << 4)
    middle = nibbles([side, groups, 1], numpy.full(side * groups // 2, 0x88, numpy.uint8))
    # 4.32: the standard deviation of 1...15.
    scale = opset13.constant(numpy.full((side, groups, 1), 1 / (4.32 * side**0.5), numpy.float32))
    centered = opset13.subtract(opset13.convert(weights, "f32"), opset13.convert(middle, "f32"))
    shape = opset13.constant(numpy.array([side, side]))
    return opset13.matmul(input, opset13.reshape(opset13.multiply(centered, scale), shape, False), False, True)


def check_compressed(compiled, layers, bits):
    """Ends the program unless every layer's product still reads weights of `bits` bits."""
    found = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        if node.get_rt_info()["layerType"].astype(str) == "FullyConnected":
            found.append(node.input(1).get_element_type().get_type_name())
    if found != [f"u{bits}"] * layers:
        sys.exit(f"expected {layers} products with weights of type u{bits}, OpenVINO compiled {found}")


def main():
    bits, side, layers, threads, repetitions = map(int, sys.argv[1:])
    layer = {8: rows_u8, 4: groups_u4}[bits]
    generator = numpy.random.default_rng(1)
    parameter = node = opset13.parameter([1, side], numpy.float32)
    for _ in range(layers):
        node = layer(node, side, generator)
    model = openvino.Model([opset13.result(node)], [parameter])
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    compiled = openvino.Core().compile_model(model, "CPU", options)
    check_compressed(compiled, layers, bits)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(generator.standard_normal((1, side), dtype=numpy.float32)))
    milliseconds = []
    for repetition in range(WARM_UP + repetitions):
        start = time.perf_counter()
        request.infer()
        if repetition >= WARM_UP:
            milliseconds.append((time.perf_counter() - start) * 1e3 / layers)
    size = float(numpy.abs(request.get_output_tensor().data).mean())
    if not 1e-3 <= size <= 1e3:
        sys.exit(f"results should be of about the size of the input, 1, found {size}")
    print(json.dumps({"milliseconds": milliseconds, "version": openvino.__version__.split("-")[0]}))


if __name__ == "__main__":
    main()

"""Eight layers of pruned float32 weights in a row, in DeepSparse: prints {"milliseconds": [...], "version": ...}.

    python deepsparse_chain.py SPARSITY SIDE LAYERS THREADS REPETITIONS MODEL.onnx

Needs deepsparse (1.8.0; Python 3.8 to 3.11) with the onnx and numpy that it brings. MODEL.onnx is written if it is not
there. Of each row the same number of weights is nonzero, at random places: unstructured sparsity, as pruning makes it.
Milliseconds are of a layer: a whole inference, divided by the number of layers.
"""

import json
import os
import sys
import time

import numpy

WARM_UP = 8


def pruned(side, sparsity, generator):
    """`[side, side]` weights with the share `sparsity` of every column (an output, as ONNX's MatMul has it) zero."""
    kept = round(side * (1 - sparsity))
    order = generator.random((side, side), dtype=numpy.float32).argpartition(kept, axis=1)[:, :kept]
    weights = numpy.zeros((side, side), numpy.float32)
    values = generator.standard_normal((side, kept), dtype=numpy.float32) / numpy.float32(kept**0.5)
    numpy.put_along_axis(weights, order, values, axis=1)
    return numpy.ascontiguousarray(weights.T)


def write_model(path, sparsity, side, layers):
    import onnx
    from onnx import helper, numpy_helper

    generator = numpy.random.default_rng(1)
    nodes, weights = [], []
    for index in range(layers):
        weights.append(numpy_helper.from_array(pruned(side, sparsity, generator), f"weight{index}"))
        nodes.append(helper.make_node("MatMul", [f"x{index}", f"weight{index}"], [f"x{index + 1}"], f"layer{index}"))
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, side]) for name in ("x0", f"x{layers}")
    ]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7  # the newest that this engine reads without a warning
    onnx.save(model, path + ".partial")
    os.replace(path + ".partial", path)


def main():
    sparsity = float(sys.argv[1])
    side, layers, threads, repetitions = map(int, sys.argv[2:6])
    path = sys.argv[6]
    import deepsparse

    if not os.path.exists(path):
        write_model(path, sparsity, side, layers)
    engine = deepsparse.Engine(path, batch_size=1, num_cores=threads)
    input = [numpy.random.default_rng(2).standard_normal((1, side), dtype=numpy.float32)]
    milliseconds = []
    for repetition in range(WARM_UP + repetitions):
        start = time.perf_counter()
        output = engine.run(input)
        if repetition >= WARM_UP:
            milliseconds.append((time.perf_counter() - start) * 1e3 / layers)
    size = float(numpy.abs(output[0]).mean())
    if not 1e-3 <= size <= 1e3:
        sys.exit(f"results should be of about the size of the input, 1, found {size}")
    print(json.dumps({"milliseconds": milliseconds, "version": deepsparse.__version__}))


if __name__ == "__main__":
    main()

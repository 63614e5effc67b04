"""What is measured: one process each, which prints the value of one or more series.

A series is called "engine, model variant, what", such as "ours, 1.1B 70 % int8, decode". Speeds are tokens per second,
of products milliseconds per layer. Each process opens its model, warms up, and takes the median of a few samples.
"""

import json
import pathlib
import statistics

from .models import TYPES, VARIANTS
from .processes import Failure

SIDE, LAYERS = 4096, 8
#: Tokens in the cache when decoding is measured; tokens of a prompt; sequences that are decoded together.
DEPTH, PROMPT, SEQUENCES = 64, 512, 16
#: Steps of one sample of decoding, by model: a quarter of a second or more.
STEPS = {"1.1B": 16, "SmolLM2-135M": 32}
SAMPLES = 3
REPETITIONS = 100


class Measurement:
    """A command and how to read what it prints: a function from its output to values by series."""

    def __init__(self, name, command, read):
        self.name, self.command, self.read = name, [str(word) for word in command], read


def ours(models, threads, model, variant):
    """Decoding and prompts with flash-llm."""
    what = {"decode x 1": "decode"}
    batch, prompt = "1", 0
    if model == "SmolLM2-135M":
        batch, prompt = f"1,{SEQUENCES}", PROMPT
        what |= {f"decode x {SEQUENCES}": f"{SEQUENCES} sequences", f"prompt {PROMPT}": f"prompt of {PROMPT}"}
    command = [
        models.flash, "bench", models.ours(model, variant), "--threads", threads, "--batch", batch, "--prompt", prompt,
        "--depth", DEPTH, "--steps", STEPS[model], "--rounds", SAMPLES, "--json",
    ]

    def read(output):
        results = json.loads(output)["results"]
        return {
            f"ours, {model} {variant}, {what[result['what']]}": result["tokens_per_second"]["median"]
            for result in results
        }

    yield Measurement(f"flash-llm, {model} {variant}", command, read)


def llama(models, threads, model, type):
    """The same with llama.cpp, by its own benchmarks."""
    path = models.theirs(model, type)
    bench = [models.llama / "llama-bench", "-m", path, "-t", threads, "-r", SAMPLES, "-o", "json"]
    prefix = f"llama.cpp, {model} {type}, "

    def median(what):
        return lambda output: {prefix + what: statistics.median(json.loads(output)[0]["samples_ts"])}

    yield Measurement(prefix + "decode", [*bench, "-p", 0, "-n", STEPS[model], "-d", DEPTH], median("decode"))
    if model == "SmolLM2-135M":
        yield Measurement(prefix + "prompt", [*bench, "-p", PROMPT, "-n", 0], median(f"prompt of {PROMPT}"))
        yield Measurement(f"{prefix}{SEQUENCES} sequences", *batched(models, threads, path, model, prefix))


def batched(models, threads, path, model, prefix):
    """Command and reader of llama.cpp's benchmark of sequences that are decoded together."""
    command = [
        models.llama / "llama-batched-bench", "-m", path, "-t", threads, "-tb", threads, "-npp", DEPTH,
        "-ntg", STEPS[model], "-npl", ",".join([str(SEQUENCES)] * SAMPLES), "-c", SEQUENCES * (DEPTH + STEPS[model]),
        "--output-format", "jsonl",
    ]

    def read(output):
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        return {f"{prefix}{SEQUENCES} sequences": statistics.median(line["speed_tg"] for line in lines)}

    return command, read


def our_products(models, threads):
    """One layer's product, one token, in every format that `bench spmm` knows."""
    command = [
        models.flash, "bench", "spmm", "--shapes", f"{SIDE}x{SIDE}", "--sparsity", "0.5,0.7,0.8,0.9", "--tokens", 1,
        "--threads", threads, "--rounds", SAMPLES, "--json",
    ]

    def read(output):
        values = {}
        for result in json.loads(output)["results"]:
            name = f"ours, {round(100 * result['sparsity'])} % {result['format']}, layer"
            values[name] = SIDE * SIDE / result["weights_per_second"]["median"] * 1e3
        return values

    yield Measurement("flash-llm, layer", command, read)


def chain(name, command):
    """A chain of layers in a Python package."""

    def read(output):
        return {name: statistics.median(json.loads(output.splitlines()[-1])["milliseconds"])}

    yield Measurement(name, command, read)


def openvino(python, threads, bits):
    script = pathlib.Path(__file__).with_name("openvino_chain.py")
    name = f"OpenVINO, int{bits}, layer"
    yield from chain(name, [python, script, bits, SIDE, LAYERS, threads, REPETITIONS])


def deepsparse(python, threads, sparsity, cache):
    script = pathlib.Path(__file__).with_name("deepsparse_chain.py")
    name = f"DeepSparse, {sparsity} % f32, layer"
    model = cache / f"chain-{sparsity}.onnx"
    yield from chain(name, [python, script, sparsity / 100, SIDE, LAYERS, threads, REPETITIONS, model])


def all_measurements(models, options, skip):
    """Every measurement that can be made, ours and theirs in turns; the others are handed to `skip` with a reason."""

    def attempt(name, make):
        try:
            return list(make())
        except Failure as failure:
            skip(name, str(failure))
            return []

    found = []
    for model in ("1.1B", "SmolLM2-135M"):
        if model not in options.cases:
            continue
        mine = [attempt(f"flash-llm, {model} {v}", lambda: ours(models, options.threads, model, v)) for v in VARIANTS]
        others = []
        if options.has_llama:
            others = [
                attempt(f"llama.cpp, {model} {t}", lambda: llama(models, options.threads, model, t)) for t in TYPES
            ]
        for index in range(max(len(mine), len(others))):
            found += [m for group in (mine, others) for m in (group[index] if index < len(group) else [])]
    if "layer" in options.cases:
        found += our_products(models, options.threads)
        for bits in (8, 4) if options.openvino_python else ():
            found += openvino(options.openvino_python, options.threads, bits)
        for sparsity in (80, 90) if options.deepsparse_python else ():
            found += deepsparse(options.deepsparse_python, options.threads, sparsity, models.cache)
    return found

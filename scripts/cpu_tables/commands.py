"""The benchmarks behind the published tables, and the models that they need."""

import json
import shutil

from engines.processes import run

PIECES = ["spmm", "models", "context"]
#: Of one model being made, on a busy machine.
SECONDS = 3600
SPARSITIES = "0.5,0.6,0.7,0.8,0.9,0.95"


class Measurement:
    """A benchmark: what its files are called, the program's arguments, the models that it needs."""

    def __init__(self, piece, name, arguments, models=()):
        self.piece, self.name, self.arguments, self.models = piece, name, [str(a) for a in arguments], models


class Model:
    """A folder made from a dense model. Integers take the head along, as one would who wants them."""

    def __init__(self, family, zeros, values):
        self.family, self.zeros, self.values = family, zeros, values
        share = f"{zeros}-" if zeros else "dense-"
        self.name = f"{family}-{share}{values}"

    def pack_arguments(self):
        options = ["--format", "tiled-bitmap" if self.zeros else "dense", "--values", self.values]
        return options + ([] if self.values == "f16" else ["--head", "i8", "--group", "128"])


def families(options):
    """SmolLM2 and a random model; the names that their folders begin with. Ratios are to the first of each."""
    large = "135m" if options.quick else "1.1b"
    small, random = ((0, 20, 80), ("f16", "i8", "i4")), ((0, 70, 80), ("f16", "i8"))
    return {
        family: [Model(family, share, values) for values in types for share in zeros]
        for family, (zeros, types) in (("smollm2", small), (large, random))
    }


def measurements(options):
    """All that was asked for, the shortest pieces first."""
    rounds = ["--rounds", options.rounds, "--threads", options.threads]
    found = []
    shapes = {"products": "4096x4096,11008x4096", "products-1.1b": "llama-1.1b"}
    sparsities, tokens = SPARSITIES, "1,4,16"
    if options.quick:
        shapes = {"products": "512x512", "products-1.1b": "640x512"}
        sparsities = "0.5,0.7,0.9"
    for name, shape in shapes.items():
        found.append(Measurement("spmm", name, [
            "bench", "spmm", "--shapes", shape, "--sparsity", sparsities, "--tokens", tokens, "--formats", "all",
            *rounds,
        ]))
    steps = ["--steps", 2 if options.quick else 16]
    for family, models in families(options).items():
        names = [model.name for model in models]
        found.append(Measurement("models", f"models-{family}", [
            "bench", *names, "--batch", "1,4,16", "--prompt", 64 if options.quick else 512, *steps, *rounds], models))
        # SmolLM2's context has 8192 tokens, a random model's twice as many.
        depth = 256 if options.quick else 8000 if family == "smollm2" else 8192
        for cache in ("f16", "i8"):
            some = [model for model in models if model.values != "i4" and model.zeros in (0, 80)]
            found.append(Measurement("context", f"context-{family}-{cache}", [
                "bench", *[model.name for model in some], "--depth", f"64,{depth}", "--prompt", 0, "--cache", cache,
                *steps, *rounds], some))
    return sorted(
        (measurement for measurement in found if measurement.piece in options.only),
        key=lambda measurement: PIECES.index(measurement.piece))


def make_models(models, options, say):
    """Makes those that are not there or older than the program."""
    for model in models:
        path = options.models / model.name
        if is_current(path, options):
            continue
        scratch = [options.models / f".{model.name}-{step}" for step in ("dense", "pruned")]
        try:
            source = dense(model, options, scratch[0], say)
            if model.zeros and model.family == "smollm2":
                make(options, say, "prune", source, "--sparsity", model.zeros / 100, "-o", scratch[1], "--force",
                     "--no-report")
                source = scratch[1]
            make(options, say, "pack", source, "-o", path, "--force", *model.pack_arguments())
        finally:
            for folder in scratch:
                shutil.rmtree(folder, ignore_errors=True)


def dense(model, options, scratch, say):
    """What is packed: SmolLM2 itself, or random weights with the share of zeros that is asked for."""
    if model.family == "smollm2":
        return options.smollm2
    make(
        options, say, "make-synthetic", "--parameters", model.family, "--sparsity", model.zeros / 100, "-o", scratch,
        "--force")
    return scratch


def is_current(path, options):
    try:
        config = path / "config.json"
        json.loads(config.read_text())
        return config.stat().st_mtime >= options.binary.stat().st_mtime
    except (OSError, ValueError):
        return False


def make(options, say, *arguments):
    command = [str(word) for word in [options.binary, *arguments]]
    say("making: flash-llm " + " ".join(command[1:]))
    run(command, SECONDS, folder=options.models)

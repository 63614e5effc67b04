"""The models that are compared, made once and kept in a folder: ours packed, the same shapes as GGUF for llama.cpp."""

import json
import os
import pathlib
import shutil

from .processes import Failure, run

#: The head is quantised where llama.cpp's is, and as little as there: to Q6_K in a Q4_0 model.
INT8_HEAD = ["--head", "i8", "--group", "128"]
#: name: (share of zeros, arguments of pack); None: the dense f16 model as it is.
VARIANTS = {
    "dense f16": None,
    "dense int8": (0, ["--format", "dense", "--values", "i8", *INT8_HEAD]),
    "80 % f16": (0.8, ["--format", "tiled-bitmap"]),
    "70 % int8": (0.7, ["--format", "tiled-bitmap", "--values", "i8", *INT8_HEAD]),
    "50 % int4": (0.5, ["--format", "tiled-bitmap", "--values", "i4", *INT8_HEAD]),
    # What the cost model chooses on this machine: without an expand instruction often dense.
    "80 % f16 auto": (0.8, ["--format", "auto"]),
    "70 % int8 auto": (0.7, ["--format", "auto", "--values", "i8", *INT8_HEAD]),
    "50 % int4 auto": (0.5, ["--format", "auto", "--values", "i4", *INT8_HEAD]),
}
TYPES = ["F16", "Q8_0", "Q4_0"]
#: The Llama shape of 1.1 billion weights. Ours is refused if it is another one: it would be compared with this one.
SHAPE = {
    "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
    "num_key_value_heads": 4, "vocab_size": 32000, "tie_word_embeddings": False,
}
#: Making a model of two gigabytes on a busy machine.
SECONDS = 3600


class Models:
    def __init__(self, cache, flash, llama, gguf_python, smollm2, say):
        self.cache = pathlib.Path(cache)
        self.cache.mkdir(parents=True, exist_ok=True)
        self.flash, self.llama, self.gguf_python, self.smollm2, self.say = flash, llama, gguf_python, smollm2, say
        #: What failed, by command: it is not tried again for the next variant.
        self.failures = {}

    def ours(self, model, variant):
        """The path of one of our models, made if it is not there or older than the program."""
        dense = self.dense(model)
        if VARIANTS[variant] is None:
            return dense
        sparsity, options = VARIANTS[variant]
        packed = self.cache / f"{model}-{variant.replace(' %', '').replace(' ', '-')}"
        if self.is_current(packed, than=[dense]):
            return packed
        pruned = self.cache / f"{model}-pruned-{sparsity:g}"
        source = dense
        try:
            if sparsity:
                self.make(self.flash, "prune", dense, "--sparsity", f"{sparsity:g}", "-o", pruned, "--force",
                          "--no-report")
                source = pruned
            self.make(self.flash, "pack", source, "-o", packed, "--force", *options)
        finally:
            shutil.rmtree(pruned, ignore_errors=True)
        return packed

    def theirs(self, model, type):
        """The path of a GGUF file of the same shape."""
        path = self.cache / f"{model}-{type}.gguf"
        if path.exists():
            return path
        quantize = self.llama / "llama-quantize"
        partial = path.with_suffix(".partial")
        if model == "SmolLM2-135M":
            self.make(quantize, "--allow-requantize", self.dense(model), partial, type)
        elif type == "F16":
            shape = self.cache / "1.1B-shape.json"
            shape.write_text(json.dumps(SHAPE))
            self.make(self.gguf_python, pathlib.Path(__file__).with_name("random_llama_gguf.py"), shape, partial)
        else:
            self.make(quantize, self.theirs(model, "F16"), partial, type)
        partial.rename(path)
        return path

    def dense(self, model):
        if model == "SmolLM2-135M":
            if not self.smollm2:
                raise Failure("no SmolLM2-135M: give its GGUF file with --smollm2")
            if not os.path.exists(self.smollm2):
                raise Failure(f"there is no SmolLM2-135M at {self.smollm2}")
            return pathlib.Path(self.smollm2)
        path = self.cache / "1.1B-dense"
        if not self.is_current(path):
            self.make(self.flash, "make-synthetic", "--parameters", "1.1b", "--seed", "1", "-o", path, "--force")
        found = json.loads((path / "config.json").read_text())
        for key, expected in SHAPE.items():
            if found.get(key, False) != expected:
                raise Failure(f"make-synthetic's {key} should be {expected}, found {found.get(key)}")
        return path

    def is_current(self, path, than=()):
        """Whether a model of ours is there and was made by this program: formats change while they are developed."""
        try:
            made = (path / "config.json").stat().st_mtime
        except OSError:
            return False
        sources = [pathlib.Path(self.flash), *than]
        return all(made >= (s / "config.json" if s.is_dir() else s).stat().st_mtime for s in sources)

    def make(self, *command):
        command = [str(word) for word in command]
        line = " ".join([os.path.basename(command[0]), *command[1:]])
        if line not in self.failures:
            self.say(line)
            try:
                run(command, SECONDS)
                return
            except Failure as failure:
                self.failures[line] = failure
        raise self.failures[line]

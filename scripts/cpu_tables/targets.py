"""What the kernels must reach, and whether they do."""

import math

#: One token: times dense f16 at these shares of zeros.
ONE_TOKEN = {
    "tiled-bitmap-f16": {0.5: 1.7, 0.7: 2.5, 0.9: 2.6},
    "tiled-bitmap-i16": {0.5: 1.85, 0.7: 2.9, 0.9: 4.6},
    "tiled-bitmap-i8": {0.5: 3.4, 0.7: 5.0, 0.9: 8.2},
    "tiled-bitmap-i4": {0.5: 5.4, 0.7: 7.8, 0.9: 8.8},
}
#: The least share of its bound that a bitmap may reach with one to four tokens.
BOUND = 0.85
#: Sixteen tokens, int8, at every share of zeros: times dense f16, and times dense int8.
SIXTEEN_TOKENS = {"ratio_to_dense_f16": 4.2, "ratio_to_dense_i8": 1.0}


class Target:
    """What is wanted, and what was found on some number of threads; `found` and `met` are None if nothing was.

    `bound` says what the machine lets through at most, if that is known.
    """

    def __init__(self, what, wanted, found, unit="x", where="", bound=""):
        self.what, self.wanted, self.found, self.unit, self.where = what, wanted, found, unit, where
        self.bound = bound
        self.met = None if found is None else found >= wanted

    def shown(self, value):
        return f"{100 * value:.0f} %" if self.unit == "%" else f"{value:.2f}x"

    def cell(self):
        if self.found is None:
            return "not measured"
        place = f" ({self.where})" if self.where else ""
        if self.bound and not self.met:
            place += f"; {self.bound}"
        return f"{'yes' if self.met else '**no**'}: {self.shown(self.found)}{place}"


def select(results, **wanted):
    return [result for result in results if all(result[key] == value for key, value in wanted.items())]


def ratio(results, key):
    """The geometric mean of the shapes' medians; None without any."""
    values = [result[key]["median"] for result in results if result[key]]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def bound(results, same):
    """What the kernels of `same` could reach at most, times the dense f16 that was measured beside them.

    Memory: all bytes at the bandwidth that was measured. Kernel: its own speed on weights that lie in cache.
    """
    shares = []
    for result in same:
        [dense] = select(results, format="dense-f16", **{
            key: result[key] for key in ("rows", "columns", "sparsity", "tokens", "threads")})
        baseline = dense["weights_per_second"]["median"]
        memory = result["bandwidth_bytes_per_second"]["median"] / result["bytes_per_weight"]
        shares.append((memory / baseline, result["cached_weights_per_second"]["median"] / baseline))
    if not shares:
        return ""
    memory, kernel = (math.exp(sum(map(math.log, column)) / len(shares)) for column in zip(*shares))
    return f"at most {min(memory, kernel):.2f}x ({'memory' if memory < kernel else 'kernel in cache'})"


def evaluate(results, threads):
    """All targets for products on some number of threads."""
    targets = []
    for format, shares in ONE_TOKEN.items():
        for share, wanted in shares.items():
            same = select(results, format=format, sparsity=share, tokens=1, threads=threads)
            found = ratio(same, "ratio_to_dense_f16")
            what = f"{format}, {100 * share:.0f} % zeros, 1 token, to dense f16"
            targets.append(Target(what, wanted, found, bound=bound(results, same)))
    for tokens in (1, 4):
        bitmaps = [r for r in select(results, tokens=tokens, threads=threads) if r["format"] in ONE_TOKEN]
        targets.append(lowest(
            f"bitmaps, {tokens} token{'s' if tokens > 1 else ''}, share of the bound", BOUND,
            [(r["share_of_bound"], place(r)) for r in bitmaps], "%"))
    for key, wanted in SIXTEEN_TOKENS.items():
        same = select(results, format="tiled-bitmap-i8", tokens=16, threads=threads)
        what = f"tiled-bitmap-i8, 16 tokens, {key.removeprefix('ratio_').replace('_', ' ')}"
        targets.append(lowest(what, wanted, [(r[key]["median"], place(r)) for r in same if r[key]]))
    return targets


def lowest(what, wanted, values, unit="x"):
    """A target for the lowest of several values."""
    found, where = min(values, default=(None, ""))
    return Target(what, wanted, found, unit, where)


def place(result):
    return f"{result['format']}, {result['rows']}x{result['columns']}, {100 * result['sparsity']:.0f} %"

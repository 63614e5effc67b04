"""The rows of the table: what of ours is held against what of theirs, and what it must reach."""

import statistics

#: In tokens per second more is better, in milliseconds less.
SPEED, TIME = "tokens/s", "ms"


class Row:
    """Of several series of ours (or of theirs) the best one counts.

    `target` is the least ratio, of speeds ours / theirs, of times theirs / ours; or with `limit` the most milliseconds
    that ours may take; with neither the row is there for information.
    """

    def __init__(self, case, what, ours, theirs, target=None, limit=None, unit=SPEED):
        self.case, self.what, self.target, self.limit, self.unit = case, what, target, limit, unit
        self.ours, self.theirs = ours, theirs


def model_row(model, what, ours, theirs, target=None):
    ours = [ours] if isinstance(ours, str) else ours
    theirs = [theirs] if isinstance(theirs, str) else theirs
    return Row(
        model, f"{model}, {what}", [f"ours, {model} {v}, {what}" for v in ours],
        [f"llama.cpp, {model} {t}, {what}" for t in theirs], target)


def layer_row(ours, theirs, limit=None):
    return Row(
        "layer", "4096x4096 x 8, one token", [f"ours, {name}, layer" for name in ours], [f"{theirs}, layer"],
        limit=limit, unit=TIME)


ANY = ["dense f16", "dense int8", "80 % f16", "70 % int8", "50 % int4"]
#: As a bitmap, and what `pack --format auto` chooses on this machine.
F16, INT8, INT4 = ([name, f"{name} auto"] for name in ("80 % f16", "70 % int8", "50 % int4"))
SMALL = "SmolLM2-135M"
ROWS = [
    model_row("1.1B", "decode", "dense f16", "F16", 1.5),
    model_row("1.1B", "decode", F16, "F16", 3.5),
    model_row("1.1B", "decode", "dense int8", "Q8_0", 1.3),
    model_row("1.1B", "decode", INT8, "Q8_0", 3.5),
    model_row("1.1B", "decode", INT8, "Q4_0", 2.0),
    model_row("1.1B", "decode", INT4, "Q4_0", 2.5),
    model_row(SMALL, "decode", "dense f16", "F16"),
    model_row(SMALL, "decode", F16, "F16", 2.5),
    model_row(SMALL, "decode", INT8, "Q8_0", 2.5),
    model_row(SMALL, "decode", INT4, "Q4_0"),
    model_row(SMALL, "prompt of 512", ANY, ["F16", "Q8_0", "Q4_0"], 1.2),
    model_row(SMALL, "prompt of 512", "dense f16", "F16", 1.0),
    model_row(SMALL, "16 sequences", "dense f16", "F16"),
    model_row(SMALL, "16 sequences", INT8, "Q8_0", 1.5),
    layer_row(["70 % tiled-bitmap-i8", "70 % dense-i8"], "OpenVINO, int8", 0.3),
    layer_row(["50 % tiled-bitmap-i4", "50 % dense-i4"], "OpenVINO, int4", 0.3),
    layer_row(["80 % tiled-bitmap-f16", "80 % sliced-ellpack-f16"], "DeepSparse, 80 % f32", 0.45),
    layer_row(["90 % tiled-bitmap-f16", "90 % sliced-ellpack-f16"], "DeepSparse, 90 % f32"),
]


class Samples:
    """Values of a series by round."""

    def __init__(self):
        self.by_series = {}

    def add(self, round, values):
        for series, value in values.items():
            self.by_series.setdefault(series, {})[round] = value

    def best(self, names, unit):
        """The name of the series with the best median; None if none was measured."""
        measured = [name for name in names if self.by_series.get(name)]
        sign = 1 if unit == SPEED else -1
        return max(measured, key=lambda name: sign * statistics.median(self.values(name)), default=None)

    def values(self, name):
        return list(self.by_series[name].values())

    def ratios(self, ours, theirs, unit):
        """How many times as fast ours was, round by round: what slowed a round down slowed both."""
        ours, theirs = self.by_series[ours], self.by_series[theirs]
        both = [(ours[round], theirs[round]) for round in ours if round in theirs]
        return [mine / other if unit == SPEED else other / mine for mine, other in both]


def spread(values):
    """Median, lower and upper quartile; None without values."""
    if not values:
        return None
    ordered = sorted(values)

    def quantile(share):
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

    return {"median": quantile(0.5), "lower": quantile(0.25), "upper": quantile(0.75)}


def evaluate(row, samples):
    """One row as an object for the table and for JSON; `met` is None where nothing can be said."""
    ours, theirs = samples.best(row.ours, row.unit), samples.best(row.theirs, row.unit)
    ratio = spread(samples.ratios(ours, theirs, row.unit)) if ours and theirs else None
    mine = spread(samples.values(ours)) if ours else None
    met = None
    if row.limit is not None and mine:
        met = mine["median"] <= row.limit
    if row.target is not None and ratio:
        met = ratio["median"] >= row.target
    return {
        "what": row.what, "unit": row.unit, "ours": ours, "theirs": theirs,
        "wanted": {"ours": row.ours, "theirs": row.theirs}, "our_value": mine,
        "their_value": spread(samples.values(theirs)) if theirs else None, "ratio": ratio,
        "target_ratio": row.target, "limit_milliseconds": row.limit, "met": met,
    }


def cell(value, digits, suffix=""):
    if value is None:
        return ""
    numbers = [f"{value[key]:.{digits}f}" for key in ("median", "lower", "upper")]
    return f"{numbers[0]}{suffix} ({numbers[1]}-{numbers[2]})"


def markdown(results):
    """The table. A name is what of a series differs in its row: "70 % int8", "llama.cpp Q8_0"."""
    lines = ["| what | ours | | peer | | ratio | target | met |", "|---|---|---|---|---|---|---|---|"]
    for result in results:
        digits = 1 if result["unit"] == SPEED else 3
        names = [shown(result, side) for side in ("ours", "theirs")]
        target = ""
        if result["target_ratio"] is not None:
            target = f"{result['target_ratio']:g}x"
        if result["limit_milliseconds"] is not None:
            target = f"{result['limit_milliseconds']:g} ms"
        cells = [
            f"{result['what']}, {result['unit']}", names[0], cell(result["our_value"], digits), names[1],
            cell(result["their_value"], digits), cell(result["ratio"], 2, "x"), target,
            {True: "yes", False: "**no**", None: ""}[result["met"]],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def shown(result, side):
    """The engine and variant of one side, and what was wanted where nothing was measured."""
    engine, variant, _ = (result[side] or result["wanted"][side][0]).split(", ")
    variant = variant.removeprefix(result["what"].split(",")[0]).strip()
    name = variant if engine == "ours" else f"{engine} {variant}"
    return name if result[side] else f"{name}: not measured"

"""OUT/README.md: the tables, made from the files that measurements left."""

import json
import math

from . import targets


def table(titles, rows):
    """In Markdown; figures to the right."""
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines) + "\n"


def load(out):
    """Name, results and the notes of the run of every measurement, by name."""
    found = {}
    for path in sorted(out.glob("*.run.json")):
        name = path.name.removesuffix(".run.json")
        results = path.with_name(f"{name}.json")
        if results.exists():
            found[name] = json.loads(results.read_text()), json.loads(path.read_text())
    return found


def markdown(out, failures):
    found = load(out)
    text = "# FlashLLM on a CPU\n\n" + machine(found)
    for failure in failures:
        text += f"**Not measured:** {failure}.\n\n"
    if "products" in found:
        text += "## Targets\n\n" + target_table(found["products"][0]["results"])
    for name in found:
        if name.startswith("products"):
            text += products(name, found[name][0]["results"])
    for name in found:
        if name.startswith("models-"):
            text += models(name, found[name][0]["results"])
    if any(name.startswith("context-") for name in found):
        text += contexts({name: value for name, (value, _) in found.items() if name.startswith("context-")})
    return text + commands(found)


def machine(found):
    """What a reader must know of where and when this was measured."""
    if not found:
        return "Nothing was measured.\n\n"
    processors = {value.get("processor") or "unknown processor" for value, _ in found.values()}
    sets = {value["instruction_set"] for value, _ in found.values()}
    dates = sorted({run["date"] for _, run in found.values()})
    count = max(run["processors"] for _, run in found.values())
    text = (
        f"{', '.join(sorted(processors))}; {count} processors; {', '.join(sorted(sets))} kernels; "
        f"{dates[0]}{' to ' + dates[-1] if len(dates) > 1 else ''}. Medians of rounds in which everything was measured "
        "in turns; ratios are taken inside a round. Beside each table lie a picture, a table for spreadsheets and all "
        "samples.\n\n")
    busy = [run["processors_busy_with_others"] for _, run in found.values()]
    if any(value is not None and value > 0.1 for value in busy):
        text += (
            f"**Others kept up to {max(value for value in busy if value is not None):.2f} processors busy meanwhile: "
            "figures and ratios are rough.**\n\n")
    if any(run["quick"] for _, run in found.values()):
        text += "**Some of this was tried out with --quick: small shapes, one round. Its figures mean nothing.**\n\n"
    return text


def threads_of(results):
    return sorted({result["threads"] for result in results})


def target_table(results):
    """Whether each target is met, a column for each number of threads."""
    columns = {threads: targets.evaluate(results, threads) for threads in threads_of(results)}
    rows = [
        [line[0].what, f"at least {line[0].shown(line[0].wanted)}", *[target.cell() for target in line]]
        for line in zip(*columns.values())
    ]
    text = "Met are " + ", ".join(
        f"{sum(target.met is True for target in found)} of {len(found)} on {plural(threads, 'thread')}"
        for threads, found in columns.items())
    text += (
        ". One token: the geometric mean of the shapes; else the lowest of all shapes and shares of zeros. \"At most\" "
        "is what the machine lets through: all bytes at the measured bandwidth, or the kernel's own speed on weights "
        "that lie in cache, over the dense f16 measured beside it.\n\n")
    return text + table(["what", "wanted", *[plural(threads, "thread") for threads in columns]], rows)


def products(name, results):
    """Ratios to dense f16 by format and sparsity, a table for each number of tokens and threads."""
    shapes = list(dict.fromkeys(f"{result['rows']}x{result['columns']}" for result in results))
    sparsities = sorted({result["sparsity"] for result in results})
    formats = list(dict.fromkeys(result["format"] for result in results))
    text = f"## Products: {', '.join(shapes)}\n\n"
    text += (
        "Times dense f16, in brackets the lowest share of the bound, which is the lower of the memory's bandwidth and "
        f"the kernel's speed on weights in cache{'; geometric means of the shapes' if len(shapes) > 1 else ''}. "
        f"![]({name}.svg)\n\n")
    for threads in threads_of(results):
        for tokens in sorted({result["tokens"] for result in results}):
            rows = []
            for format in formats:
                row = [format]
                for sparsity in sparsities:
                    same = targets.select(
                        results, format=format, sparsity=sparsity, tokens=tokens, threads=threads)
                    ratio = targets.ratio(same, "ratio_to_dense_f16")
                    share = min((result["share_of_bound"] for result in same), default=math.nan)
                    row.append(f"{1 if ratio is None else ratio:.2f}x ({100 * share:.0f} %)")
                rows.append(row)
            text += f"{plural(tokens, 'token')}, {plural(threads, 'thread')}:\n\n"
            text += table(["format"] + [f"{100 * sparsity:.0f} % zeros" for sparsity in sparsities], rows)
    return text


def plural(count, noun):
    return f"{count} {noun}{'' if count == 1 else 's'}"


def by_model(results):
    """Results of each model in the order of the command line."""
    return {
        model: [result for result in results if result["model"] == model]
        for model in dict.fromkeys(result["model"] for result in results)
    }


def models(name, results):
    """Tokens per second of whole models, a table for each number of threads."""
    settings = list(dict.fromkeys(result["what"] for result in results))
    text = f"## Whole models: {name.removeprefix('models-')}\n\n"
    text += f"Tokens per second and times the first row. ![]({name}.svg)\n\n"
    for threads in threads_of(results):
        rows = []
        for model, own in by_model(targets.select(results, threads=threads)).items():
            values = {result["what"]: result for result in own}
            cells = [speed(values[setting]) if setting in values else "" for setting in settings]
            rows.append([model, f"{own[0]['weights_bytes'] / 1e6:.1f} MB", *cells])
        text += f"{plural(threads, 'thread')}:\n\n" + table(["model", "weights", *settings], rows)
    return text


def speed(result):
    value = f"{result['tokens_per_second']['median']:.1f}"
    return value + (f" ({result['ratio']:.2f}x)" if result["ratio"] is not None else "")


def contexts(found):
    """Decoding with a short and a long context."""
    text = "## Long contexts\n\n"
    text += (
        "Tokens per second of one sequence by the tokens in its cache. Attention is the share of a step by which it "
        "takes longer than with the shortest context.\n\n")
    for name, value in found.items():
        results = value["results"]
        depths = sorted({result["depth"] for result in results})
        rows = []
        for threads in threads_of(results):
            for model, own in by_model(targets.select(results, threads=threads)).items():
                at = {result["depth"]: result for result in own}
                cells = []
                for depth in depths:
                    share = at[depth]["attention_share"]
                    cells.append(f"{at[depth]['tokens_per_second']['median']:.1f}")
                    if depth != depths[0]:
                        cells.append(f"{100 * share['median']:.0f} %" if share else "")
                rows.append([model, threads, *cells])
        titles = [f"{depths[0]} tokens"]
        for depth in depths[1:]:
            titles += [f"{depth} tokens", "attention"]
        cache = name.rsplit("-", 1)[1]
        family = name.removeprefix("context-").removesuffix(f"-{cache}")
        text += f"{family}, cache of {cache}: ![]({name}.svg)\n\n" + table(["model", "threads", *titles], rows)
    return text


def commands(found):
    text = "## Commands\n\n"
    for name, (_, run) in found.items():
        text += f"    {run['command']}    # {name}, {run['date']}, {run['seconds']} s\n"
    text += (
        "\n`scripts/measure-cpu` runs these and makes the models: `smollm2-20-i8` is SmolLM2-135M pruned by magnitude "
        "to 20 % zeros and packed as int8, `1.1b-...` has random weights. Integer weights come with a head of int8.\n")
    return text

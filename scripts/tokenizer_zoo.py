"""Tokenizers of every kind that we read, trained from scratch: nothing is downloaded, and the same texts give the same.

Shared by compare-tokenizers (thousands of tokens) and make-tokenizer-vectors (a few hundred). Needs `tokenizers` and
`sentencepiece` (PyPI).
"""

import base64
import collections
import io
import json
import re
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

SPACE = "\u2581"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BEFORE = r"[^\r\n\p{L}\p{N}]?"

# Split patterns as published models have them, and a few that try the engine: name, then one pattern after another.
PATTERNS = {
    "gpt2": [GPT2],
    "gpt4": [
        r"(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
    ],
    "gpt4o": [
        f"{BEFORE}{UPPER}*{LOWER}+{CONTRACTIONS}?|{BEFORE}{UPPER}+{LOWER}*{CONTRACTIONS}?|\\p{{N}}{{1,3}}{TAIL}"
    ],
    "tekken": [f"{BEFORE}{UPPER}*{LOWER}+|{BEFORE}{UPPER}+{LOWER}*|\\p{{N}}{TAIL}"],
    "deepseek-v3": [
        r"\p{N}{1,3}",
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
        r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    ],
    "deepseek-coder": [
        r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", r"\p{N}",
    ],
    "kimi": [
        r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
    "digit groups": [r"(?=(\d{3})+(?!\d))", GPT2],
    "bloom": [r" ?[^(\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"],
    "lazy": [r"\w+?\b|\W+?(?=\w)|.+?$", r"^\s+|(?<!\w)'|(?<=\d)\D"],
    "atomic": [r"(?>a|ab|the|th)+?[a-z]|\d{2,3}+|\p{Lu}{2,}?|\S*?[.!]", r"\p{^L}\P{N}|\h{4}"],
    "anchors": [r"\A.|.\z|^\w|\w$|\B['\-]\B", r"(?:ab?c|[a-c]+\s*)*x|[[a-m]&&[^aeiou]]{2}|\p{Hiragana}+|\p{Katakana}"],
    "nested": [r"(?:(?:a|[b-e]) )+|(?:x|y(?=z|\w{2,4}(?!s)))+|(?-i:T)he"],
}
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "<|"]


def added(id, content, special=True, **flags):
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    return {"id": id, "content": content, **token, **flags}


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def byte_level(use_regex=False, add_prefix_space=False):
    return {
        "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex,
    }


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def metaspace(scheme, split=True):
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split}


def template(before=None, after=None, ids=None):
    def special(name):
        return [{"SpecialToken": {"id": name, "type_id": 0}}] if name else []

    text = [{"Sequence": {"id": "A", "type_id": 0}}]
    single = special(before) + text + special(after)
    names = {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in (before, after) if name}
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": names}


def tokenizer_json(model, added_tokens=(), normalizer=None, pre_tokenizer=None, decoder=None, post_processor=None):
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added_tokens),
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
        "decoder": decoder, "model": model,
    }


def bpe(vocabulary, merges, **options):
    return {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": vocabulary, "merges": merges, **options,
    }


# SentencePiece ------------------------------------------------------------------------------------------------------

PIECES = {
    "spm llama": dict(
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        split_digits=True, allow_whitespace_only_pieces=True,
    ),
    "spm bpe nmt": dict(model_type="bpe", user_defined_symbols=["<sep>", "ab"], control_symbols=["[INST]"]),
    "spm gemma": dict(
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False,
        remove_extra_whitespaces=False, user_defined_symbols=["<start_of_turn>", "\n\n", SPACE * 2, SPACE * 4, "th"],
        pad_id=3,
    ),
    "spm bpe unused": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="nfkc"),
    "spm unigram nmt": dict(model_type="unigram", byte_fallback=True, normalization_rule_name="nmt_nfkc"),
    "spm unigram folded": dict(
        model_type="unigram", normalization_rule_name="nmt_nfkc_cf", user_defined_symbols=["<sep>", "the"],
    ),
    "spm unigram bare": dict(
        model_type="unigram", byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False,
        remove_extra_whitespaces=False,
    ),
}


# What a small model replaces instead of the thousands of characters of nmt_nfkc: their numbers, in hexadecimal.
RULES = [
    ("FB01", "66 69"), ("FB06", "73 74"), ("A0", "20"), ("3000", "20"), ("9", "20"), ("200B", ""), ("FEFF", ""),
    ("4", ""), ("65 301", "E9"), ("BD", "31 2044 32"), ("2167", "56 49 49 49"), ("B2", "32"), ("212A", "4B"),
    ("1D7D8", "30"), ("2026", "2E 2E 2E"), ("1100 1161 11A8", "AC01"), ("41", "61"), ("41 42", "78"),
]


def sentencepiece_model(name, corpus, size, is_small):
    """The bytes of a tokenizer.model."""
    output = io.BytesIO()
    options = dict(PIECES[name])
    rules = options.get("normalization_rule_name", "nmt_nfkc")
    if is_small and rules != "identity":
        options.pop("normalization_rule_name", None)
        file = tempfile.NamedTemporaryFile("w", suffix=".tsv")
        file.writelines(f"{source}\t{target}\n" for source, target in RULES)
        file.flush()
        options["normalization_rule_tsv"] = file.name
    lines = [line for text in corpus for line in re.split(r"[\n\r\0]", text) if line.strip()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=output, vocab_size=size, hard_vocab_limit=False,
        num_threads=1, minloglevel=2, character_coverage=0.98, max_sentence_length=1 << 16, **options,
    )
    model = proto.ModelProto.FromString(output.getvalue())
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    if name.endswith("unused"):
        longer = [piece for piece in model.pieces if piece.type == 1 and len(piece.piece) > 1]
        for piece in longer[::7]:
            piece.type = 5
    return model.SerializeToString()


def llama_json(model_bytes, style):
    """A tokenizer.json with the vocabulary of a BPE tokenizer.model, as `transformers` converts it."""
    model = proto.ModelProto.FromString(model_bytes)
    ids = {piece.piece: id for id, piece in enumerate(model.pieces)}
    merges = []
    for piece, id in ids.items():
        if model.pieces[id].type not in (1, 4):
            continue
        local = [
            (ids[piece[:cut]], ids[piece[cut:]], piece[:cut], piece[cut:])
            for cut in range(1, len(piece))
            if piece[:cut] in ids and piece[cut:] in ids
        ]
        merges += [(model.pieces[id].score, left, right) for _, _, left, right in sorted(local)]
    merges = [[left, right] for _, left, right in sorted(merges, key=lambda merge: -merge[0])]
    tokens = [added(id, piece.piece) for id, piece in enumerate(model.pieces) if piece.type in (2, 3)]
    count = len(ids)
    tokens += [
        added(count, "<|end|>", rstrip=True), added(count + 1, "<odd>", special=False, normalized=True),
        added(count + 2, "<left>", lstrip=True, special=False),
    ]
    whole = bpe(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    to_text = [replace(SPACE, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    before = template("<s>", ids=ids)
    if style == "legacy":
        normalizer = sequence("normalizers", {"type": "Prepend", "prepend": SPACE}, replace(" ", SPACE))
        return tokenizer_json(whole, tokens, normalizer, None, sequence("decoders", *to_text, strip), before)
    if style == "first":
        return tokenizer_json(
            whole, tokens, None, metaspace("first", split=False), sequence("decoders", *to_text, strip), before)
    decoder = sequence("decoders", *to_text)
    pre_tokenizer = split(" ", "MergedWithPrevious", kind="String")
    return tokenizer_json(whole, tokens, replace(" ", SPACE), pre_tokenizer, decoder, before)


def unigram_json(model_bytes, pre_tokenizer, decoder, normalizers=None, byte_fallback=False, post=True):
    """A tokenizer.json with the vocabulary of a unigram tokenizer.model."""
    model = proto.ModelProto.FromString(model_bytes)
    vocabulary = [[piece.piece, piece.score] for piece in model.pieces]
    ids = {piece: id for id, (piece, _) in enumerate(vocabulary)}
    tokens = [added(id, piece.piece) for id, piece in enumerate(model.pieces) if piece.type in (2, 3)]
    tokens.append(added(len(ids), "<mask>", lstrip=True))
    if normalizers is None:
        charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
        normalizers = [{"type": "Precompiled", "precompiled_charsmap": charsmap}, replace(" {2,}", " ", "Regex")]
    return tokenizer_json(
        {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": byte_fallback}, tokens,
        sequence("normalizers", *normalizers), pre_tokenizer, decoder,
        template(None, "</s>", ids=ids) if post else None,
    )


# Byte-level and word-level BPE ----------------------------------------------------------------------------------------


def byte_level_vocabulary(corpus, size):
    """Tokens and merges trained without any splitting, so that every wrong split shows."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    short = [text[start : start + 12] for text in corpus for start in range(0, len(text), 12)]
    trained.train_from_iterator(
        short,
        trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=SPECIALS[:3], show_progress=False,
        ),
    )
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], model["merges"]


def word_vocabulary(corpus, size, prefix, suffix):
    """Merges of the commonest pairs within words; written here because the package's trainer breaks ties by chance."""
    counts = collections.Counter(word for text in corpus for word in re.findall(r"\w+|[^\w\s]+", text.lower()))
    words = {}
    for word, count in counts.items():
        symbols = [prefix * (index > 0) + character for index, character in enumerate(word)]
        symbols[-1] += suffix
        words[tuple(symbols)] = words.get(tuple(symbols), 0) + count
    alphabet = collections.Counter(symbol for symbols, count in words.items() for symbol in symbols * min(count, 9))
    commonest = sorted(alphabet.items(), key=lambda item: (-item[1], item[0]))[:160]
    vocabulary = ["<unk>"] + [symbol for symbol, _ in commonest]
    known, merges = set(vocabulary), []
    while len(vocabulary) < min(size, 700):
        pairs = collections.Counter()
        for symbols, count in words.items():
            for pair in zip(symbols, symbols[1:]):
                if pair[0] in known and pair[1] in known:
                    pairs[pair] += count
        if not pairs:
            break
        pair = min(pairs, key=lambda pair: (-pairs[pair], pair))
        joined = pair[0] + pair[1][len(prefix) :]
        merges.append(list(pair))
        if joined not in known:
            known.add(joined)
            vocabulary.append(joined)
        merged = {}
        for symbols, count in words.items():
            result, index = [], 0
            while index < len(symbols):
                is_pair = symbols[index : index + 2] == pair
                result.append(joined if is_pair else symbols[index])
                index += 2 if is_pair else 1
            merged[tuple(result)] = merged.get(tuple(result), 0) + count
        words = merged
    return {token: id for id, token in enumerate(vocabulary)}, merges


def zoo(corpus, size, is_small=False):
    """[(name, kind, data)]: kind "json" with a tokenizer.json, "spm" with the bytes of a tokenizer.model."""
    result = []
    pieces = {name: sentencepiece_model(name, corpus, size, is_small) for name in PIECES}
    result += [(name, "spm", data) for name, data in pieces.items()]
    for style in ("legacy", "first", "gemma"):
        result.append((f"llama {style}", "json", llama_json(pieces["spm llama"], style)))

    meta = {scheme: metaspace(scheme) for scheme in ("first", "always", "never")}
    nmt, bare, folded = pieces["spm unigram nmt"], pieces["spm unigram bare"], pieces["spm unigram folded"]
    white = {"type": "WhitespaceSplit"}
    form = lambda name: {"type": name}
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    result += [
        ("unigram t5", "json", unigram_json(nmt, sequence("pretokenizers", white, meta["always"]), meta["always"])),
        ("unigram first", "json", unigram_json(nmt, meta["first"], meta["first"], byte_fallback=True)),
        ("unigram never", "json", unigram_json(bare, meta["never"], meta["never"], [form("NFKC")], True)),
        ("unigram strip", "json", unigram_json(
            folded, meta["first"], meta["first"],
            [strip, form("NFKD"), form("StripAccents"), form("Lowercase"), replace(r"\s+", " ", "Regex")])),
        ("unigram split", "json", unigram_json(
            bare, sequence("pretokenizers", {"type": "Punctuation", "behavior": "MergedWithPrevious"}, white,
                           {"type": "Digits", "individual_digits": False}, metaspace("first", split=False)),
            sequence("decoders", replace(SPACE, " "), {"type": "Fuse"},
                     {"type": "Strip", "content": " ", "start": 1, "stop": 0}),
            [form("NFD")], True, post=False)),
    ]
    vocabulary, merges = byte_level_vocabulary(corpus, size)
    specials = [added(id, SPECIALS[id]) for id in range(3)]
    ids = {name: id for id, name in enumerate(SPECIALS)}
    plain = bpe(vocabulary, merges)
    for name, patterns in PATTERNS.items():
        steps = [split(pattern) for pattern in patterns]
        result.append((f"pattern {name}", "json", tokenizer_json(
            plain, specials, None, sequence("pretokenizers", *steps, byte_level()), byte_level())))
    digits = {"type": "Digits", "individual_digits": True}
    known = [
        ("SmolLM", sequence("pretokenizers", digits, byte_level(True)), None, {}),
        ("Llama 3", sequence("pretokenizers", split(LLAMA3), byte_level()), None, {"ignore_merges": True}),
        ("Qwen2", sequence("pretokenizers", split(LLAMA3.replace("{1,3}", "")), byte_level()), form("NFC"), {}),
    ]
    for name, steps, normalizer, options in known:
        post = sequence("processors", byte_level(), template("<|im_start|>", ids=ids)) if name == "Llama 3" else None
        result.append((f"kind {name}", "json", tokenizer_json(
            bpe(vocabulary, merges, **options), specials, normalizer, steps, byte_level(), post)))
    for behavior in ("Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            result.append((f"split {behavior}{' inverted' * invert}", "json", tokenizer_json(
                plain, specials, form("NFC") if invert else None,
                sequence("pretokenizers", split(r"\s|\p{P}{2}|e", behavior, invert), byte_level()), byte_level())))
    for behavior in ("Removed", "Contiguous", "MergedWithNext", "Isolated"):
        steps = [{"type": "Punctuation", "behavior": behavior}, {"type": "Digits", "individual_digits": True}]
        result.append((f"punctuation {behavior}", "json", tokenizer_json(
            plain, specials, None, sequence("pretokenizers", *steps, byte_level(add_prefix_space=True)),
            byte_level(), template("<|im_start|>", "<|im_end|>", ids=ids))))
    roberta = {
        "type": "RobertaProcessing", "sep": ["<|im_end|>", 2], "cls": ["<|im_start|>", 1], "trim_offsets": True,
        "add_prefix_space": False,
    }
    result.append(("words, roberta", "json", tokenizer_json(
        plain, specials, None, sequence("pretokenizers", {"type": "Whitespace"}, byte_level()), byte_level(), roberta)))
    fuse = {"type": "Fuse"}
    for name, prefix, suffix in (("suffix", "", "</w>"), ("prefix", "##", "")):
        vocabulary, merges = word_vocabulary(corpus, size, prefix, suffix)
        model = bpe(vocabulary, merges, unk_token="<unk>", fuse_unk=name == "prefix",
                    continuing_subword_prefix=prefix or None, end_of_word_suffix=suffix or None)
        result.append((f"words, {name}", "json", tokenizer_json(
            model, [added(0, "<unk>")], sequence("normalizers", form("NFD"), form("Lowercase"), form("StripAccents")),
            {"type": "Whitespace"}, fuse)))
    return result

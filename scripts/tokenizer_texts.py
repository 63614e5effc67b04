"""Texts that tokenizers get wrong: random ones from a seed, and real ones from files.

Shared by compare-tokenizers and make-tokenizer-vectors.
"""

import random

# What the patterns of pre-tokenizers look at, and what they confuse with it.
ATOMS = (
    [" ", " ", " ", "  ", "   ", "\n", "\r\n", "\r", "\t", "\n\n", " \n", "\n ", "\u00a0", "\u3000", "\u0085", "\u2028"]
    + ["\u200b", "\u180e", "\u001c", "\ufeff", "\u200d", "\u0000", "\u0004", "\u0016", "\u007f"]
    + ["'", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'vE", "'Ll", "'\u017f", "'r", "'l", "\u2019s"]
    + ["s", "t", "K", "\u212a", "a", "hello", "World"]
    + ["the", "\u00e9", "e\u0301", "\u0308", "\u00df", "\ufb06", "\u0130"]
    + list("0123456789") + ["12", "345", "6789"]
    + ["\u00b2", "\u00bd", "\u2167", "\u0663", "\u0967", "\u4e09", "\U0001d7d8"]
    + list(".,;:!?-_()[]{}<>|/\\\"`~@#$%^&*+=") + ["...", "->", "//", "\u2014", "\u201c", "\u20ac", "\u00b0", "\u00aa"]
    + ["\u4f60\u597d", "\u3053\u3093", "\ud55c\uad6d"]
    + ["\u0e2a\u0e27", "\u0645\u0631", "\u0928\u092e\u0938\u094d\u0924\u0947"]
    + ["\U0001f600", "\U0001f469\u200d\U0001f4bb", "\U0001f1eb\U0001f1f7", "\u2764\ufe0f", "\U0001f44d\U0001f3fd"]
    + ["\ue000", "\u0378", "\U000e0041", "\U0010ffff", "\U00011de0"]
    + ["\u088f", "\ufdd0", "\U000f0000", "\u1100\u1161\u11a8"]
)

RANGES = [
    (0x00, 0x20), (0x20, 0x7F), (0x20, 0x7F), (0x7F, 0x180), (0x180, 0x370), (0x370, 0x590), (0x590, 0x700),
    (0x900, 0xE00), (0xE00, 0x1200), (0x1200, 0x2000), (0x2000, 0x2C00), (0x3000, 0x3400), (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A4), (0xE000, 0xE100), (0xF900, 0x10000), (0x10000, 0x12000), (0x1D000, 0x1E000),
    (0x1F300, 0x1FB00), (0x20000, 0x20100), (0x10000, 0x110000),
]

SENTENCES = [
    "The quick brown fox can't jump over 13 lazy dogs; they've seen it 1,024 times.",
    "I'm sure it'll work, she'd said -- but we're NOT so sure, and he's gone.",
    "\u00c0 No\u00ebl, le c\u0153ur d\u00e9\u00e7u mais l'\u00e2me plut\u00f4t na\u00efve, Lou\u00ffs r\u00eava de "
    "crapa\u00fcter.",
    "Zw\u00f6lf Boxk\u00e4mpfer jagen Viktor quer \u00fcber den gro\u00dfen Sylter Deich.",
    "\u0421\u044a\u0435\u0448\u044c \u0435\u0449\u0451 \u044d\u0442\u0438\u0445 "
    "\u043c\u044f\u0433\u043a\u0438\u0445 \u0431\u0443\u043b\u043e\u043a \u0432 2024 \u0433\u043e\u0434\u0443.",
    "\u0393\u03b1\u03b6\u03ad\u03b5\u03c2 \u03ba\u03b1\u1f76 \u03bc\u03c5\u03c1\u03c4\u03b9\u1f72\u03c2 "
    "\u03b4\u1f72\u03bd \u03b8\u1f70 \u03b2\u03c1\u1ff6 \u03c0\u03b9\u1f70.",
    "\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed\u8d70\u8d70\u5427\uff01\u4ef7\u683c"
    "\u662f123.45\u5143\u3002",
    "\u3044\u308d\u306f\u306b\u307b\u3078\u3068 \u3061\u308a\u306c\u308b\u3092\u3001\u30c6\u30b9\u30c8\u306f\uff11"
    "\uff12\uff13\u56de\u3067\u3059\u3002",
    "\ud0a4\uc2a4\uc758 \uace0\uc720\uc870\uac74\uc740 \uc785\uc220\ub07c\ub9ac \ub9cc\ub098\uc57c \ud558\uace0 "
    "3\ubc88\uc774\ub2e4.",
    "\u0646\u0635 \u062d\u0643\u064a\u0645 \u0644\u0647 \u0633\u0631 \u0642\u0627\u0637\u0639 \u0648\u0630\u0648 "
    "\u0634\u0623\u0646 \u0639\u0638\u064a\u0645 \u0661\u0662\u0663",
    "\u05d3\u05d2 \u05e1\u05e7\u05e8\u05df \u05e9\u05d8 \u05d1\u05d9\u05dd \u05de\u05d0\u05d5\u05db\u05d6\u05d1 "
    "\u05d5\u05dc\u05e4\u05ea\u05e2 \u05de\u05e6\u05d0",
    "\u090b\u0937\u093f\u092f\u094b\u0902 \u0915\u094b \u0938\u0924\u093e\u0928\u0947 \u0935\u093e\u0932\u0947 "
    "\u0926\u0941\u0937\u094d\u091f \u0967\u0968\u0969",
    "\u0e40\u0e1b\u0e47\u0e19\u0e21\u0e19\u0e38\u0e29\u0e22\u0e4c\u0e2a\u0e38\u0e14\u0e1b\u0e23\u0e30\u0e40\u0e2a"
    "\u0e23\u0e34\u0e10\u0e40\u0e25\u0e34\u0e28",
    "Ti\u1ebfng Vi\u1ec7t v\u1edbi nhi\u1ec1u d\u1ea5u: \u0111\u01b0\u1eddng, ng\u01b0\u1eddi, n\u01b0\u1edbc.",
    "Pchn\u0105\u0107 w t\u0119 \u0142\u00f3d\u017a je\u017ca lub o\u015bm skrzy\u0144 fig.",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family \U0001f3f3\ufe0f\u200d\U0001f308 flag "
    "\u2764\ufe0f\u200d\U0001f525 fire 1\ufe0f\u20e3",
    "def f(x):\n    if x > 10:\n\t\treturn {'a': x**2, \"b\": [1, 2, 3]}\n\n\n    # it's done\n",
    "for (int i = 0; i < 1000; ++i) {\r\n  printf(\"%d\\n\", a[i] >> 3);\r\n}\r\n",
    "<html lang=\"en\"><p>5 &lt; 7 &amp;&amp; x</p></html>   \n\n\n   end",
    "\\begin{equation} \\alpha_{1}^{2} + \\sum_{i=0}^{\\infty} x_i = 3.14159 \\end{equation}",
]


def random_text(generator, specials=()):
    """One text: stray characters, awkward atoms, real words, or runs of the same thing."""
    kind = generator.randrange(6)
    length = int(2 ** generator.uniform(0, 6))
    if kind == 0:
        return "".join(random_character(generator) for _ in range(length))
    if kind == 1:
        atoms = generator.sample(ATOMS, 6)
        return "".join(generator.choice(atoms) for _ in range(length))
    if kind == 2:
        return "".join(generator.choice(ATOMS) for _ in range(length))
    if kind == 3:
        first, second = generator.sample(SENTENCES, 2)
        start = generator.randrange(len(first))
        text = first[start:] + generator.choice(ATOMS) + second[: generator.randrange(len(second))]
        return text.upper() if generator.random() < 0.1 else text
    if kind == 4:
        return "".join(generator.choice(ATOMS) * int(2 ** generator.uniform(0, 5)) for _ in range(4))
    parts = []
    for _ in range(generator.randrange(1, 6)):
        if specials and generator.random() < 0.6:
            special = generator.choice(specials)
            parts.append(special if generator.random() < 0.7 else special[: generator.randrange(len(special))])
        parts.append("".join(generator.choice(ATOMS) for _ in range(generator.randrange(5))))
    return "".join(parts)


def random_character(generator):
    while True:
        code = generator.randrange(*generator.choice(RANGES))
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def random_texts(count, seed, specials=()):
    generator = random.Random(seed)
    return [random_text(generator, specials) for _ in range(count)]


def file_texts(paths, count, seed):
    """Random stretches of real files, from a word to a page."""
    generator = random.Random(seed)
    contents = []
    for path in paths:
        text = path.read_bytes().decode("utf-8", errors="ignore").replace("\ufffd", "")
        if text:
            contents.append(text)
    texts = []
    while contents and len(texts) < count:
        text = generator.choice(contents)
        start = generator.randrange(len(text))
        texts.append(text[start : start + int(2 ** generator.uniform(2, 10))])
    return texts

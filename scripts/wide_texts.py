"""Random texts from a seed that those of tokenizer_texts lack: scripts with their marks, emoji sequences, controls,
long white space, numbers, code, words without an end, special tokens inside, and surrogates without a partner.

Shared by compare-tokenizers and make-tokenizer-vectors.
"""

import random
import string

from tokenizer_texts import ATOMS, random_text

# Letters and marks of many scripts, each with what joins, precedes or follows there.
SCRIPTS = [
    "aZ\u00e6\u0142\u1e9e\u01c4\u01c5\u0133\ua7ae\u0149", "\u0391\u03c2\u03ce\u1f82\u1fbe\u0345\u2126",
    "\u042f\u0439\u0451\u0483\u0489\ua66f\u1c80", "\u0531\u0587\u057b", "\u10d0\u10a0\u1c90\u2d00",
    "\u05d0\u05b8\u05c1\u05bc\ufb2a\u05f3\u05be\u200f", "\u0710\u0730\u07ca\u07eb\u0840\u0859",
    "\u0627\u0644\u0644\u0651\u0647\u0640\u0670\ufdf2\u06f5\u200e\u061c", "\u0995\u09be\u09c7\u09cb\u09bc",
    "\u0915\u094d\u0937\u093c\u0958\u200c\u200d\u0964", "\u0a15\u0a71\u0b15\u0b3c\u0b5c", "\u0dda\u0dd9\u0dca\u0d9a",
    "\u0ba8\u0bbf\u0bca\u0c15\u0c4d\u0c95\u0cca\u0d15\u0d4a", "\u0e01\u0e34\u0e4c\u0e33\u0eb3\u0e99",
    "\u0f40\u0f71\u0f72\u0f73\u0f77\u0f0b\u0fb2", "\u1000\u1039\u1031\u1037\u1038\u104a", "\u1780\u17d2\u17bb\u17c6",
    "\u1112\u1161\u11ab\ud55c\u3131\uffa1", "\u304c\u304b\u3099\u30cf\u309a\uff76\uff9e\u30fc\u3005",
    "\u4e2d\u56fd\u8a9e\uf900\u2f00\U00020000\U0002f800\u3007", "\u1200\u135d\u1369", "\u13a0\uab70\u1401\u16a0\u1681",
    "\u1820\u180b\u180e\u1885", "\U00010400\U00010428\U0001e900\U0001e944",
    "\U00011099\U000110ba\U0001109a\U00011131\U00011127", "\U0001d15e\U0001d165\U0001d400\U0001d7ce",
    "\u01d5\u0041\u0328\u0301\u0323\u1e69\u0073\u0307\u0323", "\u212b\u2460\u33a1\u337f\ufb03\u017f\u2078\u00be\u1d2c",
]

# Joined families and professions, skin tones, flags of two letters and of tags, keycaps, and their parts.
EMOJI = [
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f469\U0001f3fe\u200d\U0001f680",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\U0001f1e9\U0001f1ea",
    "\U0001f1fa\U0001f1f8\U0001f1fa", "\U0001f44b\U0001f3fb", "\u261d\U0001f3ff", "\u2764\ufe0f\u200d\U0001f525",
    "#\ufe0f\u20e3", "7\u20e3", "\U0001f600", "\U0001fae8", "\U0001f9d1\u200d\U0001f91d\u200d\U0001f9d1",
    "\u2603\ufe0e", "\u200d", "\ufe0f", "\U0001f3fd", "\u2b50",
]

SPACES = [chr(code) for code in [*range(9, 14), 0x1C, 0x1F, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200C)]]
SPACES += ["\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff", "\u2581", "\r\n"]

CONTROLS = [
    chr(code)
    for code in [*range(32), *range(0x7F, 0xA0), 0xAD, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFFF9]
]

CODE = [
    "#include <vector>\nint main(int argc, char **argv) {\n\treturn 0;\n}\n",
    "SELECT * FROM t WHERE a='x''y' AND b>=10--c\n",
    "    @property\n    def x(self) -> dict[str, int]:\n        return {k: v for k, v in self._x.items()}\n\n\n",
    "https://user:p%40ss@example.com:8080/a/b_c-d/?q=%E4%BD%A0&x[]=1#frag",
    "s3://bucket/key=2024-01-02/part-0000.parquet", "user.name+tag@mail.example.co.uk", "C:\\Program Files\\x\\y.exe",
    "192.168.0.1 ::1 fe80::1%eth0", "0xDEADBEEF 1e-9 1_000_000 3.14159f 0b1010",
    '{"a":[1,2.5,null,true],"b":"\\u00e9\\n"}', "<div class='x' id=\"y\">&nbsp;&lt;</div>",
    "| a | b |\n|---|:-:|\n| `x` | **y** |\n", "I'm you're we'VE they'll SHE'D it's rock'n'roll don't",
    "\\frac{\\partial f}{\\partial x_{i}}",
]

MARKERS = ["<s>", "</s>", "<unk>", "<0x0A>", "<0xE2>", "<pad>", "[INST]", "<|", "|>", "<<SYS>>", "<|endoftext|>"]
DIGITS = [string.digits, string.hexdigits, "\u0660\u0661\u0969\uff11\u00b2\u2167", "0123456789.,-+ eE"]


def wide_text(generator, specials=()):
    """One text."""
    pick = generator.choice
    length = int(2 ** generator.uniform(0, 7))

    def mixed(usual, others, share=0.8):
        return "".join(pick(usual) if generator.random() < share else pick(others) for _ in range(length))

    kind = generator.randrange(10)
    if kind == 0:
        return mixed(pick(SCRIPTS), " .\u0301\u0327\u3099", 0.9)
    if kind == 1:
        return "".join(pick(pick(SCRIPTS)) for _ in range(length))
    if kind == 2:
        return mixed(EMOJI, [" ", "a", "1", "\n"])
    if kind == 3:
        return mixed(CONTROLS, ATOMS, 0.7)
    if kind == 4:
        words = ["", "", "x", "the", "1", "."]
        return "".join(pick(SPACES) * int(2 ** generator.uniform(0, 8)) + pick(words) for _ in range(4))
    if kind == 5:
        return mixed(SPACES, ATOMS)
    if kind == 6:
        return mixed(pick(DIGITS), ATOMS, 0.95)
    if kind == 7:
        first, second = pick(CODE), pick(CODE)
        return first[generator.randrange(len(first)) :] + pick(ATOMS) + second[: generator.randrange(len(second) + 1)]
    if kind == 8:
        # Words without an end: of one letter, of two, of any, of a script.
        alphabet = pick([pick("aet"), "ab", string.ascii_lowercase, string.ascii_letters, pick(SCRIPTS)])
        return "".join(pick(alphabet) for _ in range(int(2 ** generator.uniform(6, 11))))
    return mixed([*specials, *MARKERS], pick([ATOMS, EMOJI, SPACES, CODE]), 0.4)


def wide_texts(count, seed, specials=()):
    generator = random.Random(seed)
    return [wide_text(generator, specials) for _ in range(count)]


def character_texts():
    """Every character of the planes that Unicode has filled, behind a letter and behind a space."""
    texts = []
    for start in [*range(0, 0x33480, 0x80), *range(0xE0000, 0xE0200, 0x80), 0x10FF80]:
        characters = [chr(code) for code in range(start, start + 0x80) if not 0xD800 <= code < 0xE000]
        texts.append("".join(f"a{character} {character}" for character in characters))
    return texts


def broken_texts(count, seed):
    """Texts with surrogates that have no partner, which are no Unicode texts."""
    generator = random.Random(seed)
    texts = []
    for _ in range(count):
        parts = [random_text(generator)[:20] for _ in range(generator.randrange(1, 4))]
        # A space between: a high one before a low one would be a pair.
        texts.append(" ".join(part + chr(generator.randrange(0xD800, 0xE000)) for part in parts))
    return texts


def broken_bytes(count, seed):
    """Bytes that are not UTF-8: characters cut off, stray, too long, surrogates, beyond the last."""
    generator = random.Random(seed)
    breaks = [b"\x80", b"\xbf\xbf", b"\xc0\xaf", b"\xc3", b"\xe2\x82", b"\xe0\x9f\x80", b"\xed\xa0\x80"]
    breaks += [b"\xed\xbf\xbf", b"\xf0\x9f\x98", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80", b"\xff\xfe"]
    results = []
    for _ in range(count):
        parts = [random_text(generator)[:20].encode() for _ in range(generator.randrange(1, 4))]
        results.append(b"".join(part + generator.choice(breaks) for part in parts))
    return results

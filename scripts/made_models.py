"""SentencePiece models that no training makes, and texts for them: few letters and equal scores, so that ties decide;
pieces that users defined inside and across others, unused ones inside unused ones, control pieces of one letter,
letters that occur in pieces only.

Shared by compare-tokenizers and make-tokenizer-vectors.
"""

import random

from sentencepiece import sentencepiece_model_pb2 as proto

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
LETTERS = "abc\u00e9\u2581"


def made_model(kind, seed):
    """The bytes of a tokenizer.model: of kind 1, unigram, or 2, BPE."""
    generator = random.Random(seed)
    model = proto.ModelProto()
    model.trainer_spec.model_type = kind
    model.trainer_spec.byte_fallback = generator.random() < 0.5
    spec = model.normalizer_spec
    spec.name = "identity"
    spec.add_dummy_prefix, spec.remove_extra_whitespaces = generator.random() < 0.5, generator.random() < 0.5
    pieces = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    if model.trainer_spec.byte_fallback:
        pieces += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    # A letter may be a piece, unused, of control, or no piece.
    types = [NORMAL] * 6 + [UNUSED, CONTROL, None]
    pieces += [(letter, type) for letter in LETTERS if (type := generator.choice(types))]
    known = {piece for piece, _ in pieces}
    words = list(LETTERS)
    for _ in range(generator.randrange(5, 60)):
        # Mostly of two that are there, so that merges reach it.
        count = 2 if generator.random() < 0.8 else 3
        word = "".join(generator.choice(words) for _ in range(count))
        if word in known or len(word) > 12:
            continue
        known.add(word)
        words.append(word)
        pieces.append((word, generator.choices([NORMAL, USER_DEFINED, UNUSED], [8, generator.choice([0, 1]), 1])[0]))
    for piece, type in pieces:
        scores = [-0.1, -1.0, -1.1, -2.0, -3.3, -7.7, 0.0, -0.0, 0.3]
        model.pieces.add(piece=piece, type=type, score=generator.choice(scores) if type == NORMAL else 0.0)
    return model.SerializeToString()


def made_texts(count, seed):
    generator = random.Random(seed)
    letters = LETTERS.replace("\u2581", " ")
    texts = []
    for number in range(count):
        some = generator.sample(letters, generator.randrange(1, len(letters) + 1))
        some += ["x", "\U0001f600"] if number % 4 == 0 else []
        texts.append("".join(generator.choice(some) for _ in range(int(2 ** generator.uniform(0, 8)))))
    return texts

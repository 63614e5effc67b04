"""Writes a GGUF file of the Llama family's shape with random f16 weights and no vocabulary, for llama-bench.

    python random_llama_gguf.py CONFIG.json OUT.gguf

Needs gguf and numpy. CONFIG.json is a Hugging Face config.json: the file has the shape of the model beside it. Weights
are normally distributed and scaled so that outputs are as large as inputs; the file appears only when it is whole.
"""

import json
import os
import sys

import gguf
import numpy


def tensors(config):
    """Names and shapes, `[rows, columns]` or `[columns]`, in the order of the file."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    yield "token_embd.weight", (config["vocab_size"], hidden)
    for index in range(config["num_hidden_layers"]):
        layer = f"blk.{index}."
        yield layer + "attn_norm.weight", (hidden,)
        yield layer + "attn_q.weight", (queries, hidden)
        yield layer + "attn_k.weight", (keys, hidden)
        yield layer + "attn_v.weight", (keys, hidden)
        yield layer + "attn_output.weight", (hidden, queries)
        yield layer + "ffn_norm.weight", (hidden,)
        yield layer + "ffn_gate.weight", (inner, hidden)
        yield layer + "ffn_up.weight", (inner, hidden)
        yield layer + "ffn_down.weight", (hidden, inner)
    yield "output_norm.weight", (hidden,)
    if not config.get("tie_word_embeddings"):
        yield "output.weight", (config["vocab_size"], hidden)


def add_metadata(writer, config):
    writer.add_context_length(config.get("max_position_embeddings", 2048))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config.get("rope_theta", 10000.0))
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-5))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("none")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    partial = sys.argv[2] + ".partial"
    writer = gguf.GGUFWriter(partial, "llama")
    add_metadata(writer, config)
    for name, shape in tensors(config):
        type = numpy.dtype(numpy.float32 if len(shape) == 1 else numpy.float16)
        writer.add_tensor_info(name, shape, type, int(numpy.prod(shape)) * type.itemsize)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    generator = numpy.random.default_rng(1)
    for _, shape in tensors(config):
        if len(shape) == 1:
            writer.write_tensor_data(numpy.ones(shape, numpy.float32))
        else:
            weights = generator.standard_normal(shape, dtype=numpy.float32) / numpy.float32(shape[1] ** 0.5)
            writer.write_tensor_data(weights.astype(numpy.float16))
    writer.close()
    os.replace(partial, sys.argv[2])


if __name__ == "__main__":
    main()

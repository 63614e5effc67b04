import Engine
import OrderedJSON
import Sparse
import Transformer

extension ModelInspection {
    /// Everything, for programs: every matrix, whatever people are shown.
    var json: JSON {
        let configuration = files.configuration
        var members: JSON = [
            "path": .string(files.checkpoint.path),
            "packed": .bool(files.packed != nil),
            "architecture": .string(configuration.family.name),
            "parameters": .integer(files.layout.parameterCount),
            "layers": .integer(configuration.layerCount),
            "hidden_size": .integer(configuration.hiddenSize),
            "intermediate_size": .integer(configuration.intermediateSize),
            "heads": .integer(configuration.headCount),
            "key_value_heads": .integer(configuration.keyValueHeadCount),
            "head_size": .integer(configuration.headSize),
            "context": .integer(configuration.maximumContext),
            "vocabulary": .integer(configuration.vocabularySize),
            "tied_head": .bool(configuration.tiesHead),
            "rotary": rotary,
            "tokenizer": tokenizer.map(Self.tokenizer) ?? .null,
            "profile": choice.map { CostModel.json(of: $0.machine, tokenCounts: $0.tokenCounts) } ?? .null,
            "sampled_rows": sampledRows.map(JSON.integer) ?? .null,
            "matrices": .array(matrices.map(\.json)),
            "other_tensors": .array(
                others.map { tensor in
                    [
                        "name": .string(tensor.name), "shape": .array(tensor.shape.map(JSON.integer)),
                        "stored_type": .string(tensor.storedType), "bytes": .integer(tensor.byteCount),
                    ]
                }),
            "totals": [
                "matrices": .integer(matrices.count),
                "elements": .integer(matrices.elementCount),
                "nonzeros": .integer(matrices.nonzeroCount),
                "sparsity": .number(matrices.sparsity),
                "dense_bytes": .integer(matrices.denseByteCount),
                "packed_bytes": .integer(matrices.packedByteCount),
                "other_bytes": .integer(others.reduce(0) { $0 + $1.byteCount }),
            ],
        ]
        if let verifiedCount, case .object(var object) = members {
            object["verified_tensors"] = .integer(verifiedCount)
            members = .object(object)
        }
        return members
    }

    private var rotary: JSON {
        guard let rotary = files.configuration.rotary else { return .null }
        let base = JSON.number(rotary.base)
        switch rotary.scaling {
        case .none: return ["base": base, "scaling": "none"]
        case .linear(let factor): return ["base": base, "scaling": "linear", "factor": .number(factor)]
        case .llama3(let factor, let low, let high, let context):
            return [
                "base": base, "scaling": "llama3", "factor": .number(factor), "low_frequency": .number(low),
                "high_frequency": .number(high), "original_context": .number(context),
            ]
        case .yarn(let yarn):
            return [
                "base": base, "scaling": "yarn", "factor": .number(yarn.factor), "fast_turns": .number(yarn.fastTurns),
                "slow_turns": .number(yarn.slowTurns), "original_context": .number(yarn.originalContext),
                "attention_factor": .number(yarn.attentionFactor),
            ]
        case .longRope(let rope):
            return [
                "base": base, "scaling": "longrope", "original_context": .integer(rope.originalContext),
                "attention_factor": .number(rope.attentionFactor),
            ]
        case .dynamic(let factor): return ["base": base, "scaling": "dynamic", "factor": .number(factor)]
        }
    }

    private static func tokenizer(_ bundle: TokenizerBundle) -> JSON {
        let definition = bundle.definition
        return [
            "kind": .string(definition.kindName),
            "pre_tokenizer": definition.preTokenizerName.map(JSON.string) ?? .null,
            "tokens": .integer(definition.tokenCount),
            "merges": .integer(definition.mergeCount),
            "special_tokens": .integer(definition.addedTokens.count(where: \.isSpecial)),
            "beginning_id": definition.roles.beginningOfText.map(JSON.integer) ?? .null,
            "end_id": definition.roles.endOfText.map(JSON.integer) ?? .null,
            "chat_template": .bool(bundle.chatTemplate != nil),
        ]
    }
}

extension ModelInspection.Matrix {
    fileprivate var json: JSON {
        [
            "name": .string(projection.name),
            "layer": .integer(projection.layer),
            "module": .string(projection.module),
            "rows": .integer(projection.rows),
            "columns": .integer(projection.columns),
            "stored_type": .string(storedType),
            "format": .string(format.rawValue),
            "group": group.map { .string($0.rawValue) } ?? .null,
            "nonzeros": .integer(nonzeroCount),
            "sparsity": .number(sparsity),
            "dense_bytes": .integer(denseByteCount),
            "packed_bytes": .integer(packedByteCount),
            "bytes_per_weight": .number(bytesPerWeight),
            "choice": reason?.json ?? .null,
            "candidates": decision?.json ?? .null,
        ]
    }
}

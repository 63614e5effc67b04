import Engine
import OrderedCollections
import Sparse
import Terminal
import Transformer

extension ModelInspection {
    /// The model for people: what it is, then its matrices.
    /// - Parameter everyMatrix: one row per matrix; else one per kind of matrix, over all layers.
    func text(everyMatrix: Bool, for traits: OutputTraits) -> String {
        let table = everyMatrix ? matrixTable(traits) : kindTable(traits)
        return summary + "\n" + table.text(for: traits) + choices(everyMatrix: everyMatrix, for: traits) + "\n" + notes
    }

    private var summary: String {
        let configuration = files.configuration
        var lines: [(String, String)] = [
            ("model", files.checkpoint.path.printable),
            (
                "architecture",
                "\(configuration.family.name), \(configuration.layerCount) layers, width \(configuration.hiddenSize), "
                    + "MLP width \(configuration.intermediateSize)"
            ),
            (
                "parameters",
                "\(Format.count(files.layout.parameterCount)), \(Format.count(matrices.elementCount)) of them in the "
                    + "\(matrices.count) matrices of the layers"
            ),
            (
                "attention",
                "\(configuration.headCount) heads, \(configuration.keyValueHeadCount) for keys and values, head size "
                    + "\(configuration.headSize)"
            ),
            ("context", "\(configuration.maximumContext) tokens, \(positions)"),
            (
                "vocabulary",
                "\(configuration.vocabularySize) tokens, "
                    + (configuration.tiesHead ? "head tied to the embedding" : "separate head")
            ),
            ("tokenizer", tokenizer.map(Self.description) ?? "none"),
        ]
        let bytes = others.reduce(0) { $0 + $1.byteCount }
        let types = OrderedSet(others.map(\.storedType)).joined(separator: ", ")
        lines.append(("other tensors", "\(others.count) (\(types)), \(Format.bytes(bytes))"))
        return lines.map { name, value in
            name + String(repeating: " ", count: 15 - name.count) + value + "\n"
        }.joined()
    }

    private var positions: String {
        guard let rotary = files.configuration.rotary else { return "learned positions" }
        func number(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }
        let base = "rotary base \(number(rotary.base))"
        switch rotary.scaling {
        case .none: return base
        case .linear(let factor): return "\(base), linear scaling by \(number(factor))"
        case .llama3(let factor, _, _, let context):
            return "\(base), Llama 3 scaling by \(number(factor)) from \(number(context)) tokens"
        case .yarn(let yarn):
            return "\(base), YaRN scaling by \(number(yarn.factor)) from \(number(yarn.originalContext)) tokens"
        case .longRope(let rope): return "\(base), LongRoPE scaling from \(rope.originalContext) tokens"
        case .dynamic: return "\(base), no dynamic scaling beyond"
        }
    }

    private static func description(_ bundle: TokenizerBundle) -> String {
        let definition = bundle.definition
        return [
            definition.kindName, definition.preTokenizerName.map { "pre-tokenizer \($0)" } ?? "",
            "\(definition.tokenCount) tokens, \(definition.addedTokens.count(where: \.isSpecial)) special",
            bundle.chatTemplate == nil ? "no chat template" : "chat template",
        ].filter { !$0.isEmpty }.joined(separator: ", ")
    }

    /// Formats stand here only where no second table says them, with reasons: lines would become too long.
    private var formatColumn: [Table.Column] { choice == nil ? [.text("format")] : [] }

    private func formatCell(_ matrices: [Matrix]) -> [String] { choice == nil ? [Self.formats(matrices)] : [] }

    /// One row for the same matrix of all layers.
    private func kindTable(_ traits: OutputTraits) -> Table {
        var table = Table(
            [
                .text("matrix"), .number("shape"), .text("stored"), .number("sparsity"), .number("least"),
                .number("most"), .number("dense"), .number("packed"), .number("bytes/weight"),
            ] + formatColumn)
        func row(_ name: String, _ shape: String, _ stored: String, _ matrices: [Matrix]) -> [String] {
            let sparsities = matrices.map(\.sparsity)
            return [
                name, shape, stored, Self.sparsity(matrices.sparsity, traits),
                Format.percentage(sparsities.min() ?? 0), Format.percentage(sparsities.max() ?? 0),
                Format.bytes(matrices.denseByteCount), Format.bytes(matrices.packedByteCount),
                Self.bytesPerWeight(matrices),
            ] + formatCell(matrices)
        }
        let kinds = OrderedDictionary(grouping: matrices, by: \.projection.module)
        for (module, matrices) in kinds {
            let types = OrderedSet(matrices.map(Self.stored)).joined(separator: ", ")
            table.append(row(Self.shortName(module), Self.shape(matrices[0]), types, matrices))
        }
        table.appendRule()
        table.append(row("\(matrices.count) matrices", "", "", matrices))
        return table
    }

    private func matrixTable(_ traits: OutputTraits) -> Table {
        var table = Table(
            [
                .number("layer"), .text("matrix"), .number("shape"), .text("stored"), .number("sparsity"),
                .number("dense"), .number("packed"), .number("bytes/weight"),
            ] + formatColumn)
        func append(_ start: [String], _ matrices: [Matrix]) {
            table.append(
                start + [
                    Self.sparsity(matrices.sparsity, traits), Format.bytes(matrices.denseByteCount),
                    Format.bytes(matrices.packedByteCount), Self.bytesPerWeight(matrices),
                ] + formatCell(matrices))
        }
        for matrix in matrices {
            let name = Self.shortName(matrix.projection.module)
            append(["\(matrix.projection.layer)", name, Self.shape(matrix), Self.stored(matrix)], [matrix])
        }
        table.appendRule()
        append(["", "\(matrices.count) matrices", "", ""], matrices)
        return table
    }

    private var notes: String {
        let dense = "Dense counts 16 bits per weight."
        if files.packed == nil {
            let sample =
                sampledRows.map { " Counted and estimated from \($0) rows of each matrix; --exact reads all weights." }
                ?? ""
            return "\(dense) Packed size and format are what 'flash-llm pack' would choose on that machine.\(sample)\n"
        }
        if let verifiedCount {
            return "\(dense) Verified: all \(verifiedCount) matrices and tensors match their checksums and formats.\n"
        }
        return "\(dense) The model is packed, and its weights were not read; --verify reads and checks them.\n"
    }

    /// `q_proj` of `self_attn.q_proj`: within a family the last part tells the matrices apart.
    static func shortName(_ module: String) -> String {
        module.split(separator: ".").last.map(String.init) ?? module
    }

    private static func shape(_ matrix: Matrix) -> String { "\(matrix.projection.rows) x \(matrix.projection.columns)" }

    private static func sparsity(_ sparsity: Double, _ traits: OutputTraits) -> String {
        "\(Format.percentage(sparsity)) \(Bar.text(sparsity, cells: 5, allowsUnicode: traits.allowsUnicode))"
    }

    /// "F16", or "I8 by 128" where 128 columns share a scale.
    private static func stored(_ matrix: Matrix) -> String {
        matrix.group.map { "\(matrix.storedType) by \($0.rawValue)" } ?? matrix.storedType
    }

    /// Bytes per weight, scales and positions included.
    private static func bytesPerWeight(_ matrices: [Matrix]) -> String {
        Format.fixed(Double(matrices.packedByteCount) / Double(max(matrices.elementCount, 1)), decimals: 3)
    }

    /// "tiled-bitmap", or "20 tiled-bitmap, 10 dense" where they differ.
    private static func formats(_ matrices: [Matrix]) -> String {
        let groups = OrderedDictionary(grouping: matrices, by: \.format)
        if groups.count == 1, let only = groups.keys.first { return only.rawValue }
        return groups.sorted { $0.value.count > $1.value.count }.map { "\($0.value.count) \($0.key.rawValue)" }
            .joined(separator: ", ")
    }
}

import OrderedCollections
import Sparse
import Terminal

extension ModelInspection {
    /// Why matrices have their formats, or would have them; empty if there is nothing to say.
    ///
    ///     matrix  format        speed-up  why
    ///     q_proj  tiled-bitmap     1.88x  memory-bound: 0.53 of dense's bytes
    ///
    /// - Parameter everyMatrix: one row per matrix; else one for those of a kind that came out alike.
    func choices(everyMatrix: Bool, for traits: OutputTraits) -> String {
        guard let choice else { return "" }
        var table = Table(
            (everyMatrix ? [.number("layer")] : []) + [.text("matrix")] + (everyMatrix ? [] : [.number("count")])
                + [.text("format"), .number("speed-up"), .text("why")])
        func append(_ matrices: [Matrix]) {
            guard let reason = Reason(matrices) else { return }
            let name = Self.shortName(matrices[0].projection.module)
            let place = everyMatrix ? ["\(matrices[0].projection.layer)", name] : [name, "\(matrices.count)"]
            table.append(
                place + [
                    matrices[0].format.rawValue, Format.fixed(reason.speedUp, decimals: 2) + "x", reason.text,
                ])
        }
        if everyMatrix {
            for matrix in matrices { append([matrix]) }
        } else {
            let kinds = OrderedDictionary(grouping: matrices) {
                [$0.projection.module, $0.format.rawValue, $0.reason?.bound.rawValue ?? ""]
            }
            for (_, matrices) in kinds { append(matrices) }
        }
        let counts = choice.tokenCounts.map(String.init).joined(separator: ", ")
        return "\n" + table.text(for: traits)
            + "Speed-up is against dense, predicted for \(choice.tokenCounts[0]) token"
            + "\(choice.tokenCounts[0] == 1 ? "" : "s") on \(choice.machine.description.printable)"
            + (choice.tokenCounts.count > 1 ? "; formats are chosen for \(counts) tokens" : "") + ".\n"
    }

    /// What the products of matrices of one format wait for, and what that gains.
    private struct Reason {
        let bound: ProductBound
        let speedUp: Double
        private let isDense: Bool
        private let byteShare: Double

        /// - Parameter matrices: of the same format and bound; nil if one of them has no reason.
        init?(_ matrices: [Matrix]) {
            guard let bound = matrices.first?.reason?.bound else { return nil }
            let times = matrices.compactMap { matrix in
                matrix.reason.map { Double(matrix.projection.elementCount) / $0.speedUp }
            }
            guard times.count == matrices.count else { return nil }
            self.bound = bound
            // Dense takes the same time for every element, so elements stand for its time.
            speedUp = Double(matrices.elementCount) / times.reduce(0, +)
            isDense = matrices[0].format == .dense
            byteShare = Double(matrices.packedByteCount) / Double(max(matrices.denseByteCount, 1))
        }

        var text: String {
            // Dense integers have fewer bytes than dense, too.
            isDense && byteShare >= 1
                ? "\(bound.rawValue)-bound: no format is faster"
                : "\(bound.rawValue)-bound: \(Format.fixed(byteShare, decimals: 2)) of dense's bytes"
        }
    }
}

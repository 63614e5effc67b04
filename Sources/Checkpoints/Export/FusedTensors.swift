import OrderedCollections
import Tensors

/// Tensors that a model type's files hold as one, such as GPT-2's query, key and value: what ``FolderLayout`` cut apart
/// is put together again for those who export.
struct FusedTensors: Sendable {
    struct Fusion: Sendable, Equatable {
        /// Plain tensors, below each other.
        let parts: [String]
        /// Whether the file has the rows as columns.
        let isTransposed: Bool
    }

    /// By the stored name.
    let fusions: [String: Fusion]
    /// All tensors by their stored names, a fused one at the place of its first part.
    let names: [String]

    /// - Parameters:
    ///   - names: of the plain tensors.
    ///   - layout: of the model type; nil if its files hold plain ones.
    ///   - turning: whether matrices whose rows are columns in the type's folders shall be so here.
    init(_ names: [String], layout: FolderLayout?, turning: Bool = true) {
        guard let layout, !layout.modules.isEmpty else {
            fusions = [:]
            self.names = names
            return
        }
        let known = Set(names)
        var fusions: OrderedDictionary<String, Fusion> = [:]
        var stored: OrderedSet<String> = []
        for name in names {
            // What lacks a part stays as it is.
            guard let (fusedName, fusion) = layout.fusion(with: name), fusion.parts.allSatisfy(known.contains) else {
                stored.append(name)
                continue
            }
            fusions[fusedName] = turning ? fusion : Fusion(parts: fusion.parts, isTransposed: false)
            stored.append(fusedName)
        }
        self.fusions = Dictionary(uniqueKeysWithValues: fusions.map { ($0.key, $0.value) })
        self.names = Array(stored)
    }

    /// A matrix's transpose.
    /// - Parameter elements: `[rows, columns]` of `byteCount` bytes each, row-major.
    /// - Complexity: O(elements).
    static func transposed(_ elements: Storage<UInt8>, rows: Int, columns: Int, byteCount: Int) -> Storage<UInt8> {
        let output = AlignedBuffer<UInt8>(uninitializedCount: elements.count)
        func transpose<Element: BitwiseCopyable>(_: Element.Type) {
            withExtendedLifetime(elements) {
                let input = UnsafeRawPointer($0.pointer).assumingMemoryBound(to: Element.self)
                let result = UnsafeMutableRawPointer(output.pointer).assumingMemoryBound(to: Element.self)
                // By blocks, so that the lines that are written to stay in the cache.
                let block = 32
                for first in stride(from: 0, to: columns, by: block) {
                    for row in 0..<rows {
                        for column in first..<min(first + block, columns) {
                            result[column * rows + row] = input[row * columns + column]
                        }
                    }
                }
            }
        }
        if byteCount == 4 { transpose(UInt32.self) } else { transpose(UInt16.self) }
        return output.frozen()
    }
}

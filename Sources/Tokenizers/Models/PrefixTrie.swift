/// Finds which of many keys a text begins with: the tokens that a text can go on with.
///
/// The nodes lie level by level, the children of a node one after another in the order of their bytes, so that a
/// node of 256,000 tokens' trie takes nine bytes.
struct PrefixTrie: Sendable {
    /// The byte that leads to each node.
    private var labels: [UInt8] = [0]
    /// Where each node's children start; one entry more than there are nodes.
    private var children: [Int32] = []
    /// The value of the key that ends at each node, or -1.
    private var values: [Int32] = []

    /// - Parameter keys: keys, none empty and none twice, with values of zero or more.
    /// - Complexity: O(n log n) in the keys' bytes.
    init(_ keys: [(key: ArraySlice<UInt8>, value: Int32)]) {
        let sorted = keys.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        // Each node of a level with the keys that begin with its path.
        var level: [Range<Int>] = [sorted.indices]
        var depth = 0
        while !level.isEmpty {
            var next: [Range<Int>] = []
            for range in level {
                var start = range.lowerBound
                if start < range.upperBound, sorted[start].key.count == depth {
                    values.append(sorted[start].value)
                    start += 1
                } else {
                    values.append(-1)
                }
                children.append(Int32(labels.count))
                while start < range.upperBound {
                    let label = sorted[start].key[sorted[start].key.startIndex + depth]
                    var end = start + 1
                    while end < range.upperBound,
                        sorted[end].key[sorted[end].key.startIndex + depth] == label
                    { end += 1 }
                    labels.append(label)
                    next.append(start..<end)
                    start = end
                }
            }
            level = next
            depth += 1
        }
        children.append(Int32(labels.count))
    }

    /// Calls `body` with the length and the value of every key that `text` begins with from `start` on, shortest first.
    /// - Complexity: O(longest key).
    @inline(__always)
    func forEachPrefix(
        of text: UnsafeBufferPointer<UInt8>, from start: Int, _ body: (_ end: Int, _ value: Int32) -> Void
    ) {
        var node = 0
        var position = start
        while position < text.count {
            guard let child = child(of: node, text[position]) else { return }
            node = child
            position += 1
            if values[node] >= 0 { body(position, values[node]) }
        }
    }

    /// The longest key that `text` begins with from `start` on: where it ends, and its value.
    func longestPrefix(of text: UnsafeBufferPointer<UInt8>, from start: Int) -> (end: Int, value: Int32)? {
        var result: (end: Int, value: Int32)?
        forEachPrefix(of: text, from: start) { result = ($0, $1) }
        return result
    }

    @inline(__always)
    private func child(of node: Int, _ label: UInt8) -> Int? {
        var low = Int(children[node])
        var high = Int(children[node + 1])
        while low < high {
            let middle = (low + high) / 2
            if labels[middle] < label { low = middle + 1 } else { high = middle }
        }
        return low < Int(children[node + 1]) && labels[low] == label ? low : nil
    }
}

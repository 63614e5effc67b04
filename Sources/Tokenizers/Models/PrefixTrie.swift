/// Finds which of many keys a text begins with: the tokens that a text can go on with.
///
/// The nodes lie level by level, the children of a node one after another in the order of their bytes, so that a
/// node of 256,000 tokens' trie takes nine bytes.
struct PrefixTrie: Sendable {
    private struct Node: Sendable {
        /// Its children go from here to where those of the next node start.
        let firstChild: Int32
        /// Of the key that ends here, or -1.
        let value: Int32
    }

    private var nodes: [Node] = []
    /// The byte that leads to each node.
    private var labels: [UInt8] = [0]
    /// The child of the root that each byte leads to, or 0.
    private var roots = [Int32](repeating: 0, count: 256)

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
                let ends = start < range.upperBound && sorted[start].key.count == depth
                nodes.append(Node(firstChild: Int32(labels.count), value: ends ? sorted[start].value : -1))
                if ends { start += 1 }
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
        nodes.append(Node(firstChild: Int32(labels.count), value: -1))
        for child in nodes[0].firstChild..<nodes[1].firstChild { roots[Int(labels[Int(child)])] = child }
    }

    /// Calls `body` with the length and the value of every key that `text` begins with from `start` on, shortest first.
    /// - Complexity: O(longest key).
    @inline(__always)
    func forEachPrefix(
        of text: UnsafeBufferPointer<UInt8>, from start: Int, _ body: (_ end: Int, _ value: Int32) -> Void
    ) {
        guard start < text.count else { return }
        var node = Int(roots[Int(text[start])])
        var position = start + 1
        while node > 0 {
            if nodes[node].value >= 0 { body(position, nodes[node].value) }
            guard position < text.count else { return }
            node = child(of: node, text[position])
            position += 1
        }
    }

    /// The longest key that `text` begins with from `start` on: where it ends, and its value.
    func longestPrefix(of text: UnsafeBufferPointer<UInt8>, from start: Int) -> (end: Int, value: Int32)? {
        var result: (end: Int, value: Int32)?
        forEachPrefix(of: text, from: start) { result = ($0, $1) }
        return result
    }

    /// The child that a byte leads to, or 0.
    @inline(__always)
    private func child(of node: Int, _ label: UInt8) -> Int {
        let end = Int(nodes[node + 1].firstChild)
        var low = Int(nodes[node].firstChild)
        var high = end
        // Of few children one after another is as fast as halving.
        while high - low > 4 {
            let middle = (low + high) / 2
            if labels[middle] <= label { low = middle } else { high = middle }
        }
        while low < high {
            if labels[low] == label { return low }
            low += 1
        }
        return 0
    }
}

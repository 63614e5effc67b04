/// An immutable run of elements in memory that something else keeps alive: a mapped file or an allocation.
///
/// Weights are read straight from mapped files, so their arrays cannot be Swift arrays. `Storage` is the one type that
/// carries such a pointer together with what owns it; a kernel may use ``pointer`` as long as it holds the storage.
public struct Storage<Element: BitwiseCopyable>: @unchecked Sendable {
    /// First element, aligned for `Element`.
    public let pointer: UnsafePointer<Element>
    /// Number of elements.
    public let count: Int
    private let owner: AnyObject

    /// - Precondition: `pointer` is aligned for `Element` and valid for `count` elements while `owner` lives, and
    ///   nobody writes there any more.
    public init(pointer: UnsafePointer<Element>, count: Int, owner: AnyObject) {
        precondition(count >= 0 && UInt(bitPattern: pointer) % UInt(MemoryLayout<Element>.alignment) == 0)
        self.pointer = pointer
        self.count = count
        self.owner = owner
    }

    /// A copy of `elements` in aligned memory.
    public init(_ elements: some Collection<Element>) {
        let buffer = AlignedBuffer<Element>(uninitializedCount: elements.count)
        _ = buffer.elements.initialize(fromContentsOf: elements)
        self = buffer.frozen()
    }

    /// The elements without their owner: valid only while this storage is kept alive by a variable or parameter that is
    /// used later. Never take it from a temporary; a storage is itself a sequence.
    public var buffer: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: pointer, count: count) }

    public var byteCount: Int { count * MemoryLayout<Element>.stride }

    public subscript(index: Int) -> Element {
        precondition(index >= 0 && index < count, "index \(index) outside 0..<\(count)")
        return pointer[index]
    }

    /// The elements in `range`, sharing the owner and counted from 0 again.
    public subscript(range: Range<Int>) -> Storage {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range \(range) outside 0..<\(count)")
        return Storage(pointer: pointer + range.lowerBound, count: range.count, owner: owner)
    }
}

extension Storage: Sequence {
    /// Keeps the storage, and so its owner, while it runs.
    public struct Iterator: IteratorProtocol {
        private let storage: Storage
        private var position = 0

        fileprivate init(_ storage: Storage) { self.storage = storage }

        public mutating func next() -> Element? {
            guard position < storage.count else { return nil }
            defer { position += 1 }
            return storage.pointer[position]
        }
    }

    public func makeIterator() -> Iterator { Iterator(self) }

    public var underestimatedCount: Int { count }
}

extension Storage where Element == UInt8 {
    /// The same bytes as elements of another type; nil if their address or number does not fit it.
    public func reinterpreted<Other: BitwiseCopyable>(as type: Other.Type) -> Storage<Other>? {
        guard count % MemoryLayout<Other>.stride == 0,
            UInt(bitPattern: pointer) % UInt(MemoryLayout<Other>.alignment) == 0
        else { return nil }
        let address = UnsafeRawPointer(pointer).assumingMemoryBound(to: Other.self)
        return Storage<Other>(pointer: address, count: count / MemoryLayout<Other>.stride, owner: owner)
    }
}

extension Storage {
    /// The elements as the bytes they are stored in, sharing the owner.
    public var bytes: Storage<UInt8> {
        let address = UnsafeRawPointer(pointer).assumingMemoryBound(to: UInt8.self)
        return Storage<UInt8>(pointer: address, count: byteCount, owner: owner)
    }
}

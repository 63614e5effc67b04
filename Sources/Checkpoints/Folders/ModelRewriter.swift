public import Tensors

/// Writes a changed copy of a model: some matrices go through a tool, everything else is copied, one tensor after the
/// other, in memory for one.
public struct ModelRewriter {
    /// Where the copy goes, and what its writing does besides.
    public struct Destination {
        public var path: String
        /// Whether an existing model folder may be replaced.
        public var overwriting: Bool
        /// Writes further files, such as the tokenizer's.
        public var companions: (FolderWriter) throws -> Void
        /// Called with the number of tensors done and in all.
        public var progress: (Int, Int) -> Void
        /// Called before anything is written, so that a program that is interrupted can abandon the folder.
        public var started: (FolderWriter) -> Void

        public init(
            path: String, overwriting: Bool, companions: @escaping (FolderWriter) throws -> Void,
            progress: @escaping (Int, Int) -> Void = { _, _ in }, started: @escaping (FolderWriter) -> Void = { _ in }
        ) {
            self.path = path
            self.overwriting = overwriting
            self.companions = companions
            self.progress = progress
            self.started = started
        }
    }

    private let checkpoint: Checkpoint
    private let names: [String]
    private let matrices: Set<String>
    private let pool: WorkerPool

    /// - Parameter matrices: names of the matrices that go through the tool.
    /// - Throws: `CheckpointError` if the model is packed, or lacks one of the matrices.
    public init(_ checkpoint: Checkpoint, matrices: [String], pool: WorkerPool) throws(CheckpointError) {
        if try PackedWeights(checkpoint) != nil {
            throw CheckpointError(
                .conflict, path: checkpoint.path, subject: "the model", expected: "one that is not packed",
                found: "a packed one")
        }
        for name in matrices where checkpoint[name] == nil {
            throw CheckpointError(
                .missing, path: checkpoint.path, subject: "matrix \(name.quoted)", expected: "it among the tensors",
                found: "none of that name")
        }
        self.checkpoint = checkpoint
        names = checkpoint.tensors.map(\.name)
        self.matrices = Set(matrices)
        self.pool = pool
    }

    /// - Parameters:
    ///   - stored: the names under which a tensor may be stored.
    ///   - rewrite: appends what becomes of a matrix to the writer.
    ///   - finish: ends the writing, once every tensor is there.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, with the tensor's name, and what the closures throw;
    ///   then nothing is left behind.
    public func write(
        to destination: Destination, stored: (String) -> [String] = { [$0] },
        rewrite: (String, ModelFolderWriter) throws -> Void, finish: (ModelFolderWriter) throws -> Void
    ) throws {
        let writer = try ModelFolderWriter(
            path: destination.path, overwriting: destination.overwriting,
            keeping: [checkpoint.path] + Set(checkpoint.tensors.map(\.path)), names: names.flatMap(stored),
            started: destination.started)
        defer { writer.folder.abandon() }
        var readAhead = ReadAhead(checkpoint, names: names)
        for (index, name) in names.enumerated() {
            readAhead.advance(to: index)
            if matrices.contains(name) {
                try rewrite(name, writer)
            } else {
                let (type, bytes) = try checkpoint.portableElements(name, pool: pool)
                // What is decoded is known to be finite; what is mapped is not yet.
                if let stored = checkpoint[name]?.encoding.elementType, WeightType(rawValue: stored.rawValue) != nil {
                    try checkpoint.checkFinite(name)
                }
                try writer.append(name, type: type, shape: checkpoint[name]?.shape ?? [], bytes: bytes)
            }
            checkpoint.release(name)
            destination.progress(index + 1, names.count)
        }
        try destination.companions(writer.folder)
        try finish(writer)
    }
}

/// Has the tensors that come next read from disk while one is worked on.
private struct ReadAhead {
    private let checkpoint: Checkpoint
    private let names: [String]
    /// The first tensor that nobody has asked for yet.
    private var next = 0
    /// What was asked for, tensor by tensor.
    private var byteCounts: [Int] = []
    private var byteCount = 0

    /// Some tens of milliseconds of a fast disk, more than a tensor takes in all but the slowest formats; little beside
    /// any machine's memory.
    private static let byteLimit = 64 << 20

    init(_ checkpoint: Checkpoint, names: [String]) {
        self.checkpoint = checkpoint
        self.names = names
    }

    /// Tensor `index` is worked on now; those before it are done.
    mutating func advance(to index: Int) {
        if index > 0 { byteCount -= byteCounts[index - 1] }
        while next < names.count, next <= index || byteCount < Self.byteLimit {
            byteCounts.append(checkpoint.prefetch(names[next], byteLimit: Self.byteLimit))
            byteCount += byteCounts[next]
            next += 1
        }
    }
}

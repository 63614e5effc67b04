/// A pattern as instructions for ``PatternMatcher``.
struct PatternProgram: Sendable {
    enum Instruction: Sendable {
        /// One character of `sets[set]`, then the next instruction.
        case set(Int)
        /// Goes on at `first`, and at `second` if that leads nowhere.
        case split(first: Int, second: Int, slot: Int)
        case jump(Int)
        /// As many characters of the set as lead to a match, then the next instruction.
        case star(set: Int, PatternNode.Repetition, slot: Int)
        case assertion(PatternAssertion)
        /// The instructions from the next one on must match here (or must not); goes on at `next`.
        case lookahead(isNegated: Bool, next: Int)
        case lookbehind(set: Int, isNegated: Bool)
        /// What the instructions from the next one on match first is kept; goes on at `next`.
        case atomic(next: Int)
        case match
    }

    /// What repetitions are unrolled to is limited, and so is the memory of the matcher, a bit for each slot and byte.
    static let maximumInstructionCount = 20_000
    static let maximumSlotCount = 512
    /// Atomic groups are matched again at every place, so they must be short.
    static let maximumAtomicLength = 256

    private(set) var instructions: [Instruction] = []
    private(set) var sets: [ScalarSet] = []
    /// Choices are numbered, so that the matcher can keep those that led nowhere.
    private(set) var slotCount = 0

    init(_ node: PatternNode) throws(TokenizerError) {
        try compile(node)
        try append(.match)
        guard slotCount <= PatternProgram.maximumSlotCount else {
            throw TokenizerError(
                "a pattern has \(slotCount) choices, expected at most \(PatternProgram.maximumSlotCount)")
        }
    }

    private mutating func append(_ instruction: Instruction) throws(TokenizerError) {
        instructions.append(instruction)
        guard instructions.count <= PatternProgram.maximumInstructionCount else {
            throw TokenizerError(
                "a pattern has more than \(PatternProgram.maximumInstructionCount) steps once its counts are unrolled")
        }
    }

    private mutating func slot() -> Int {
        slotCount += 1
        return slotCount - 1
    }

    private mutating func index(of set: ScalarSet) -> Int {
        sets.append(set.prepared())
        return sets.count - 1
    }

    private mutating func compile(_ node: PatternNode) throws(TokenizerError) {
        switch node {
        case .empty: break
        case .set(let set): try append(.set(index(of: set)))
        case .sequence(let nodes): for node in nodes { try compile(node) }
        case .choice(let nodes): try compileChoice(nodes[...])
        case .repetition(let node, let minimum, let maximum, .possessive):
            if case .set(let set) = node, maximum == nil {
                for _ in 0..<minimum { try compile(node) }
                try append(.star(set: index(of: set), .possessive, slot: slot()))
            } else {
                try compile(.atomic(.repetition(node, minimum: minimum, maximum: maximum, .greedy)))
            }
        case .repetition(let node, let minimum, let maximum, let kind):
            try compileRepetition(node, minimum: minimum, maximum: maximum, isLazy: kind == .lazy)
        case .assertion(let assertion): try append(.assertion(assertion))
        case .lookahead(let node, let isNegated):
            try compileBody(node) { .lookahead(isNegated: isNegated, next: $0) }
        case .lookbehind(let set, let isNegated):
            try append(.lookbehind(set: index(of: set), isNegated: isNegated))
        case .atomic(let node):
            guard let length = node.maximumLength, length <= PatternProgram.maximumAtomicLength else {
                throw TokenizerError(
                    "a pattern has an atomic group or possessive repetition of more than "
                        + "\(PatternProgram.maximumAtomicLength) characters, which is not supported")
            }
            try compileBody(node) { .atomic(next: $0) }
        }
    }

    /// Instructions of their own, up to `match`, behind the one that `make` makes of where they end.
    private mutating func compileBody(
        _ node: PatternNode, _ make: (Int) -> Instruction
    ) throws(TokenizerError) {
        let start = instructions.count
        try append(.match)  // replaced below
        try compile(node)
        try append(.match)
        instructions[start] = make(instructions.count)
    }

    private mutating func compileChoice(_ nodes: ArraySlice<PatternNode>) throws(TokenizerError) {
        var ends: [Int] = []
        for (offset, node) in nodes.enumerated() {
            guard offset + 1 < nodes.count else {
                try compile(node)
                break
            }
            let split = instructions.count
            try append(.match)  // replaced below
            try compile(node)
            ends.append(instructions.count)
            try append(.match)  // replaced below
            instructions[split] = .split(first: split + 1, second: instructions.count, slot: slot())
        }
        for end in ends { instructions[end] = .jump(instructions.count) }
    }

    private mutating func compileRepetition(
        _ node: PatternNode, minimum: Int, maximum: Int?, isLazy: Bool
    ) throws(TokenizerError) {
        for _ in 0..<minimum { try compile(node) }
        guard let maximum else {
            if case .set(let set) = node {
                return try append(.star(set: index(of: set), isLazy ? .lazy : .greedy, slot: slot()))
            }
            let split = instructions.count
            try append(.match)  // replaced below
            try compile(node)
            try append(.jump(split))
            setSplit(split, isLazy: isLazy)
            return
        }
        var splits: [Int] = []
        for _ in minimum..<maximum {
            splits.append(instructions.count)
            try append(.match)  // replaced below
            try compile(node)
        }
        for split in splits { setSplit(split, isLazy: isLazy) }
    }

    /// Either goes on with the instruction behind it or leaves for the end of the program so far.
    private mutating func setSplit(_ split: Int, isLazy: Bool) {
        let end = instructions.count
        instructions[split] =
            isLazy
            ? .split(first: end, second: split + 1, slot: slot()) : .split(first: split + 1, second: end, slot: slot())
    }
}

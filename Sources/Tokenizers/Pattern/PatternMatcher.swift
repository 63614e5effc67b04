/// Finds the matches of a pattern in one text, by trying choices in order and going back.
///
/// A choice that led nowhere at a place leads nowhere whenever it comes up there again, so it is remembered and not
/// tried twice: the time is O(bytes x choices) for any pattern and text, and so are the bits that are remembered.
/// Runs of one set are taken in one step.
struct PatternMatcher {
    private let program: PatternProgram
    private let text: UnsafeBufferPointer<UInt8>
    /// Bit (slot x (bytes + 1) + position): the choice leads nowhere there.
    private var failed: [UInt64]
    /// The same for choices inside a lookahead that lead to its end.
    private var succeeded: [UInt64] = []
    private var stack: [Frame] = []

    /// What is to be done when the path so far leads nowhere.
    private struct Frame {
        enum Kind {
            /// Go on with the second way of the split at `instruction`.
            case alternative
            /// Both ways of the split led nowhere.
            case split
            /// A run from `low` to `current` led nowhere at `current`: try one character less.
            case shorter
            /// The same the other way round.
            case longer
            /// A run that is only tried as a whole.
            case whole
        }
        var kind: Kind
        var instruction: Int32
        var slot: Int32
        var low: Int
        var current: Int
    }

    private enum Purpose { case match, lookahead, atomic }

    init(_ program: PatternProgram, _ text: UnsafeBufferPointer<UInt8>) {
        self.program = program
        self.text = text
        failed = [UInt64](repeating: 0, count: (program.slotCount * (text.count + 1) + 63) / 64)
    }

    /// The first match that starts at `start` or later.
    mutating func firstMatch(from start: Int) -> Range<Int>? {
        var position = start
        while true {
            if let end = run(at: 0, position, .match) { return position..<end }
            guard position < text.count else { return nil }
            position += text.scalar(at: position).length
        }
    }

    /// All matches, as Oniguruma's users find them: one after another; an empty one right behind another is none.
    mutating func matches() -> [Range<Int>] {
        var matches: [Range<Int>] = []
        var start = 0
        var lastEnd: Int?
        while start <= text.count, let match = firstMatch(from: start) {
            if match.isEmpty, match.lowerBound == lastEnd {
                start += start < text.count ? text.scalar(at: start).length : 1
                continue
            }
            matches.append(match)
            start = match.upperBound
            lastEnd = start
        }
        return matches
    }

    // MARK: Remembering

    private func bit(_ slot: Int32, _ position: Int) -> Int { Int(slot) * (text.count + 1) + position }

    private func hasFailed(_ slot: Int, _ position: Int) -> Bool {
        let bit = bit(Int32(slot), position)
        return failed[bit >> 6] >> UInt64(bit & 63) & 1 == 1
    }

    private func hasSucceeded(_ slot: Int, _ position: Int) -> Bool {
        guard !succeeded.isEmpty else { return false }
        let bit = bit(Int32(slot), position)
        return succeeded[bit >> 6] >> UInt64(bit & 63) & 1 == 1
    }

    private mutating func setFailed(_ slot: Int32, _ positions: ClosedRange<Int>) {
        for position in positions {
            let bit = bit(slot, position)
            failed[bit >> 6] |= 1 << UInt64(bit & 63)
        }
    }

    /// The choices that are open now led to the end of a lookahead.
    private mutating func keepSuccess(above base: Int) {
        guard stack.count > base else { return }
        if succeeded.isEmpty { succeeded = [UInt64](repeating: 0, count: failed.count) }
        for frame in stack[base...] {
            for position in frame.low...max(frame.low, frame.current) {
                let bit = bit(frame.slot, position)
                succeeded[bit >> 6] |= 1 << UInt64(bit & 63)
            }
        }
    }
}

// MARK: - Running

extension PatternMatcher {
    /// Where the match that starts at `position` ends, or nil if there is none.
    private mutating func run(at start: Int, _ position: Int, _ purpose: Purpose) -> Int? {
        let base = stack.count
        var next = start
        var position = position
        while true {
            if case .match = program.instructions[next] {
                if purpose == .lookahead { keepSuccess(above: base) }
                stack.removeSubrange(base...)
                return position
            }
            switch step(&next, &position, purpose) {
            case .on: continue
            case .done:
                keepSuccess(above: base)
                stack.removeSubrange(base...)
                return position
            case .back: guard goBack(&next, &position, above: base) else { return nil }
            }
        }
    }

    private enum Outcome { case on, back, done }

    private mutating func step(_ next: inout Int, _ position: inout Int, _ purpose: Purpose) -> Outcome {
        switch program.instructions[next] {
        case .set(let set):
            guard position < text.count else { return .back }
            let scalar = text.scalar(at: position)
            guard program.sets[set].contains(scalar.value) else { return .back }
            position += scalar.length
            next += 1
        case .split(let first, let second, let slot):
            if purpose == .lookahead, hasSucceeded(slot, position) { return .done }
            if hasFailed(slot, position) { return .back }
            push(.alternative, second, slot, position, position)
            next = first
        case .jump(let target): next = target
        case .star(let set, let kind, let slot):
            if purpose == .lookahead, hasSucceeded(slot, position) { return .done }
            return star(set, kind, slot, &next, &position)
        case .assertion(let assertion):
            guard holds(assertion, at: position) else { return .back }
            next += 1
        case .lookahead(let isNegated, let target):
            guard (run(at: next + 1, position, .lookahead) != nil) != isNegated else { return .back }
            next = target
        case .lookbehind(let set, let isNegated):
            let isThere = position > 0 && program.sets[set].contains(text.scalar(before: position).value)
            guard isThere != isNegated else { return .back }
            next += 1
        case .atomic(let target):
            guard let end = run(at: next + 1, position, .atomic) else { return .back }
            position = end
            next = target
        case .match: preconditionFailure("a match ends a run")
        }
        return .on
    }

    private mutating func star(
        _ set: Int, _ kind: PatternNode.Repetition, _ slot: Int, _ next: inout Int, _ position: inout Int
    ) -> Outcome {
        if hasFailed(slot, position) { return .back }
        let low = position
        if kind != .lazy {
            let members = program.sets[set]
            while position < text.count {
                let scalar = text.scalar(at: position)
                guard members.contains(scalar.value) else { break }
                // From there on everything was tried before.
                if hasFailed(slot, position + scalar.length) {
                    if kind == .possessive {
                        setFailed(Int32(slot), low...position)
                        return .back
                    }
                    break
                }
                position += scalar.length
            }
        }
        let frame: Frame.Kind = kind == .greedy ? .shorter : kind == .lazy ? .longer : .whole
        push(frame, next, slot, low, position)
        next += 1
        return .on
    }

    private mutating func push(_ kind: Frame.Kind, _ instruction: Int, _ slot: Int, _ low: Int, _ current: Int) {
        stack.append(
            Frame(kind: kind, instruction: Int32(instruction), slot: Int32(slot), low: low, current: current))
    }

    /// Takes up the last choice that is left.
    /// - Returns: false if none is.
    private mutating func goBack(_ next: inout Int, _ position: inout Int, above base: Int) -> Bool {
        while stack.count > base {
            let frame = stack[stack.count - 1]
            switch frame.kind {
            case .alternative:
                stack[stack.count - 1].kind = .split
                next = Int(frame.instruction)
                position = frame.current
                return true
            case .split: setFailed(frame.slot, frame.current...frame.current)
            case .whole: setFailed(frame.slot, frame.low...frame.current)
            case .shorter:
                setFailed(frame.slot, frame.current...frame.current)
                if frame.current > frame.low {
                    position = frame.current - text.scalar(before: frame.current).length
                    stack[stack.count - 1].current = position
                    next = Int(frame.instruction) + 1
                    return true
                }
            case .longer:
                guard case .star(let set, _, let slot) = program.instructions[Int(frame.instruction)] else { break }
                if frame.current < text.count {
                    let scalar = text.scalar(at: frame.current)
                    let end = frame.current + scalar.length
                    if program.sets[set].contains(scalar.value), !hasFailed(slot, end) {
                        position = end
                        stack[stack.count - 1].current = position
                        next = Int(frame.instruction) + 1
                        return true
                    }
                }
                setFailed(frame.slot, frame.low...frame.current)
            }
            stack.removeLast()
        }
        return false
    }

    private func holds(_ assertion: PatternAssertion, at position: Int) -> Bool {
        func isWord(_ value: UInt32?) -> Bool { value.map { PatternMatcher.word.contains($0) } ?? false }
        let isStart = position == 0
        let isEnd = position == text.count
        switch assertion {
        case .textStart: return isStart
        case .textEnd: return isEnd
        case .textEndOrLastLineFeed: return isEnd || position + 1 == text.count && text[position] == 0x0A
        case .lineStart:
            // Behind a last line feed no line starts.
            return isStart || (text[position - 1] == 0x0A && !isEnd)
        case .lineEnd: return isEnd || text[position] == 0x0A
        case .wordBoundary, .noWordBoundary:
            let before = isStart ? nil : text.scalar(before: position).value
            let after = isEnd ? nil : text.scalar(at: position).value
            return (isWord(before) != isWord(after)) == (assertion == .wordBoundary)
        }
    }

    private static let word = ScalarSet.wordAlone.prepared()
}

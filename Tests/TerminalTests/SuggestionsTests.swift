import TestSupport
import Testing

@testable import Terminal

@Suite struct SuggestionsTests {
    private let names = ["pull", "prune", "pack", "perplexity", "run", "smollm2-135m"]

    @Test func findsWhatWasMeant() {
        let expected = [
            ("pul", "pull"), ("plul", "pull"), ("PULL", "pull"), ("prnue", "prune"), ("perplexty", "perplexity"),
            ("rnu", "run"), ("smollm2", "smollm2-135m"), ("smolm2-135m", "smollm2-135m"),
            ("smollm2-135m ", "smollm2-135m"),
        ]
        for (typed, meant) in expected { #expect(Suggestions.nearest(to: typed, in: names) == meant) }
    }

    @Test func keepsSilentRatherThanGuess() {
        for typed in ["", "x", "zebra", "gpt", String(repeating: "p", count: 100_000)] {
            #expect(Suggestions.nearest(to: typed, in: names) == nil)
        }
        #expect(Suggestions.nearest(to: "pull", in: [String]()) == nil)
        #expect(Suggestions.nearest(to: "pull", in: ["", String(repeating: "p", count: 65)]) == nil)
    }

    @Test func takesTheFirstOfEquals() {
        #expect(Suggestions.nearest(to: "pick", in: ["pack", "peck"]) == "pack")
        #expect(Suggestions.nearest(to: "pick", in: ["pull", "peck", "pack"]) == "peck")
    }

    @Test func distanceMatchesItsDefinition() {
        var generator = SplitMix64(seed: 7)
        func word() -> [UInt8] {
            (0..<Int.random(in: 0...6, using: &generator)).map { _ in UInt8.random(in: 0...2, using: &generator) }
        }
        for _ in 0..<500 {
            let (first, second) = (word(), word())
            let found = Suggestions.distance(first, second)
            #expect(found == definition(first[...], second[...]), "\(first) to \(second)")
            #expect(found == Suggestions.distance(second, first))
        }
        #expect(Suggestions.distance(Array("ca"), Array("abc")) == 3)  // 2 without the rule of one edit per part
    }

    /// The recursive definition, exponential in time.
    private func definition(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8>) -> Int {
        guard let last = first.last, let otherLast = second.last else { return max(first.count, second.count) }
        var least = min(
            definition(first.dropLast(), second) + 1, definition(first, second.dropLast()) + 1,
            definition(first.dropLast(), second.dropLast()) + (last == otherLast ? 0 : 1))
        if first.count > 1, second.count > 1, last == second.dropLast().last, otherLast == first.dropLast().last {
            least = min(least, definition(first.dropLast(2), second.dropLast(2)) + 1)
        }
        return least
    }
}

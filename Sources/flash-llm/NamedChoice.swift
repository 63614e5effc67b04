import ArgumentParser
import Sparse
import Terminal

/// Finds the one of several things that a person named, or says which was probably meant.
func named<Choice>(
    _ word: String, _ what: String, among choices: [(name: String, value: Choice)]
) throws(ValidationError) -> Choice {
    if let choice = choices.first(where: { $0.name == word }) { return choice.value }
    let names = choices.map(\.name)
    let start = "there is no \(what) '\(word)'"
    if let nearest = Suggestions.nearest(to: word, in: names) {
        throw ValidationError("\(start): did you mean '\(nearest)'?")
    }
    throw ValidationError("\(start): known are \(names.joined(separator: ", "))")
}

extension ScaleGroup {
    static func named(_ word: String) throws(ValidationError) -> ScaleGroup {
        try flash_llm.named(word, "group", among: allCases.map { ($0.rawValue, $0) })
    }
}

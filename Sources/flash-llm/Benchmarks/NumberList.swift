import ArgumentParser

/// Positive numbers with commas between: "1,2,4".
struct NumberList: ExpressibleByArgument {
    let values: [Int]

    init(values: [Int]) { self.values = values }

    init?(argument: String) { self.init(argument: argument, range: 1...1024) }

    fileprivate init?(argument: String, range: ClosedRange<Int>) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.allSatisfy({ $0.map { range.contains($0) } ?? false }) else { return nil }
        values = parts.compactMap(\.self)
    }

    var defaultValueDescription: String { values.map(String.init).joined(separator: ",") }
}

/// Numbers of tokens in a cache, each once, with commas between: "64,8192".
struct DepthList: ExpressibleByArgument {
    let values: [Int]

    init(values: [Int]) { self.values = values }

    init?(argument: String) {
        guard let list = NumberList(argument: argument, range: 1...1_000_000),
            Set(list.values).count == list.values.count
        else { return nil }
        values = list.values
    }

    var defaultValueDescription: String { values.map(String.init).joined(separator: ",") }
}

/// Shares of at least 0 and less than 1 with commas between: "0.5,0.9".
struct ShareList: ExpressibleByArgument {
    let values: [Double]

    init(values: [Double]) { self.values = values }

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
        guard parts.allSatisfy({ $0.map { $0 >= 0 && $0 < 1 } ?? false }) else { return nil }
        values = parts.compactMap(\.self)
    }

    var defaultValueDescription: String { values.map { "\($0)" }.joined(separator: ",") }
}

/// Words with commas between.
struct WordList: ExpressibleByArgument {
    let words: [String]

    init(words: [String]) { self.words = words }

    init?(argument: String) {
        words = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        if words.contains("") { return nil }
    }

    var defaultValueDescription: String { words.joined(separator: ",") }
}

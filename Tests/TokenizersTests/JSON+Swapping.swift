import OrderedJSON
import TestSupport

extension JSON {
    /// The same with one value somewhere inside replaced by one of `values`.
    func swapping(_ values: [JSON], using generator: inout SplitMix64) -> JSON {
        if Int.random(in: 0..<5, using: &generator) == 0 { return values.randomElement(using: &generator)! }
        switch self {
        case .object(var members) where !members.isEmpty:
            let index = Int.random(in: 0..<members.count, using: &generator)
            let key = members.elements[index].key
            members[key] = members[key]!.swapping(values, using: &generator)
            return .object(members)
        case .array(var elements) where !elements.isEmpty:
            let index = Int.random(in: 0..<elements.count, using: &generator)
            elements[index] = elements[index].swapping(values, using: &generator)
            return .array(elements)
        default: return values.randomElement(using: &generator)!
        }
    }
}

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension TemplateInterpreter {
    func sign(of value: TemplateValue, isNegative: Bool) throws(ChatTemplateError) -> TemplateValue {
        switch value {
        case .float(let number): return .float(isNegative ? -number : number)
        case .undefined(let message): throw failure(message)
        default:
            guard let integer = value.index else { throw failure("a '\(value.typeName)' has no sign") }
            guard !isNegative || integer != .min else { throw overflow() }
            return .integer(isNegative ? -integer : integer)
        }
    }

    private func overflow() -> ChatTemplateError { failure("an integer beyond 64 bits") }

    func arithmetic(
        _ operation: TemplateExpression.Arithmetic, _ left: TemplateValue, _ right: TemplateValue
    ) throws(ChatTemplateError) -> TemplateValue {
        if case .string(let format) = left, operation == .remainder {
            return try percentFormat(format, right)
        }
        if case .undefined(let message) = left { throw failure(message) }
        if case .undefined(let message) = right { throw failure(message) }
        if let left = left.index, let right = right.index { return try integers(operation, left, right) }
        if let left = left.number, let right = right.number { return try floats(operation, left, right) }
        switch operation {
        case .add: if let sum = try joined(left, right) { return sum }
        case .multiply:
            if let count = right.index, let product = try repeated(left, count) { return product }
            if let count = left.index, let product = try repeated(right, count) { return product }
        default: break
        }
        throw failure(
            "'\(operation.rawValue)' is not supported between '\(left.typeName)' and '\(right.typeName)'")
    }

    // MARK: - Sequences

    private func joined(_ left: TemplateValue, _ right: TemplateValue) throws(ChatTemplateError) -> TemplateValue? {
        switch (left, right) {
        case (.string(let left), .string(let right)):
            let isMarkup = left.isMarkup || right.isMarkup
            let leftText = isMarkup && !left.isMarkup ? PythonText.escapedForHTML(left.text) : left.text
            let rightText = isMarkup && !right.isMarkup ? PythonText.escapedForHTML(right.text) : right.text
            try spend(bytes: leftText.utf8.count + rightText.utf8.count)
            return .string(TemplateString(leftText + rightText, isMarkup: isMarkup))
        case (.list(let left), .list(let right)): return try list(left.items + right.items)
        case (.tuple(let left), .tuple(let right)): return try tuple(left.items + right.items)
        default: return nil
        }
    }

    private func repeated(_ value: TemplateValue, _ count: Int) throws(ChatTemplateError) -> TemplateValue? {
        switch value {
        case .string(let string):
            try spend(bytes: string.text.utf8.count, times: count)
            let text = string.text.isEmpty ? "" : String(repeating: string.text, count: max(0, count))
            return .string(TemplateString(text, isMarkup: string.isMarkup))
        case .list(let items): return try list(try repeated(items.items, count))
        case .tuple(let items): return try tuple(try repeated(items.items, count))
        default: return nil
        }
    }

    private func repeated(_ items: [TemplateValue], _ count: Int) throws(ChatTemplateError) -> [TemplateValue] {
        guard count > 0, !items.isEmpty else { return [] }
        let (total, overflow) = items.count.multipliedReportingOverflow(by: count)
        try spend(overflow ? .max : total)
        return Array(repeatElement(items, count: count).joined())
    }

    // MARK: - Numbers

    private func integers(
        _ operation: TemplateExpression.Arithmetic, _ left: Int, _ right: Int
    ) throws(ChatTemplateError) -> TemplateValue {
        let result: (partialValue: Int, overflow: Bool)
        switch operation {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide:
            guard right != 0 else { throw failure("division by zero") }
            return .float(Double(left) / Double(right))
        case .floorDivide:
            guard right != 0 else { throw failure("division by zero") }
            guard let quotient = PythonNumber.floorDivision(left, right) else { throw overflow() }
            return .integer(quotient)
        case .remainder:
            guard right != 0 else { throw failure("division by zero") }
            return .integer(PythonNumber.remainder(left, right))
        case .power:
            guard right >= 0 else { return try floats(.power, Double(left), Double(right)) }
            return .integer(try power(left, right))
        }
        guard !result.overflow else { throw overflow() }
        return .integer(result.partialValue)
    }

    /// Squaring and multiplying; ends early because any base beyond 1 overflows after 63 doublings.
    private func power(_ base: Int, _ exponent: Int) throws(ChatTemplateError) -> Int {
        var result = 1
        var square = base
        var rest = exponent
        while rest > 0 {
            if rest & 1 == 1 {
                let product = result.multipliedReportingOverflow(by: square)
                guard !product.overflow else { throw overflow() }
                result = product.partialValue
            }
            rest >>= 1
            guard rest > 0 else { break }
            let next = square.multipliedReportingOverflow(by: square)
            guard !next.overflow else { throw overflow() }
            square = next.partialValue
        }
        return result
    }

    private func floats(
        _ operation: TemplateExpression.Arithmetic, _ left: Double, _ right: Double
    ) throws(ChatTemplateError) -> TemplateValue {
        switch operation {
        case .add: return .float(left + right)
        case .subtract: return .float(left - right)
        case .multiply: return .float(left * right)
        case .power:
            guard left != 0 || right >= 0 else { throw failure("zero cannot be raised to a negative power") }
            let result = pow(left, right)
            guard !result.isNaN || left.isNaN || right.isNaN else {
                throw failure("a negative number raised to a fraction is not a real number")
            }
            guard result.isFinite || left.isInfinite || right.isInfinite else {
                throw failure("a power beyond the range of floats")
            }
            return .float(result)
        case .divide, .floorDivide, .remainder:
            guard right != 0 else { throw failure("division by zero") }
            if operation == .divide { return .float(left / right) }
            let (quotient, remainder) = PythonNumber.floorDivision(left, right)
            return .float(operation == .floorDivide ? quotient : remainder)
        }
    }
}

/// Compares results of different kernels: a benchmark of wrong results would be worth nothing.
///
/// Both round float32 sums to f16, each by at most 2^-11 of its size, and add up in another order. Allowed for each
/// element are the two roundings and, for the order and for subnormal numbers, 2^-10 of the root mean square of all:
/// sums that cancel keep the error of their terms. An element out of place, a panel or a slice that is missing or
/// counted twice, is off by the size of a result. Single nonzeros are left to the tests of the kernels, which compare
/// with double precision.
enum OutputCheck {
    /// The value of every f16 pattern: processors without an instruction for it take ten times as long to compute one.
    private static let values: [Float] = (0...UInt16.max).map { Float(Float16(bitPattern: $0)) }

    /// The largest difference in units of what is allowed; NaN or infinity if there is one that the reference lacks.
    static func error(_ found: [UInt16], reference: [UInt16]) -> Double {
        precondition(found.count == reference.count)
        return values.withUnsafeBufferPointer { values in
            var squares = 0.0
            for bits in reference {
                let value = Double(values[Int(bits)])
                squares += value * value
            }
            let order = Float((squares / Double(max(reference.count, 1))).squareRoot()) * 0x1p-10
            var largest: Float = 0
            for index in found.indices {
                let (a, b) = (values[Int(found[index])], values[Int(reference[index])])
                // 0 / 0 where all is zero is no error; any other NaN must not pass for a small one.
                if a == b { continue }
                let error = abs(a - b) / ((abs(a) + abs(b)) * 0x1p-11 + order)
                if error.isNaN { return .nan }
                largest = max(largest, error)
            }
            return Double(largest)
        }
    }
}

import Sparse
import Tensors
import TestSupport
import Testing

/// Arrays from outside.
@Suite struct SlicedEllpackValidationTests {
    /// The arrays of a matrix, to be changed.
    private struct Arrays {
        var rows: Int
        var columns: Int
        var deltas: [UInt8]
        var values: [UInt16]
        var sliceOffsets: [UInt64]
        var laneRows: [UInt8]

        init(_ matrix: SlicedEllpack) {
            rows = matrix.rows
            columns = matrix.columns
            deltas = Array(matrix.deltas)
            values = Array(matrix.values)
            sliceOffsets = Array(matrix.sliceOffsets)
            laneRows = Array(matrix.laneRows)
        }

        func open() throws(SparseError) -> SlicedEllpack {
            try SlicedEllpack(
                rows: rows, columns: columns, deltas: Storage(deltas), values: Storage(values),
                sliceOffsets: Storage(sliceOffsets), laneRows: Storage(laneRows), valueType: .f16)
        }

        func check() throws(SparseError) { try open().checkInvariants() }
    }

    /// 35 rows of 40 columns: three slices, the last of them with three rows.
    private static func arrays(density: Double = 0.2) throws -> Arrays {
        let elements = randomMatrix(rows: 35, columns: 40, density: density, valueType: .f16, seed: 2)
        return Arrays(try SlicedEllpack(rows: 35, columns: 40, elements: elements, valueType: .f16))
    }

    private static func sentence(_ change: (inout Arrays) -> Void) throws -> String {
        var arrays = try Self.arrays()
        try arrays.check()
        change(&arrays)
        do throws(SparseError) { try arrays.check() } catch { return error.description }
        return "nothing"
    }

    @Test func saysWhatIsWrong() throws {
        func expect(_ expected: String, _ change: (inout Arrays) -> Void) throws {
            let found = try Self.sentence(change)
            #expect(found.contains(expected), "\(found)")
        }
        try expect("3 slice offsets, expected 4") { $0.sliceOffsets.removeLast() }
        try expect("47 rows of lanes, expected 48") { $0.laneRows.removeLast() }
        try expect("expected a multiple of 16") {
            $0.values.removeLast()
            $0.deltas.removeLast()
        }
        try expect("deltas, expected") { $0.deltas.removeLast() }
        try expect("the first slice begins at step 1, expected 0") { $0.sliceOffsets[0] = 1 }
        try expect("slice 1 ends before it begins") { $0.sliceOffsets[1] = $0.sliceOffsets[2] + 1 }
        try expect("the last slice ends at step 1000000, expected") { $0.sliceOffsets[3] = 1_000_000 }
        try expect("a lane of window 0 holds row 48") { $0.laneRows[5] = 48 }
        try expect("a lane of window 0 holds row 255") { $0.laneRows[5] = 255 }
        try expect("expected each row of the window once") { $0.laneRows[5] = $0.laneRows[6] }
        try expect("expected below 40") { $0.deltas[0] = 40 }
        try expect("NaN or infinite") { $0.values[0] = 0x7C00 }
        try expect("two nonzeros in column") { arrays in
            arrays.values[0] = 0x3C00
            arrays.values[16] = 0x3C00
            arrays.deltas[16] = 0
        }
        try expect("has a nonzero, expected 35 rows") { arrays in
            let lane = arrays.laneRows.firstIndex { $0 >= 35 }!
            let step = Int(arrays.sliceOffsets[lane / 16])
            arrays.values[step * 16 + lane % 16] = 0x3C00
        }
        try expect("has no sparse form") { $0.columns = 0 }
        try expect("has no sparse form") { $0.rows = .max }
    }

    /// Arrays with any bits changed are either refused or still a matrix that is safe to read.
    @Test func damagedArraysAreRefusedOrSafe() throws {
        let sound = try Self.arrays()
        var generator = SplitMix64(seed: 3)
        var refusals = 0
        for round in 0..<4_000 {
            var arrays = sound
            switch round % 4 {
            case 0: change(&arrays.deltas, &generator)
            case 1: change(&arrays.values, &generator)
            case 2: change(&arrays.sliceOffsets, &generator)
            default: change(&arrays.laneRows, &generator)
            }
            do throws(SparseError) {
                let matrix = try arrays.open()
                try matrix.checkInvariants()
                let reencoded = try SlicedEllpack(rows: 35, columns: 40, elements: matrix.dense(), valueType: .f16)
                #expect(reencoded.nonzeroCount == matrix.nonzeroCount)
                let input = randomActivations(40 * 3, seed: 5)
                let expected = PackedMatrix.slicedEllpack(matrix).product(of: input, tokens: 3, kernels: nil)
                let found = PackedMatrix.slicedEllpack(matrix).product(of: input, tokens: 3, kernels: .best)
                // A changed value may be as large as 65504.
                let largest = expected.reduce(1) { max($0, abs($1)) }
                #expect(largestDifference(found, expected) <= 1e-4 * largest)
            } catch {
                refusals += 1
            }
        }
        // A changed offset or row of a lane shows always; a changed delta or value may still be one.
        #expect(refusals >= 2_000 - 20)
    }

    private func change<Element: FixedWidthInteger>(_ array: inout [Element], _ generator: inout SplitMix64) {
        let index = Int.random(in: 0..<array.count, using: &generator)
        array[index] = .random(in: 0 ... .max, using: &generator)
    }
}

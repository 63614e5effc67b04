import CKernels
import KernelsUnderTest
import Sparse
import TestSupport
import Tensors
import Testing

/// Encoders against plain ones: the same arrays bit by bit, whatever the instruction set and the number of threads.
@Suite struct EncodingTests {
    static let rowCounts = [1, 2, 15, 16, 17, 31, 32, 33, 127, 128, 129, 260]
    static let columnCounts = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 700]

    /// Random patterns of all finite numbers, zeros of either sign among them.
    private static func elements(_ count: Int, density: Double, type: ElementType, seed: UInt64) -> [UInt16] {
        var generator = SplitMix64(seed: seed)
        let infinity: UInt16 = type == .f16 ? 0x7C00 : 0x7F80
        return (0..<count).map { _ in
            let sign: UInt16 = Bool.random(using: &generator) ? 0x8000 : 0
            guard Double.random(in: 0..<1, using: &generator) < density else { return sign }
            return sign | UInt16.random(in: 1..<infinity, using: &generator)
        }
    }

    /// Each test has its own: one thread at a time drives a pool.
    private let pool = WorkerPool(threadCount: 3)

    @Test(arguments: rowCounts) func equalsPlainEncoders(rows: Int) throws {
        for (index, columns) in Self.columnCounts.enumerated() {
            for (seed, density) in [0, 0.004, 0.2, 0.5, 1].enumerated() {
                let type: ElementType = (index + seed) % 2 == 0 ? .f16 : .bf16
                let source = GuardedBuffer(
                    Self.elements(rows * columns, density: density, type: type, seed: UInt64(seed)))
                let elements = Storage(pointer: source.pointer, count: rows * columns, owner: source)
                let bitmap = PlainBitmap(rows: rows, columns: columns, elements: source.elements)
                let ellpack = PlainEllpack(rows: rows, columns: columns, elements: source.elements)
                for kernels in Kernels.underTest {
                    let pool = (index + seed) % 2 == 0 ? nil : self.pool
                    let label: Comment = "\(kernels.instructionSet) \(rows) x \(columns) at \(density)"
                    let foundBitmap = try TiledBitmap(
                        rows: rows, columns: columns, elements: elements, valueType: type, pool: pool,
                        kernels: kernels)
                    #expect(foundBitmap.masks.elementsEqual(bitmap.masks), label)
                    #expect(foundBitmap.values.elementsEqual(bitmap.values), label)
                    #expect(foundBitmap.panelOffsets.elementsEqual(bitmap.panelOffsets), label)
                    let foundEllpack = try SlicedEllpack(
                        rows: rows, columns: columns, elements: elements, valueType: type, pool: pool,
                        kernels: kernels)
                    #expect(foundEllpack.deltas.elementsEqual(ellpack.deltas), label)
                    #expect(foundEllpack.values.elementsEqual(ellpack.values), label)
                    #expect(foundEllpack.sliceOffsets.elementsEqual(ellpack.sliceOffsets), label)
                    #expect(foundEllpack.laneRows.elementsEqual(ellpack.laneRows), label)
                }
            }
        }
    }

    @Test(arguments: [1, 127, 129, 400]) func packsEveryFormatAsAlone(rows: Int) throws {
        let columns = 300
        let elements = Storage(Self.elements(rows * columns, density: 0.3, type: .f16, seed: 5))
        let found = try PackedMatrix.sizes(
            rows: rows, columns: columns, elements: elements, valueType: .f16, pool: pool)
        #expect(found.nonzeroCount == elements.count { $0 & 0x7FFF != 0 })
        for (format, byteCount) in found.sizes {
            let packed = try PackedMatrix.pack(
                rows: rows, columns: columns, elements: elements, valueType: .f16, choice: .fixed(format), pool: pool)
            #expect(packed.matrix.storedByteCount == byteCount, "\(format)")
            #expect(packed.nonzeroCount == found.nonzeroCount)
            if case .tiledCSL(let matrix) = packed.matrix {
                let alone = try TiledCSL(rows: rows, columns: columns, elements: elements, valueType: .f16)
                #expect(matrix.words.elementsEqual(alone.words))
                #expect(matrix.tileOffsets.elementsEqual(alone.tileOffsets))
            }
        }
    }

    /// The first in the order of rows, not the first that a thread comes across.
    @Test(arguments: [(0, 0), (0, 299), (31, 64), (127, 1), (128, 0), (399, 299)])
    func namesTheFirstThatIsNotFinite(place: (row: Int, column: Int)) throws {
        let (rows, columns) = (400, 300)
        for (type, infinity) in [(ElementType.f16, UInt16(0x7C00)), (.bf16, 0xFF81)] {
            var bits = Self.elements(rows * columns, density: 0.5, type: type, seed: 6)
            for index in [place.row * columns + place.column, rows * columns - 1] { bits[index] = infinity }
            let elements = Storage(bits)
            for kernels in Kernels.underTest {
                #expect(throws: SparseError.notFinite(row: place.row, column: place.column)) {
                    try TiledBitmap(
                        rows: rows, columns: columns, elements: elements, valueType: type, pool: pool,
                        kernels: kernels)
                }
            }
        }
    }

    /// Elements that somebody changes between the passes may spoil the values, but nothing beside them.
    @Test func panelsKeepToTheirRoom() {
        let (rows, columns, room) = (32, 70, 1_000)
        let elements = [UInt16](repeating: 0x3C00, count: rows * columns)
        for kernels in Kernels.underTest {
            let masks = GuardedBuffer([UInt32](repeating: 0, count: columns))
            let values = GuardedBuffer([UInt16](repeating: 0, count: room))
            let count = kernels.table.pack_panel(
                elements, Int64(rows), Int64(columns), masks.pointer, values.pointer, Int64(room))
            #expect(count == rows * columns)
            #expect(values.elements.allSatisfy { $0 == 0x3C00 })
        }
    }
}

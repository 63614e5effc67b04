import CKernels
public import Tensors

extension QuantizedMatrix {
    /// The integers of all elements, row-major `[rows, columns]`.
    public func integers() -> Storage<Int16> {
        let output = AlignedBuffer<Int16>(uninitializedCount: rows * columns)
        withExtendedLifetime(self) {
            var matrix = kernelMatrix
            flash_quantized_integers(&matrix, output.pointer)
        }
        return output.frozen()
    }

    /// The matrix as float32, row-major `[rows, columns]`.
    public func dequantized() -> Storage<Float> {
        let integers = integers()
        let output = AlignedBuffer<Float>(uninitializedCount: rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                let index = row * columns + column
                output.pointer[index] = scale(row: row, column: column) * Float(integers.pointer[index])
            }
        }
        return output.frozen()
    }

    /// The scale of an element.
    func scale(row: Int, column: Int) -> Float {
        let panel = row / Self.panelRows
        let index = (panel * shape.groups + column / shape.groupColumns) * Self.panelRows + row % Self.panelRows
        return Float(bitPattern: UInt32(scales.pointer[index]) << 16)
    }

    /// Row `row` as float32 into `output`, `columns` elements: a lookup in an embedding table.
    /// - Precondition: positions are dense.
    /// - Complexity: O(columns).
    public func widenRow(_ row: Int, into output: UnsafeMutablePointer<Float>) {
        precondition(row >= 0 && row < rows, "row \(row) of \(rows)")
        precondition(positions == .dense, "rows of a bitmap cannot be looked up")
        let width = coding.chunkColumns
        let panel = UnsafeRawPointer(values.pointer) + Int(panelOffsets.pointer[row / Self.panelRows])
        let first = row % Self.panelRows * width
        for group in 0..<shape.groups {
            let start = group * shape.groupColumns
            let scale = scale(row: row, column: start)
            for column in start..<min(start + shape.groupColumns, columns) {
                let (chunk, place) = column.quotientAndRemainder(dividingBy: width)
                let value: Int16
                switch coding {
                case .i16:
                    let element = chunk * coding.chunkElements + first + place
                    value = panel.load(fromByteOffset: 2 * element, as: Int16.self)
                case .i8:
                    let element = chunk * coding.chunkElements + first + place
                    value = Int16(panel.load(fromByteOffset: element, as: Int8.self))
                case .i4:
                    let element = chunk / 2 * coding.chunkElements + first + place
                    let byte = panel.load(fromByteOffset: element, as: Int8.self)
                    // Sign-extends the low or the high nibble.
                    value = Int16(chunk % 2 == 0 ? (byte << 4) >> 4 : byte >> 4)
                }
                output[column] = scale * Float(value)
            }
        }
    }

    /// The number of elements that are not zero.
    /// - Complexity: O(bytes).
    public func countNonzeros() -> Int {
        guard let masks else {
            switch coding {
            case .i16: return values.reinterpreted(as: UInt16.self)?.buffer.count { $0 != 0 } ?? 0
            case .i8: return values.buffer.count { $0 != 0 }
            case .i4: return values.buffer.reduce(0) { $0 + ($1 & 0x0F != 0 ? 1 : 0) + ($1 & 0xF0 != 0 ? 1 : 0) }
            }
        }
        return masks.buffer.reduce(0) { $0 + $1.nonzeroBitCount }
    }
}

import CKernels
import Tensors

/// A weight matrix `[rows, columns]` in the format that suits it.
public enum PackedMatrix: Sendable {
    case dense(DenseMatrix)
    case tiledCSL(TiledCSL)
    case tiledBitmap(TiledBitmap)
    case slicedEllpack(SlicedEllpack)
    case quantized(QuantizedMatrix)

    public var rows: Int {
        switch self {
        case .dense(let matrix): matrix.rows
        case .tiledCSL(let matrix): matrix.rows
        case .tiledBitmap(let matrix): matrix.rows
        case .slicedEllpack(let matrix): matrix.rows
        case .quantized(let matrix): matrix.rows
        }
    }

    public var columns: Int {
        switch self {
        case .dense(let matrix): matrix.columns
        case .tiledCSL(let matrix): matrix.columns
        case .tiledBitmap(let matrix): matrix.columns
        case .slicedEllpack(let matrix): matrix.columns
        case .quantized(let matrix): matrix.columns
        }
    }

    public var storedByteCount: Int {
        switch self {
        case .dense(let matrix): matrix.storedByteCount
        case .tiledCSL(let matrix): matrix.storedByteCount
        case .tiledBitmap(let matrix): matrix.storedByteCount
        case .slicedEllpack(let matrix): matrix.storedByteCount
        case .quantized(let matrix): matrix.storedByteCount
        }
    }

    public var format: PackedFormat {
        switch self {
        case .dense: .dense
        case .tiledCSL: .tiledCSL
        case .tiledBitmap: .tiledBitmap
        case .slicedEllpack: .slicedEllpack
        case .quantized(let matrix): matrix.positions == .dense ? .dense : .tiledBitmap
        }
    }

    /// Counts the elements that are not zero; nil for float32, which is never packed from elements.
    /// - Complexity: O(1) for ``TiledBitmap``, O(stored elements) else.
    public func countNonzeros() -> Int? {
        switch self {
        case .dense(let matrix): matrix.sixteenBitElements?.count { !SixteenBit.isZero($0) }
        case .tiledCSL(let matrix): matrix.nonzeroCount
        case .tiledBitmap(let matrix): matrix.nonzeroCount
        case .slicedEllpack(let matrix): matrix.nonzeroCount
        case .quantized(let matrix): matrix.countNonzeros()
        }
    }

    /// Row ranges of a product begin at multiples of this.
    public var rowGranularity: Int {
        switch self {
        case .dense: 4
        case .tiledCSL: Int(FLASH_CSL_TILE_ROWS)
        case .tiledBitmap: TiledBitmap.panelRows
        case .slicedEllpack: SlicedEllpack.windowRows
        case .quantized: QuantizedMatrix.panelRows
        }
    }

    /// The form in which a product takes its activations, beside the float32 ones; nil if it needs none.
    public var activationForm: ActivationForm? {
        if case .quantized(let matrix) = self { matrix.activationForm } else { nil }
    }

    /// Row `row` as float32 into `output`, `columns` elements: a lookup in an embedding table.
    /// - Precondition: ``format`` is dense.
    public func widenRow(_ row: Int, into output: UnsafeMutablePointer<Float>, kernels: Kernels) {
        switch self {
        case .dense(let matrix): matrix.widenRow(row, into: output, kernels: kernels)
        case .quantized(let matrix): matrix.widenRow(row, into: output)
        case .tiledCSL, .tiledBitmap, .slicedEllpack:
            preconditionFailure("rows of \(format.rawValue) cannot be looked up")
        }
    }

    /// Checks the format's invariants against the stored arrays; a dense matrix has none.
    /// - Complexity: O(stored elements).
    public func checkInvariants() throws(SparseError) {
        switch self {
        case .dense: break
        case .tiledCSL(let matrix): try matrix.checkInvariants()
        case .tiledBitmap(let matrix): try matrix.checkInvariants()
        case .slicedEllpack(let matrix): try matrix.checkInvariants()
        case .quantized(let matrix): try matrix.checkInvariants()
        }
    }
}

/// The names of the formats, on disk and on the command line: where the stored values lie. Quantised matrices are dense
/// or tiled bitmaps, too.
public enum PackedFormat: String, Sendable, CaseIterable {
    case dense
    case tiledCSL = "tiled-csl"
    case tiledBitmap = "tiled-bitmap"
    case slicedEllpack = "sliced-ellpack"
}

extension TiledCSL {
    /// Addresses within the matrix, which must outlive them.
    var kernelMatrix: flash_tiled_csl {
        flash_tiled_csl(
            words: words.pointer, tile_offsets: tileOffsets.pointer, element: valueType.kernelElement,
            rows: Int64(rows), columns: Int64(columns))
    }
}

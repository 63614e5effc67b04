import CKernels

/// How the integers of a ``QuantizedMatrix`` are stored.
public enum QuantizedCoding: String, Sendable, CaseIterable {
    /// -32767...32767: the accuracy of 16-bit floats.
    case i16
    /// -127...127
    case i8
    /// -8...7
    case i4

    var kernelCoding: flash_coding {
        switch self {
        case .i16: FLASH_I16
        case .i8: FLASH_I8
        case .i4: FLASH_I4
        }
    }

    /// Columns of one chunk: what four bytes of quantised activations hold.
    var chunkColumns: Int { self == .i16 ? 2 : 4 }

    /// Elements of one chunk, each a bit of its mask.
    var chunkElements: Int { QuantizedMatrix.panelRows * chunkColumns }

    /// Bytes of a chunk's mask.
    var maskByteCount: Int { chunkElements / 8 }
}

/// How many columns of a row share one scale.
public enum ScaleGroup: String, Sendable, CaseIterable {
    case columns32 = "32"
    case columns64 = "64"
    case columns128 = "128"
    /// One scale for the whole row.
    case row

    /// The columns of a group in a matrix of so many columns: a multiple of 32.
    func columnCount(inRowOf columns: Int) -> Int {
        switch self {
        case .columns32: 32
        case .columns64: 64
        case .columns128: 128
        case .row: (columns + 31) / 32 * 32
        }
    }
}

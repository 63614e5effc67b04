import Sparse
import Tensors

extension ModelFolderWriter {
    /// Appends a packed matrix as a few tensors called after it.
    func append(_ name: String, _ matrix: PackedMatrix) throws(CheckpointError) {
        func append<Element>(_ suffix: String, _ type: ElementType, _ array: Storage<Element>) throws(CheckpointError) {
            try self.append(name + suffix, type: type, shape: [array.count], bytes: array.bytes)
        }
        switch matrix {
        case .dense(let dense):
            try self.append(name, type: dense.element, shape: [dense.rows, dense.columns], bytes: dense.bytes)
        case .tiledBitmap(let bitmap):
            try append(PackedArrays.masks, .u32, bitmap.masks)
            try append(PackedArrays.values, bitmap.valueType, bitmap.values)
            try append(PackedArrays.panelOffsets, .u64, bitmap.panelOffsets)
        case .slicedEllpack(let ellpack):
            try append(PackedArrays.deltas, .u8, ellpack.deltas)
            try append(PackedArrays.values, ellpack.valueType, ellpack.values)
            try append(PackedArrays.sliceOffsets, .u64, ellpack.sliceOffsets)
            try append(PackedArrays.laneRows, .u8, ellpack.laneRows)
        case .quantized(let quantized):
            if let masks = quantized.masks {
                try self.append(
                    name + PackedArrays.masks, type: quantized.coding.maskType,
                    shape: [masks.count / quantized.coding.maskType.byteCount], bytes: masks)
            }
            try append(PackedArrays.values, .u8, quantized.values)
            try append(PackedArrays.scales, .bf16, quantized.scales)
            try append(PackedArrays.panelOffsets, .u64, quantized.panelOffsets)
        case .tiledCSL(let csl):
            try append(PackedArrays.words, .u32, csl.words)
            try append(PackedArrays.tileOffsets, .i32, csl.tileOffsets)
        }
    }
}

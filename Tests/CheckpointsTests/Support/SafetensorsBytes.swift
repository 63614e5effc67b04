/// A safetensors file with the given header text and data.
func safetensors(_ header: String, data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
    GGUFBuilder.bytes(length ?? UInt64(header.utf8.count)) + Array(header.utf8) + data
}

import CUDA
import CUDAKernels

/// What the host gives and gets around the head, in memory that the GPU reads and writes itself.
struct HeadBuffers {
    /// Int32 `[logitsTokens]`: the places whose logits are asked for.
    let places: PinnedBuffer
    let devicePlaces: DeviceBuffer
    /// float32 `[logitsTokens, vocabularySize]`, row by row as asked for.
    let logits: PinnedBuffer
    /// Int32
    let choice: PinnedBuffer

    init(logitsTokens: Int, vocabularySize: Int, in context: Context) throws(CUDAError) {
        places = try PinnedBuffer(byteCount: 4 * logitsTokens, in: context)
        devicePlaces = try DeviceBuffer(byteCount: 4 * logitsTokens, in: context)
        logits = try PinnedBuffer(byteCount: 4 * logitsTokens * vocabularySize, in: context)
        choice = try PinnedBuffer(byteCount: 4, in: context)
    }
}

extension CUDABackend {
    public func logits(ofTokens tokens: [Int]) throws(ModelError) -> UnsafeBufferPointer<Float> {
        precondition(tokens.count <= maximumLogitsTokens)
        let rowBytes = 4 * configuration.vocabularySize
        try onDevice { () throws(CUDAError) in
            for (index, row) in try headRows(of: tokens).enumerated() {
                let target = head.logits.bytes[index * rowBytes..<(index + 1) * rowBytes]
                try activations.logits.enqueueCopy(
                    to: UnsafeMutableRawBufferPointer(rebasing: target), at: row * rowBytes, on: stream)
            }
            try stream.synchronize()
        }
        let elements = head.logits.elements(as: Float.self)
        return UnsafeBufferPointer(rebasing: elements[..<(tokens.count * configuration.vocabularySize)])
    }

    public func greedyToken(after place: Int) throws(ModelError) -> Int32? {
        let token = try onDevice { () throws(CUDAError) -> Int32 in
            let row = try headRows(of: [place])[0]
            try activations.choices.enqueueCopy(to: head.choice.bytes, at: 4 * row, on: stream)
            try stream.synchronize()
            return head.choice.elements(as: Int32.self)[0]
        }
        return token == DecoderSteps.noToken ? nil : token
    }

    /// The rows of the logits of places in the batch, which are computed if they are not there.
    private func headRows(of places: [Int]) throws(CUDAError) -> [Int] {
        if !places.allSatisfy(headPlaces.contains) {
            // Nothing of an earlier call is under way: each waits for its results.
            for (index, place) in places.enumerated() {
                precondition(place >= 0 && place < maximumBatchTokens)
                head.places.elements(as: Int32.self)[index] = Int32(place)
            }
            try head.devicePlaces.enqueueCopy(
                from: UnsafeRawBufferPointer(rebasing: head.places.bytes[..<(4 * places.count)]), on: stream)
            try enqueueHead(places: head.devicePlaces.address, count: places.count)
            headPlaces = places
        }
        return places.map { place in headPlaces.firstIndex(of: place)! }
    }

    /// Logits and choices of `count` tokens.
    /// - Parameter places: 32-bit places in the batch; nil for the first ones in order.
    func enqueueHead(places: UInt64?, count: Int) throws(CUDAError) {
        try steps.enqueueNorm(
            weights.finalNorm.map(stepNorm), input: activations.hidden.address, width: configuration.hiddenSize,
            places: places, count: count, output: activations.chosen.address,
            outputStride: activations.hiddenStride, on: stream)
        var (input, stride) = (activations.chosen, activations.hiddenStride)
        if let projection = weights.headProjection {
            try multiply(projection, input, stride: stride, into: activations.embedded, tokens: count)
            (input, stride) = (activations.embeddedInput, activations.embeddedStride)
            try narrow(
                activations.embedded, width: configuration.embeddingSize, tokens: count, into: input, stride: stride)
        }
        try multiply(weights.head, input, stride: stride, into: activations.logits, tokens: count)
        try steps.enqueueArgmax(
            input: activations.logits.address, width: configuration.vocabularySize, rows: count,
            cap: configuration.logitCap, output: activations.choices.address, on: stream)
    }

    /// Products of few tokens: never through a library, which allocates.
    private func multiply(
        _ matrix: DeviceMatrix, _ input: DeviceBuffer, stride: Int, into output: DeviceBuffer, tokens: Int
    ) throws(CUDAError) {
        try products.enqueue(
            matrix, operands(matrix, input, stride: stride, into: output, .f32, tokens: tokens), workspace: workspace,
            on: stream)
    }
}

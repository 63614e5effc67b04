import Synchronization
import Tensors

/// Memory for the outputs of attention's parts, and how many of each join's parts are finished.
///
/// Grows with the batch and the context, to twice what is needed, so a steady token loop allocates nothing.
final class AttentionPartials {
    /// Floats of a partial output: the output, its largest score and its sum of weights, in whole cache lines, so that
    /// no two threads write to one.
    let stride: Int
    private var outputs: AlignedBuffer<Float>
    private var finished: UnsafeMutablePointer<Atomic<Int>>
    private var joinCapacity = 0

    init(headSize: Int) {
        stride = (headSize + 2 + 15) / 16 * 16
        outputs = AlignedBuffer(uninitializedCount: 0)
        finished = .allocate(capacity: 0)
    }

    deinit { finished.deallocate() }

    func reserve(partials: Int, joins: Int) {
        if partials * stride > outputs.count { outputs = AlignedBuffer(uninitializedCount: 2 * partials * stride) }
        if joins > joinCapacity {
            finished.deallocate()
            joinCapacity = 2 * joins
            finished = .allocate(capacity: joinCapacity)
            for join in 0..<joinCapacity { (finished + join).initialize(to: Atomic(0)) }
        }
    }

    /// The memory as the threads use it, valid until the next ``reserve(partials:joins:)``. Owns nothing.
    struct View {
        fileprivate let outputs: UnsafeMutablePointer<Float>
        let stride: Int
        fileprivate let finished: UnsafeMutablePointer<Atomic<Int>>
    }

    var view: View { View(outputs: outputs.pointer, stride: stride, finished: finished) }
}

extension AttentionPartials.View {
    subscript(partial: Int) -> UnsafeMutablePointer<Float> { outputs + partial * stride }

    /// Notes that one of a join's parts is finished. True for the last one, which sees what all others wrote and leaves
    /// the count ready for the next layer.
    func finishPart(of join: Int, partCount: Int) -> Bool {
        let count = finished[join].add(1, ordering: .acquiringAndReleasing).newValue
        if count < partCount { return false }
        finished[join].store(0, ordering: .relaxed)
        return true
    }
}

import CKernels
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Persistent threads that share one loop at a time: fork, claim chunks, join.
///
/// A decoder step is a chain of products of tens of microseconds each, so a fork-join must cost well under one:
/// workers spin for a while after each loop and only then park on a semaphore. Chunks are claimed from a shared counter
/// rather than dealt out, so a worker that the system suspends holds up one chunk, not its whole share.
///
/// One thread drives the pool at a time; loops do not nest.
public final class WorkerPool: Sendable {
    /// Threads that take part, the caller's included.
    public let threadCount: Int
    private let shared: Shared
    private let threads: [pthread_t]

    /// - Parameter threadCount: threads that take part, the caller's included; at least 1.
    public init(threadCount: Int) {
        precondition(threadCount >= 1 && threadCount <= 1024, "a pool of \(threadCount) threads")
        self.threadCount = threadCount
        let shared = Shared(workerCount: threadCount - 1)
        self.shared = shared
        threads = (1..<threadCount).map { index in
            Self.startThread { shared.workerLoop(index: index) }
        }
    }

    deinit {
        shared.stop()
        for thread in threads { pthread_join(thread, nil) }
    }

    /// Calls `loop.run(chunk:thread:)` once for every chunk in `0..<chunkCount`, spread over the threads; returns when
    /// all are done. `thread` is in `0..<threadCount` and names scratch memory that no one else uses meanwhile. Which
    /// thread gets which chunk is up to chance, so results must not depend on it. Allocates nothing.
    public func run(_ loop: some ChunkedLoop, chunkCount: Int) {
        if chunkCount <= 0 { return }
        if threadCount == 1 || chunkCount == 1 {
            for chunk in 0..<chunkCount { loop.run(chunk: chunk, thread: 0) }
            return
        }
        withUnsafePointer(to: loop) { address in
            withUnsafePointer(to: LoopBody(address: address, type: type(of: loop))) { body in
                shared.run(chunkCount: chunkCount, body: body)
            }
        }
    }

    /// The same for a closure, which costs one allocation.
    public func forEachChunk(_ chunkCount: Int, _ body: (_ chunk: Int, _ thread: Int) -> Void) {
        withoutActuallyEscaping(body) { run(ClosureLoop(body: $0), chunkCount: chunkCount) }
    }

    private static func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
        let box = Unmanaged.passRetained(ThreadBody(run: body))
        #if canImport(Darwin)
        var thread: pthread_t?
        #else
        var thread = pthread_t()
        #endif
        let status = pthread_create(
            &thread, nil,
            { argument in
                #if canImport(Darwin)
                let raw = argument
                #else
                let raw = argument!
                #endif
                Unmanaged<ThreadBody>.fromOpaque(raw).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        precondition(status == 0, "cannot start a worker thread: \(String(cString: strerror(status)))")
        #if canImport(Darwin)
        return thread!
        #else
        return thread
        #endif
    }
}

/// A loop as a value: what the threads of a ``WorkerPool`` do with each chunk. The token loop is made of these, because
/// a closure that is handed to other threads costs an allocation each time.
public protocol ChunkedLoop {
    func run(chunk: Int, thread: Int)
}

private struct ClosureLoop: ChunkedLoop {
    let body: (Int, Int) -> Void
    func run(chunk: Int, thread: Int) { body(chunk, thread) }
}

/// A loop of any type where workers can point at it.
private struct LoopBody {
    let address: UnsafeRawPointer
    let type: any ChunkedLoop.Type

    func run(_ chunk: Int, _ thread: Int) { type.run(at: address, chunk: chunk, thread: thread) }
}

extension ChunkedLoop {
    fileprivate static func run(at address: UnsafeRawPointer, chunk: Int, thread: Int) {
        address.assumingMemoryBound(to: Self.self).pointee.run(chunk: chunk, thread: thread)
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(run: @escaping @Sendable () -> Void) { self.run = run }
}

/// What the caller and its workers share.
///
/// `ticket` holds the generation of the current loop in its upper half and its next unclaimed chunk in the lower one.
/// A worker claims a chunk by raising the ticket it has read. The caller closes the ticket before it touches the chunk
/// count and the body, so a worker that has read these for the next loop holds a ticket that is no longer there, and
/// its claim fails. A worker that wakes up late finds nothing to claim and is not waited for.
private final class Shared: @unchecked Sendable {
    typealias Body = UnsafePointer<LoopBody>

    /// Pauses of 20 to 45 nanoseconds (Zen 4, Skylake and later): longer in all than the serial work between two steps
    /// of a layer, short enough that an idle process soon stops burning its processors.
    private static let spinsBeforeParking = 1_000

    /// The lower half of a closed ticket: beyond every chunk.
    private static let closed: UInt64 = 0xFFFF_FFFF

    // Each of these has cache lines of its own (two: processors fetch lines in pairs), or every claim of a chunk would
    // take from the others what they wait for or read.
    private let memory: UnsafeMutableRawPointer
    /// All spin on it; claims change it.
    private let ticket: UnsafeMutablePointer<Atomic<UInt64>>
    /// The caller spins on it; finished chunks change it.
    private let completedChunks: UnsafeMutablePointer<Atomic<Int>>
    /// Changes once a loop.
    private let loop: UnsafeMutablePointer<CurrentLoop>

    private struct CurrentLoop: ~Copyable {
        let chunkCount = Atomic<Int>(0)
        let body = Atomic<Body?>(nil)
        let isStopped = Atomic<Bool>(false)
    }

    private let isRunning = Atomic<Bool>(false)
    private let bays: [ParkingBay]

    init(workerCount: Int) {
        bays = (0..<workerCount).map { _ in ParkingBay() }
        let spacing = 128
        memory = .allocate(byteCount: 3 * spacing, alignment: spacing)
        ticket = memory.bindMemory(to: Atomic<UInt64>.self, capacity: 1)
        ticket.initialize(to: Atomic(0))
        completedChunks = (memory + spacing).bindMemory(to: Atomic<Int>.self, capacity: 1)
        completedChunks.initialize(to: Atomic(0))
        loop = (memory + 2 * spacing).bindMemory(to: CurrentLoop.self, capacity: 1)
        loop.initialize(to: CurrentLoop())
    }

    deinit { memory.deallocate() }

    func run(chunkCount count: Int, body newBody: Body) {
        precondition(count < Int(Self.closed))
        // Two loops at once would wait for each other's chunks for ever.
        precondition(
            !isRunning.exchange(true, ordering: .acquiring), "a worker pool runs one loop at a time, and none within it"
        )
        defer { isRunning.store(false, ordering: .releasing) }
        // Releasing, so that whoever sees the new count or body sees the closed ticket too.
        ticket.pointee.store(ticket.pointee.load(ordering: .relaxed) | Self.closed, ordering: .relaxed)
        loop.pointee.chunkCount.store(count, ordering: .releasing)
        loop.pointee.body.store(newBody, ordering: .releasing)
        completedChunks.pointee.store(0, ordering: .relaxed)
        let generation = nextGeneration()
        claimChunks(of: generation, thread: 0)
        var spins = 0
        while completedChunks.pointee.load(ordering: .acquiring) < count {
            flash_pause()
            spins += 1
            // A worker that holds a chunk may need this very processor.
            if spins % Self.spinsBeforeParking == 0 { sched_yield() }
        }
    }

    func stop() {
        loop.pointee.isStopped.store(true, ordering: .relaxed)
        loop.pointee.chunkCount.store(0, ordering: .relaxed)
        _ = nextGeneration()
    }

    func workerLoop(index: Int) {
        var seen: UInt64 = 0
        while true {
            seen = waitForGeneration(after: seen, in: bays[index - 1])
            if loop.pointee.isStopped.load(ordering: .relaxed) { return }
            claimChunks(of: seen, thread: index)
        }
    }

    private func nextGeneration() -> UInt64 {
        let generation = (ticket.pointee.load(ordering: .relaxed) >> 32 + 1) & 0xFFFF_FFFF
        ticket.pointee.store(generation << 32, ordering: .sequentiallyConsistent)
        for bay in bays { bay.wakeUp() }
        return generation
    }

    private func claimChunks(of generation: UInt64, thread: Int) {
        var current = ticket.pointee.load(ordering: .acquiring)
        while current >> 32 == generation {
            let chunk = Int(current & 0xFFFF_FFFF)
            guard chunk < loop.pointee.chunkCount.load(ordering: .acquiring),
                let body = loop.pointee.body.load(ordering: .acquiring)
            else { return }
            let claim = ticket.pointee.compareExchange(
                expected: current, desired: current + 1, ordering: .acquiringAndReleasing)
            current = claim.original
            if claim.exchanged {
                body.pointee.run(chunk, thread)
                completedChunks.pointee.add(1, ordering: .releasing)
                current = ticket.pointee.load(ordering: .acquiring)
            }
        }
    }

    private func waitForGeneration(after seen: UInt64, in bay: ParkingBay) -> UInt64 {
        while true {
            for _ in 0..<Self.spinsBeforeParking {
                let generation = ticket.pointee.load(ordering: .acquiring) >> 32
                if generation != seen { return generation }
                flash_pause()
            }
            bay.park { ticket.pointee.load(ordering: .sequentiallyConsistent) >> 32 == seen }
        }
    }
}

/// Where one worker sleeps. Waker and sleeper each write their own word before they read the other's (sequentially
/// consistent), so one of them always notices; whoever takes the flag down decides about the one post.
private final class ParkingBay: @unchecked Sendable {
    private let isParked = Atomic<Bool>(false)
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        semaphore.initialize(to: sem_t())
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Sleeps until ``wakeUp()`` unless `isIdle` turns false meanwhile.
    func park(while isIdle: () -> Bool) {
        isParked.store(true, ordering: .sequentiallyConsistent)
        if !isIdle(), isParked.exchange(false, ordering: .sequentiallyConsistent) { return }
        while sem_wait(semaphore) != 0 {}  // interrupted by a signal
    }

    func wakeUp() {
        if isParked.load(ordering: .sequentiallyConsistent),
            isParked.exchange(false, ordering: .sequentiallyConsistent)
        {
            sem_post(semaphore)
        }
    }
}

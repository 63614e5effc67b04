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
/// workers spin for a while after each loop and only then park on a semaphore. Every thread begins with a share of
/// chunks that follow each other, as what they read does in memory, and who is done takes chunks from the others' ends:
/// a worker that the system suspends holds up one chunk, not its whole share.
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

    func run(chunks: Range<Int>, _ thread: Int) { type.run(at: address, chunks: chunks, thread: thread) }
}

extension ChunkedLoop {
    fileprivate static func run(at address: UnsafeRawPointer, chunks: Range<Int>, thread: Int) {
        let loop = address.assumingMemoryBound(to: Self.self)
        for chunk in chunks { loop.pointee.run(chunk: chunk, thread: thread) }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(run: @escaping @Sendable () -> Void) { self.run = run }
}

/// What the caller and its workers share.
///
/// Each thread has a share of the current loop's chunks: one word that holds the loop's generation in its upper half,
/// then the share's end and its first unclaimed chunk. Its owner claims from the front; whoever has finished its own
/// takes from the ends of the others'. A loop ends when all its shares are empty and done, so a claim that succeeds is
/// of the loop whose body the claimer has read: a word that has changed since, or of another generation, fails it. A
/// worker that wakes up late finds nothing to claim and is not waited for.
private final class Shared: @unchecked Sendable {
    typealias Body = UnsafePointer<LoopBody>

    /// Pauses of 20 to 45 nanoseconds (Zen 4, Skylake and later): longer in all than the serial work between two steps
    /// of a layer, short enough that an idle process soon stops burning its processors.
    private static let spinsBeforeParking = 1_000

    // Each of these has cache lines of its own (two: processors fetch lines in pairs), or every claim of a chunk would
    // take from the others what they wait for or read.
    private let memory: UnsafeMutableRawPointer
    private static let spacing = 128
    /// All spin on it; changes once a loop.
    private let generation: UnsafeMutablePointer<Atomic<UInt32>>
    /// The caller spins on it; finished chunks change it.
    private let completedUnits: UnsafeMutablePointer<Atomic<Int>>
    /// Changes once a loop.
    private let loop: UnsafeMutablePointer<CurrentLoop>
    private let threadCount: Int

    private struct CurrentLoop: ~Copyable {
        /// Chunks that are claimed together.
        let unit = Atomic<Int>(1)
        let chunkCount = Atomic<Int>(0)
        let body = Atomic<Body?>(nil)
        let isStopped = Atomic<Bool>(false)
    }

    private let isRunning = Atomic<Bool>(false)
    private let bays: [ParkingBay]

    init(workerCount: Int) {
        threadCount = workerCount + 1
        bays = (0..<workerCount).map { _ in ParkingBay() }
        let spacing = Self.spacing
        memory = .allocate(byteCount: (3 + threadCount) * spacing, alignment: spacing)
        generation = memory.bindMemory(to: Atomic<UInt32>.self, capacity: 1)
        generation.initialize(to: Atomic(0))
        completedUnits = (memory + spacing).bindMemory(to: Atomic<Int>.self, capacity: 1)
        completedUnits.initialize(to: Atomic(0))
        loop = (memory + 2 * spacing).bindMemory(to: CurrentLoop.self, capacity: 1)
        loop.initialize(to: CurrentLoop())
        for thread in 0..<threadCount {
            (memory + (3 + thread) * spacing).bindMemory(to: Atomic<UInt64>.self, capacity: 1)
                .initialize(to: Atomic(0))
        }
    }

    deinit { memory.deallocate() }

    private func share(_ thread: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (memory + (3 + thread) * Self.spacing).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    func run(chunkCount count: Int, body newBody: Body) {
        // Two loops at once would wait for each other's chunks for ever.
        precondition(
            !isRunning.exchange(true, ordering: .acquiring), "a worker pool runs one loop at a time, and none within it"
        )
        defer { isRunning.store(false, ordering: .releasing) }
        let unit = (count + Share.limit - 1) / Share.limit
        let units = (count + unit - 1) / unit
        loop.pointee.unit.store(unit, ordering: .relaxed)
        loop.pointee.chunkCount.store(count, ordering: .relaxed)
        loop.pointee.body.store(newBody, ordering: .relaxed)
        completedUnits.pointee.store(0, ordering: .relaxed)
        let next = generation.pointee.load(ordering: .relaxed) &+ 1
        for thread in 0..<threadCount {
            let range = Share.range(ofThread: thread, threadCount: threadCount, count: units)
            share(thread).pointee.store(
                Share(generation: next, range: range).word, ordering: .releasing)
        }
        begin(generation: next)
        claimChunks(of: next, thread: 0)
        var spins = 0
        while completedUnits.pointee.load(ordering: .acquiring) < units {
            flash_pause()
            spins += 1
            // A worker that holds a chunk may need this very processor.
            if spins % Self.spinsBeforeParking == 0 { sched_yield() }
        }
    }

    func stop() {
        loop.pointee.isStopped.store(true, ordering: .relaxed)
        begin(generation: generation.pointee.load(ordering: .relaxed) &+ 1)
    }

    func workerLoop(index: Int) {
        var seen: UInt32 = 0
        while true {
            seen = waitForGeneration(after: seen, in: bays[index - 1])
            if loop.pointee.isStopped.load(ordering: .relaxed) { return }
            claimChunks(of: seen, thread: index)
        }
    }

    private func begin(generation next: UInt32) {
        generation.pointee.store(next, ordering: .sequentiallyConsistent)
        for bay in bays { bay.wakeUp() }
    }

    private func claimChunks(of generation: UInt32, thread: Int) {
        var done = 0
        for offset in 0..<threadCount {
            let owner = (thread + offset) % threadCount
            while let claimed = claimUnit(of: generation, owner: owner, isOwn: offset == 0) {
                claimed.body.pointee.run(chunks: claimed.chunks, thread)
                done += 1
            }
        }
        if done > 0 { completedUnits.pointee.add(done, ordering: .releasing) }
    }

    private func claimUnit(of generation: UInt32, owner: Int, isOwn: Bool) -> (body: Body, chunks: Range<Int>)? {
        let word = share(owner)
        var current = word.pointee.load(ordering: .acquiring)
        while true {
            var share = Share(word: current)
            guard share.generation == generation, !share.range.isEmpty,
                let body = loop.pointee.body.load(ordering: .relaxed)
            else { return nil }
            let unit = loop.pointee.unit.load(ordering: .relaxed)
            let count = loop.pointee.chunkCount.load(ordering: .relaxed)
            let index = share.claim(fromFront: isOwn)
            let claim = word.pointee.compareExchange(
                expected: current, desired: share.word, ordering: .acquiringAndReleasing)
            if claim.exchanged { return (body, index * unit..<min((index + 1) * unit, count)) }
            current = claim.original
        }
    }

    private func waitForGeneration(after seen: UInt32, in bay: ParkingBay) -> UInt32 {
        while true {
            for _ in 0..<Self.spinsBeforeParking {
                let current = generation.pointee.load(ordering: .acquiring)
                if current != seen { return current }
                flash_pause()
            }
            bay.park { generation.pointee.load(ordering: .sequentiallyConsistent) == seen }
        }
    }
}

/// What is left of a thread's part of a loop, as one word.
private struct Share {
    let generation: UInt32
    var range: Range<Int>

    /// Numbers that half of a half of a word holds.
    static let limit = Int(UInt16.max)

    init(generation: UInt32, range: Range<Int>) {
        self.generation = generation
        self.range = range
    }

    init(word: UInt64) {
        generation = UInt32(word >> 32)
        let (lower, upper) = (Int(word & 0xFFFF), Int(word >> 16 & 0xFFFF))
        range = Range(uncheckedBounds: (lower, upper))
    }

    var word: UInt64 {
        UInt64(generation) << 32 | UInt64(range.upperBound) << 16 | UInt64(range.lowerBound)
    }

    mutating func claim(fromFront: Bool) -> Int {
        if fromFront {
            defer { range = Range(uncheckedBounds: (range.lowerBound + 1, range.upperBound)) }
            return range.lowerBound
        }
        range = Range(uncheckedBounds: (range.lowerBound, range.upperBound - 1))
        return range.upperBound
    }

    /// Even shares of `count`, in order.
    static func range(ofThread thread: Int, threadCount: Int, count: Int) -> Range<Int> {
        count * thread / threadCount..<count * (thread + 1) / threadCount
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

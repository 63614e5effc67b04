import Foundation
import Synchronization
import Tensors
import Testing

@Suite struct WorkerPoolTests {
    @Test(arguments: [1, 2, 3, 8], [0, 1, 2, 7, 64])
    func runsEveryChunkOnce(threadCount: Int, chunkCount: Int) {
        let pool = WorkerPool(threadCount: threadCount)
        for _ in 0..<200 {
            let runs = AlignedBuffer<Int>(repeating: 0, count: chunkCount)
            pool.forEachChunk(chunkCount) { chunk, thread in
                precondition((0..<threadCount).contains(thread))
                runs.elements[chunk] += 1
            }
            #expect(runs.elements.allSatisfy { $0 == 1 })
        }
    }

    /// Loops that follow each other at once, after a short pause (workers spin) and after a long one (workers parked).
    @Test(arguments: [0, 5, 2_000])
    func wakesWorkersHoweverLongTheyWaited(pauseMicroseconds: Int) async throws {
        let pool = WorkerPool(threadCount: 4)
        let total = Atomic<Int>(0)
        let loops = pauseMicroseconds == 0 ? 20_000 : 50
        for _ in 0..<loops {
            pool.forEachChunk(8) { chunk, _ in total.add(chunk, ordering: .relaxed) }
            if pauseMicroseconds > 0 { try await Task.sleep(for: .microseconds(pauseMicroseconds)) }
        }
        #expect(total.load(ordering: .relaxed) == loops * 28)
    }

    /// A worker that is late for a short loop must not take a chunk of the long one behind it.
    @Test(arguments: [2, 3, 8]) func keepsLoopsOfDifferentLengthsApart(threadCount: Int) {
        let pool = WorkerPool(threadCount: threadCount)
        let runs = AlignedBuffer<Int>(repeating: 0, count: 40)
        var wrong = 0
        for loop in 0..<10_000 {
            let chunkCount = loop % 2 == 0 ? 2 : 40
            for index in 0..<40 { runs.pointer[index] = 0 }
            pool.forEachChunk(chunkCount) { chunk, _ in runs.pointer[chunk] += 1 }
            for index in 0..<40 where runs.pointer[index] != (index < chunkCount ? 1 : 0) { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    /// More chunks than a share has numbers for are claimed several at a time.
    @Test(arguments: [65_535, 65_536, 200_001]) func runsManyChunksOnce(chunkCount: Int) {
        let pool = WorkerPool(threadCount: 3)
        let runs = AlignedBuffer<UInt8>(repeating: 0, count: chunkCount)
        pool.forEachChunk(chunkCount) { chunk, _ in runs.pointer[chunk] += 1 }
        #expect(runs.elements.allSatisfy { $0 == 1 })
    }

    /// Without the others' help this would wait for ever.
    @Test(.timeLimit(.minutes(20)), arguments: [2, 3, 8], [0, 3])
    func takesChunksFromAThreadThatIsHeldUp(threadCount: Int, chunk held: Int) {
        let pool = WorkerPool(threadCount: threadCount)
        let others = Atomic<Int>(0)
        pool.forEachChunk(8 * threadCount) { chunk, _ in
            if chunk == held {
                while others.load(ordering: .acquiring) < 8 * threadCount - 1 { usleep(100) }
            } else {
                others.add(1, ordering: .releasing)
            }
        }
        #expect(others.load(ordering: .relaxed) == 8 * threadCount - 1)
    }

    /// A thread's chunks follow each other, so that what it fetches ahead is its own.
    @Test func givesEveryThreadOneStretch() {
        let pool = WorkerPool(threadCount: 2)
        let threads = AlignedBuffer<Int>(repeating: -1, count: 8)
        let begun = Atomic<Int>(0)
        pool.forEachChunk(8) { chunk, thread in
            threads.pointer[chunk] = thread
            // Both have begun before either goes on.
            begun.add(1, ordering: .relaxed)
            while begun.load(ordering: .relaxed) < 2 { usleep(100) }
        }
        #expect(threads.pointer[0] == 0)
        // What one takes from the other comes from the end of its share.
        for share in [0..<4, 4..<8] {
            let own = share.map { threads.pointer[$0] }
            #expect(zip(own, own.dropFirst()).filter { $0 != $1 }.count <= 1, "\(own)")
        }
    }

    /// It would otherwise wait for itself for ever.
    @Test func refusesLoopsWithinLoops() async {
        await #expect(processExitsWith: .failure) {
            let pool = WorkerPool(threadCount: 2)
            pool.forEachChunk(2) { _, _ in pool.forEachChunk(2) { _, _ in } }
        }
    }

    @Test func stopsItsThreads() {
        for _ in 0..<100 { _ = WorkerPool(threadCount: 3) }
    }
}

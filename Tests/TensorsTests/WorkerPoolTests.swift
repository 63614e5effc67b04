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

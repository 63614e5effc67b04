import ModelFixtures
import Sparse
import Tensors
import TestSupport
import Testing

@testable import Transformer

/// How attention is cut into tasks, and that the cut shows in no result.
@Suite struct AttentionPlanTests {
    private static func configuration(heads: Int, keyValueHeads: Int) throws -> ModelConfiguration {
        var model = TinyModel()
        model.headCount = heads
        model.keyValueHeadCount = keyValueHeads
        return try OpenModel(model).configuration
    }

    private static func batch(_ runs: [(tokens: Int, position: Int)]) -> Batch {
        var batch = Batch()
        var firstBlock: Int32 = 0
        for run in runs {
            let blocks = Int32((run.position + run.tokens + 15) / 16)
            batch.append(
                tokens: [Int32](repeating: 1, count: run.tokens), firstPosition: run.position,
                blocks: firstBlock..<firstBlock + blocks)
            firstBlock += blocks
        }
        return batch
    }

    /// Every token looks at all of its context, once with every head.
    @Test(arguments: [(1, 1), (6, 2), (9, 3), (64, 1)]) func coversEverythingOnce(
        counts: (heads: Int, keyValueHeads: Int)
    ) throws {
        let configuration = try Self.configuration(heads: counts.heads, keyValueHeads: counts.keyValueHeads)
        var plan = AttentionPlan(configuration)
        let batch = Self.batch([
            (1, 0), (1, 127), (1, 128), (1, 8191), (3, 1000), (40, 2000), (300, 5), (16, 0), (17, 900),
        ])
        for _ in 0..<2 {
            plan.update(for: batch)
            var seen: [[Int]: Int] = [:]
            for task in plan.tasks {
                #expect(task.context.lowerBound % 16 == 0 && !task.context.isEmpty)
                for token in task.tokens {
                    seen[[token, task.keyValueHead], default: 0] += task.context.count
                    let last = task.firstPosition + task.tokens.count
                    #expect(task.context.upperBound <= last)
                }
            }
            for task in plan.tasks {
                // All parts together are the context of the last of the task's tokens.
                let covered = seen[[task.tokens.lowerBound, task.keyValueHead]]
                #expect(covered == task.firstPosition + task.tokens.count)
                let run = batch.runs[task.run]
                #expect(task.firstPosition - run.firstPosition == task.tokens.lowerBound - run.tokens.lowerBound)
            }
            #expect(seen.count == batch.tokens.count * counts.keyValueHeads)
            #expect(plan.cachePlaces.count == batch.tokens.count)
        }
    }

    /// Partial outputs lie behind each other without a gap.
    @Test func givesEveryPartItsPlace() throws {
        var plan = AttentionPlan(try Self.configuration(heads: 6, keyValueHeads: 2))
        plan.update(for: Self.batch([(1, 8191), (2, 500), (1, 5), (1, 3000)]))
        var used = 0
        for join in plan.joins {
            #expect(join.firstPartial == used && join.partCount > 1)
            used += join.partCount * join.tokens.count * 3
        }
        #expect(used == plan.partialCount)
        for (index, join) in plan.joins.enumerated() {
            #expect(plan.tasks.filter { $0.join == index }.map(\.part) == Array(0..<join.partCount))
        }
        // A sequence of eight thousand tokens keeps dozens of threads busy; one of a few tokens is not cut.
        #expect(plan.tasks.count { $0.run == 0 } >= 2 * 16)
        #expect(plan.tasks.count { $0.run == 2 } == 2)
    }

    /// Long contexts in parts: right, and the same to the last bit on any number of threads.
    @Test(arguments: [ElementType.f32, .f16, .i8]) func resultsDoNotDependOnThreads(element: ElementType) throws {
        var model = TinyModel()
        model.headCount = 6
        model.keyValueHeadCount = 2
        let tokens = model.randomTokens(310, seed: 5)
        let open = try OpenModel(model)
        var first: [[Float]]?
        for threads in [1, 2, 5] {
            let sequence = SingleSequence(open.configuration, open.weights, cache: element, threads: threads)
            try sequence.run(Array(tokens[..<150]))
            try sequence.run(Array(tokens[150..<306]))
            var found: [[Float]] = []
            for token in tokens[306..<309] {
                try sequence.run([token])
                found += try sequence.logits([0])
            }
            if let first { #expect(found == first, "\(threads) threads") } else { first = found }
        }
        // A cache of f16 or int8 errs by what it rounds, of f32 by nothing.
        let expected = Array(NaiveDecoder(model).logits(tokens)[306..<309])
        let error = largestDifference(try #require(first), expected)
        let largest = expected.joined().map(abs).max() ?? 0
        let tolerance = element == .f32 ? PackedModelTests.tolerance : (element == .f16 ? 2e-3 : 3e-2) * largest
        #expect(error <= tolerance)
    }
}

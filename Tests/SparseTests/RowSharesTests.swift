import Testing

@testable import Sparse

@Suite struct RowSharesTests {
    @Test(
        arguments: [[1], [31], [32, 33], [576], [576, 192, 192], [1536], [49_152], [0, 40, 0], [5, 1, 700]],
        [1, 2, 3, 8, 64])
    func coverEveryRowOnce(rows: [Int], threads: Int) {
        let matrices = rows.map { RowShares.Matrix(rows: $0, granularity: 16, rowCost: 3) }
        let chunks = RowShares(of: matrices, threadCount: threads).chunks
        #expect(chunks.count % threads == 0)
        for (index, matrix) in matrices.enumerated() {
            var end = 0
            for chunk in chunks where chunk.matrix == index && !chunk.rows.isEmpty {
                #expect(chunk.rows.lowerBound == end && chunk.rows.lowerBound % 16 == 0)
                end = chunk.rows.upperBound
            }
            #expect(end == matrix.rows)
        }
    }

    @Test(arguments: [[576], [576, 192, 192], [1536], [49_152]], [1, 2, 3, 8])
    func areEven(rows: [Int], threads: Int) {
        // The others have twice as many columns as the first one.
        let matrices = rows.enumerated().map { index, rows in
            RowShares.Matrix(rows: rows, granularity: 16, rowCost: index == 0 ? 1 : 2)
        }
        let chunks = RowShares(of: matrices, threadCount: threads).chunks
        let perThread = chunks.count / threads
        let costs = (0..<threads).map { thread in
            chunks[thread * perThread..<(thread + 1) * perThread]
                .reduce(0) { $0 + Double($1.rows.count) * matrices[$1.matrix].rowCost }
        }
        // Both ends of a share are rounded to whole pieces.
        #expect(costs.max()! - costs.min()! <= 2 * 16 * 2)
    }

    @Test func leaveTheirLastQuarterToOthers() {
        let chunks = RowShares(of: [.init(rows: 1024, granularity: 16, rowCost: 1)], threadCount: 2).chunks
        #expect(chunks.map(\.rows) == [0..<384, 384..<512, 512..<896, 896..<1024])
    }

    @Test func areOneStretchEach() {
        let matrices = [576, 192, 192].map { RowShares.Matrix(rows: $0, granularity: 16, rowCost: 1) }
        let chunks = RowShares(of: matrices, threadCount: 2).chunks
        #expect(
            chunks == [
                // The first thread's, as many as the second's.
                RowChunk(matrix: 0, rows: 0..<0), RowChunk(matrix: 0, rows: 0..<0),
                RowChunk(matrix: 0, rows: 0..<368), RowChunk(matrix: 0, rows: 368..<480),
                RowChunk(matrix: 0, rows: 480..<576), RowChunk(matrix: 1, rows: 0..<192),
                RowChunk(matrix: 2, rows: 0..<80), RowChunk(matrix: 2, rows: 80..<192),
            ])
    }
}

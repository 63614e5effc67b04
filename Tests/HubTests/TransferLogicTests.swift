import TestSupport
import Testing

@testable import Hub

@Suite struct RetryPolicyTests {
    private let policy = RetryPolicy()

    @Test func repeatsWhatMayPass() {
        let passing: [TransferFailure] = [
            .status(429, waitSeconds: nil, code: nil), .status(500, waitSeconds: nil, code: nil),
            .status(503, waitSeconds: nil, code: "x"), .status(408, waitSeconds: nil, code: nil),
            .connection(reason: "x"), .timedOut, .cutShort,
        ]
        for failure in passing {
            #expect(policy.decision(after: failure, failures: 1, jitter: 0.5) == .retry(afterSeconds: 1))
        }
    }

    @Test func doesNotRepeatWhatWillNot() {
        let lasting: [TransferFailure] = [
            .status(400, waitSeconds: nil, code: nil), .status(401, waitSeconds: 1, code: nil),
            .status(403, waitSeconds: nil, code: nil), .status(404, waitSeconds: nil, code: nil),
            .status(416, waitSeconds: nil, code: nil), .status(501, waitSeconds: nil, code: nil),
            .unacceptable(reason: "x"), .untrusted(reason: "x"), .cancelled,
        ]
        for failure in lasting {
            #expect(policy.decision(after: failure, failures: 1, jitter: 0.5) == .giveUp)
        }
    }

    @Test func waitsLongerEachTimeAndThenGivesUp() {
        let decisions = (1...7).map { policy.decision(after: .timedOut, failures: $0, jitter: 0.5) }
        let pauses: [RetryPolicy.Decision] = [1, 2, 4, 8, 16].map { .retry(afterSeconds: $0) }
        #expect(decisions == pauses + [.giveUp, .giveUp])
        var patient = policy
        patient.failureLimit = 1000
        #expect(patient.decision(after: .timedOut, failures: 999, jitter: 0.5) == .retry(afterSeconds: 30))
        #expect(patient.decision(after: .timedOut, failures: 1, jitter: 0) == .retry(afterSeconds: 0.75))
        #expect(patient.decision(after: .timedOut, failures: 1, jitter: 1) == .retry(afterSeconds: 1.25))
    }

    @Test func waitsAsLongAsTheServerSays() {
        func decision(_ seconds: Int) -> RetryPolicy.Decision {
            policy.decision(after: .status(429, waitSeconds: seconds, code: nil), failures: 1, jitter: 0)
        }
        #expect(decision(0) == .retry(afterSeconds: 0) && decision(300) == .retry(afterSeconds: 300))
        #expect(decision(301) == .giveUp && decision(.max) == .giveUp)
    }
}

@Suite struct AnswerHeadersTests {
    @Test func readsTags() {
        for (text, tag) in [("\"abc\"", "abc"), ("W/\"abc\"", "abc"), ("abc", "abc"), ("\"\"", ""), ("", "")] {
            #expect(AnswerHeaders([("etag", text)]).contentTag == tag)
        }
        #expect(AnswerHeaders([("ETag", "a"), ("X-Linked-ETAG", "\"b\"")]).contentTag == "b")
        #expect(AnswerHeaders([]).contentTag == nil)
    }

    @Test func readsRanges() throws {
        func range(_ text: String) -> (bytes: Range<Int>, total: Int?)? {
            AnswerHeaders([("Content-Range", text)]).contentRange
        }
        let full = try #require(range("bytes 5-9/20"))
        #expect(full.bytes == 5..<10 && full.total == 20)
        let open = try #require(range("Bytes 0-0/*"))
        #expect(open.bytes == 0..<1 && open.total == nil)
        for bad in [
            "", "bytes", "bytes 5-9", "bytes 9-5/20", "bytes 5-20/20", "bytes -5/20", "bytes 5-/20", "bytes */20",
            "items 5-9/20", "bytes 5-9/x", "bytes +5-9/20", "bytes 5-99999999999999999999/*", "bytes 5-9/20/30",
        ] { #expect(range(bad) == nil, "\(bad)") }
    }

    @Test func readsHowLongToWait() {
        let expected: [([(String, String)], Int?)] = [
            ([("Retry-After", "120")], 120), ([("Retry-After", "-1")], nil),
            ([("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")], nil),
            ([("RateLimit", "\"api\";r=0;t=55")], 55), ([("RateLimit", "\"api\"; r = 0; t = 55")], 55),
            ([("RateLimit", "\"api\";r=10;t=55")], nil), ([("RateLimit", "r=0")], nil), ([], nil),
            ([("Retry-After", "7"), ("RateLimit", "\"api\";r=0;t=55")], 7),
            ([("Retry-After", "99999999999999999999")], nil),
        ]
        for (fields, seconds) in expected { #expect(AnswerHeaders(fields).waitSeconds == seconds) }
    }

    @Test func readsSizes() {
        #expect(AnswerHeaders([("X-Linked-Size", "42")]).linkedByteCount == 42)
        for bad in ["", "-1", "4 2", "0x10", "1e3", "9999999999999999999"] {
            #expect(AnswerHeaders([("content-length", bad)]).contentLength == nil)
        }
    }
}

@Suite struct RangeScheduleTests {
    /// Against the naive model: an array of all bytes, in which each byte is filled once.
    @Test func handsOutEveryByteOnceAndInOrder() {
        var generator = SplitMix64(seed: 11)
        for end in [0, 1, 2, 63, 64, 65, 1000] {
            for (size, window) in [(1, 1), (1, 4), (7, 7), (64, 64), (64, 256), (2000, 2000)] {
                let start = end == 0 ? 0 : Int.random(in: 0...end, using: &generator)
                var schedule = RangeSchedule<Range<Int>>(
                    from: start, to: end, rangeByteCount: size, windowByteCount: window)
                var open: [Range<Int>] = []
                var next = start
                while !schedule.isComplete {
                    while let range = schedule.claim() {
                        #expect(range.count <= size && range.upperBound <= end)
                        open.append(range)
                    }
                    #expect(schedule.claimed - schedule.written <= window)
                    // Any connection brings any number of its bytes.
                    let index = Int.random(in: 0..<open.count, using: &generator)
                    let count = Int.random(in: 1...open[index].count, using: &generator)
                    let piece = open[index].prefix(count)
                    for ready in schedule.receive(piece, byteCount: count, at: piece.lowerBound) {
                        #expect(ready.lowerBound == next)
                        next = ready.upperBound
                    }
                    #expect(next == schedule.written)
                    schedule.checkInvariants()
                    open[index] = piece.upperBound..<open[index].upperBound
                    if open[index].isEmpty { open.remove(at: index) }
                }
                #expect(next == end && open.isEmpty && schedule.claim() == nil)
            }
        }
    }

    @Test func givesOutAllTheRest() {
        var schedule = RangeSchedule<Int>(from: 10, to: 100, rangeByteCount: 5, windowByteCount: 10)
        #expect(schedule.claim() == 10..<15)
        schedule.claimRest()
        #expect(schedule.claim() == nil && !schedule.isComplete)
        #expect(schedule.receive(1, byteCount: 90, at: 10) == [1])
        #expect(schedule.isComplete)
    }
}

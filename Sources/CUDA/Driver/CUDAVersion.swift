/// A version of CUDA: 12.4.
public struct CUDAVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let major: Int
    public let minor: Int

    public init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// From the driver's number: 12040 is 12.4.
    init(number: Int) { self.init(major: number / 1000, minor: number % 1000 / 10) }

    public static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }

    public var description: String { "\(major).\(minor)" }
}

/// What instructions a GPU has: compute capability 9.0 is Hopper.
public struct Capability: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let major: Int
    public let minor: Int

    /// The least that our kernels run on: tensor cores with bf16, and copies to shared memory behind the threads' back.
    public static let needed = Capability(major: 8, minor: 0)

    public init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// From an architecture's name: "sm_90"; nil for anything else.
    public init?(architecture: String) {
        guard architecture.hasPrefix("sm_") else { return nil }
        let digits = architecture.dropFirst(3)
        guard (2...3).contains(digits.count), digits.allSatisfy({ "0"..."9" ~= $0 }), let number = Int(digits) else {
            return nil
        }
        self.init(major: number / 10, minor: number % 10)
    }

    /// What compilers call it: "sm_90".
    public var architecture: String { "sm_\(major * 10 + minor)" }

    public static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }

    public var description: String { "\(major).\(minor)" }
}

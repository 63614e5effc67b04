/// How many blocks a grid has, or threads a block: in x, y and z.
public struct LaunchSize: Sendable, Equatable, CustomStringConvertible {
    public let x: Int
    public let y: Int
    public let z: Int

    public init(_ x: Int, _ y: Int = 1, _ z: Int = 1) {
        self.x = x
        self.y = y
        self.z = z
    }

    public var description: String { "\(x) x \(y) x \(z)" }
}

extension LaunchSize: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int) { self.init(value) }
}

public import OrderedJSON

/// What became of one matrix.
public struct MatrixReport: Sendable, Equatable {
    public let name: String
    public let elementCount: Int
    /// As stored: a weight too small for 16 bits has become a zero.
    public let zeroCount: Int
    /// The squared change of the matrix's output on the calibration tokens, as a share of the output's own square; nil
    /// if its inputs were not looked at.
    public let error: Double?
    public let seconds: Double

    public init(name: String, elementCount: Int, zeroCount: Int, error: Double?, seconds: Double) {
        self.name = name
        self.elementCount = elementCount
        self.zeroCount = zeroCount
        self.error = error
        self.seconds = seconds
    }

    public var json: JSON {
        [
            "name": .string(name), "elements": .integer(elementCount), "zeros": .integer(zeroCount),
            "error": error.map(JSON.number) ?? .null, "seconds": .number(seconds),
        ]
    }

    init?(_ json: JSON) {
        guard let name = json["name"]?.stringValue, let elements = json["elements"]?.intValue,
            let zeros = json["zeros"]?.intValue, let seconds = json["seconds"]?.doubleValue
        else { return nil }
        self.init(
            name: name, elementCount: elements, zeroCount: zeros, error: json["error"]?.doubleValue, seconds: seconds)
    }
}

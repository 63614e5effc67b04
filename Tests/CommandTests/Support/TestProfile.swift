import OrderedJSON

/// The profile of a made-up machine, so that what commands choose does not depend on where tests run.
struct TestProfile: Sendable {
    var processor = "Abacus 9"
    var bytesPerSecond = 1e10
    /// Elements in a second, by format, values, density and tokens. By default nothing ever waits for arithmetic, and
    /// what is the fastest is the smallest.
    var speed: @Sendable (_ format: String, _ values: String, _ density: Double, _ tokens: Int) -> Double = {
        _, _, _, _ in 1e12
    }

    private static let kinds = [
        ("dense", "f16"), ("tiled-csl", "f16"), ("tiled-bitmap", "f16"), ("sliced-ellpack", "f16"), ("dense", "i16"),
        ("tiled-bitmap", "i16"), ("dense", "i8"), ("tiled-bitmap", "i8"), ("dense", "i4"), ("tiled-bitmap", "i4"),
    ]

    var text: String {
        let tokens = [1, 16]
        let json: JSON = [
            "format_version": 1, "processor": .string(processor), "instruction_set": "beads", "threads": 3,
            "kernel_version": 2, "bytes_per_second": .number(bytesPerSecond),
            "kernels": .array(
                Self.kinds.map { format, values in
                    let densities = format == "dense" ? [1] : [0.1, 1]
                    return [
                        "format": .string(format), "values": .string(values),
                        "densities": .array(densities.map(JSON.number)), "tokens": .array(tokens.map(JSON.integer)),
                        "weights_per_second": .array(
                            densities.map { density in
                                .array(tokens.map { .number(speed(format, values, density, $0)) })
                            }),
                    ]
                }),
        ]
        return json.text()
    }
}

import CUDA
import OrderedJSON
import Terminal

extension DeviceInventory {
    func text(for traits: OutputTraits) -> String {
        let threads = "\(threads) thread\(threads == 1 ? "" : "s")"
        var text = "CPU     \(threads) of \((processor ?? "an unnamed processor").printable) (\(instructionSet))\n"
        let driver: CUDADriver
        switch self.driver {
        case .success(let found): driver = found
        case .failure(let error): return text + "GPU     none: \(error.description.printable)\n"
        }
        text += "driver  CUDA \(driver.version)\(Self.place(driver.path))\n"
        switch compiler {
        case .success(let compiler): text += "NVRTC   CUDA \(compiler.version)\(Self.place(compiler.path))\n"
        case .failure(let error): text += "NVRTC   none: \(error.description.printable)\n"
        }
        text += "\n" + table.text(for: traits)
        for gpu in gpus {
            if let problem = gpu.problem { text += "GPU \(gpu.device.ordinal): \(problem.description.printable)\n" }
        }
        return text
    }

    private static func place(_ path: String?) -> String { path.map { ", \($0.printable)" } ?? "" }

    private var table: Table {
        var table = Table([
            .text("GPU"), .text("name"), .number("capability"), .number("memory"), .number("free"),
            .number("bandwidth"), .number("multiprocessors"),
        ])
        for gpu in gpus {
            let device = gpu.device
            table.append([
                "\(device.ordinal)", device.name, "\(device.capability)", Format.bytes(device.memoryBytes),
                gpu.freeBytes.map(Format.bytes) ?? "n/a",
                device.nominalBytesPerSecond.map { Format.rate(bytesPerSecond: $0) } ?? "n/a",
                "\(device.multiprocessors)",
            ])
        }
        return table
    }

    var json: JSON {
        [
            "cpu": [
                "processor": processor.map(JSON.string) ?? .null, "instruction_set": .string(instructionSet),
                "threads": .integer(threads),
            ],
            "driver": Self.json(driver) { ["cuda": .string("\($0.version)"), "path": Self.json($0.path)] },
            "nvrtc": Self.json(compiler) { ["cuda": .string("\($0.version)"), "path": Self.json($0.path)] },
            "gpus": .array(gpus.map(Self.json)),
        ]
    }

    private static func json(_ text: String?) -> JSON { text.map(JSON.string) ?? .null }

    private static func json<Found>(_ result: Result<Found, CUDAError>, _ found: (Found) -> JSON) -> JSON {
        switch result {
        case .success(let value): found(value)
        case .failure(let error): ["missing": .string(error.description)]
        }
    }

    private static func json(_ gpu: GPU) -> JSON {
        let device = gpu.device
        return [
            "ordinal": .integer(device.ordinal),
            "name": .string(device.name),
            "capability": .string("\(device.capability)"),
            "memory_bytes": .integer(device.memoryBytes),
            "free_bytes": gpu.freeBytes.map(JSON.integer) ?? .null,
            "nominal_bytes_per_second": device.nominalBytesPerSecond.map(JSON.number) ?? .null,
            "multiprocessors": .integer(device.multiprocessors),
            "l2_bytes": .integer(device.l2Bytes),
            "shared_bytes_per_block": .integer(device.sharedBytesPerBlockOptIn),
            "problem": json(gpu.problem?.description),
        ]
    }
}

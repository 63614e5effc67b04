/// What one kernel takes of a multiprocessor, as the assembler's log says (`--ptxas-options=-v`).
public struct KernelResources: Sendable, Equatable {
    public let kernel: String
    public let architecture: String
    /// For each thread.
    public let registers: Int
    /// Declared in the kernel; what a launch asks for comes on top.
    public let staticSharedBytes: Int
    /// Local memory for each thread.
    public let stackBytes: Int
    /// Registers written to local memory and read back, because there were too few.
    public let spillStoreBytes: Int
    public let spillLoadBytes: Int

    /// Reads the log of one file.
    ///
    ///     ptxas info    : Compiling entry function 'probe_add' for 'sm_90'
    ///     ptxas info    : Function properties for probe_add
    ///         0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
    ///     ptxas info    : Used 8 registers, used 0 barriers, 2048 bytes smem
    ///
    /// - Returns: one for each kernel, in the log's order. Text of another form is passed over.
    public static func parse(_ log: String) -> [KernelResources] {
        var found: [KernelResources] = []
        var head: (kernel: String, architecture: String)?
        var memory: (stack: Int, stores: Int, loads: Int)?
        for line in log.split(whereSeparator: \.isNewline) {
            if line.contains("Compiling entry function") {
                let parts = line.split(separator: "'", omittingEmptySubsequences: false)
                head = parts.count >= 4 ? (String(parts[1]), String(parts[3])) : nil
                memory = nil
            } else if let stack = number(before: " bytes stack frame", in: line),
                let stores = number(before: " bytes spill stores", in: line),
                let loads = number(before: " bytes spill loads", in: line)
            {
                memory = (stack, stores, loads)
            } else if let registers = number(before: " registers", in: line), let (kernel, architecture) = head,
                let memory
            {
                found.append(
                    KernelResources(
                        kernel: kernel, architecture: architecture, registers: registers,
                        staticSharedBytes: number(before: " bytes smem", in: line) ?? 0, stackBytes: memory.stack,
                        spillStoreBytes: memory.stores, spillLoadBytes: memory.loads))
                head = nil
            }
        }
        return found
    }

    /// The whole number that stands before the first `words`.
    private static func number(before words: String, in line: Substring) -> Int? {
        guard let range = line.firstRange(of: words) else { return nil }
        let digits = line[..<range.lowerBound].reversed().prefix { "0"..."9" ~= $0 }
        return Int(String(digits.reversed()))
    }
}

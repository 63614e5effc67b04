#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension WorkerPool {
    /// Processors that this process may use: those it is allowed to run on, no more than its control group's quota.
    ///
    /// More threads than that would wait for each other: at every join of a layer all wait for the one that has to wait
    /// for a processor.
    public static var availableProcessorCount: Int {
        var count = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        #if os(Linux)
        if let allowed = ProcessorQuota.allowedProcessors() { count = min(count, allowed) }
        if let quota = ProcessorQuota.ofThisProcess() { count = min(count, Int(quota.rounded(.up))) }
        #endif
        return max(count, 1)
    }
}

/// What Linux lets a process have of its processors, from files of the kernel.
enum ProcessorQuota {
    /// Reads a file; nil if it cannot be read.
    typealias Reader = (_ path: String) -> String?

    /// Processors that this process may run on by its affinity (taskset, cpusets); nil where the kernel does not say.
    static func allowedProcessors(read: Reader = contents) -> Int? {
        // "Cpus_allowed:\tff,ffffffff": a bit for each processor.
        let name = "Cpus_allowed:"
        let line = read("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix(name) }
        guard let line else { return nil }
        let count = line.dropFirst(name.count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
        return count > 0 ? count : nil
    }

    /// How many processors' time the control groups give this process, 2.5 being five halves of a second each second:
    /// the smallest quota on the way from its group up to the root; nil if there is none.
    static func ofThisProcess(read: Reader = contents) -> Double? {
        guard let groups = read("/proc/self/cgroup") else { return nil }
        var smallest: Double?
        for line in groups.split(separator: "\n") {
            // "0::/path" in version 2; "4:cpu,cpuacct:/path" in version 1.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let controllers = parts[1].split(separator: ",")
            let root: String
            if controllers.isEmpty {
                root = "/sys/fs/cgroup"
            } else if controllers.contains("cpu") {
                root = "/sys/fs/cgroup/\(parts[1])"
            } else {
                continue
            }
            var names = parts[2].split(separator: "/")
            while true {
                let folder = ([root] + names.map(String.init)).joined(separator: "/")
                if let found = quota(ofFolder: folder, isVersion2: controllers.isEmpty, read: read) {
                    smallest = min(smallest ?? found, found)
                }
                if names.popLast() == nil { break }
            }
        }
        return smallest
    }

    private static func quota(ofFolder folder: String, isVersion2: Bool, read: Reader) -> Double? {
        if isVersion2 {
            // "max 100000" or "250000 100000"
            let fields = read(folder + "/cpu.max")?.split(whereSeparator: \.isWhitespace) ?? []
            return fields.count == 2 ? ratio(fields[0], fields[1]) : nil
        }
        // -1 is no quota.
        guard let quota = read(folder + "/cpu.cfs_quota_us"), let period = read(folder + "/cpu.cfs_period_us") else {
            return nil
        }
        return ratio(quota.prefix { !$0.isWhitespace }, period.prefix { !$0.isWhitespace })
    }

    private static func ratio(_ quota: Substring, _ period: Substring) -> Double? {
        guard let quota = Double(quota), let period = Double(period), quota > 0, period > 0,
            quota.isFinite, period.isFinite
        else { return nil }
        return min(quota / period, 1e6)
    }

    private static func contents(of path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        // Lines of a few dozen characters.
        let limit = 16384
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = fread(&bytes, 1, limit, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

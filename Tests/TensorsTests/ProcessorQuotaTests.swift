import Testing

@testable import Tensors

/// Control groups as containers and services have them.
@Suite struct ProcessorQuotaTests {
    private static func quota(_ files: [String: String]) -> Double? {
        ProcessorQuota.ofThisProcess { files[$0] }
    }

    @Test func readsVersion2() {
        let group = ["/proc/self/cgroup": "0::/a/b\n"]
        #expect(Self.quota(group) == nil)
        #expect(Self.quota(group.merging(["/sys/fs/cgroup/a/b/cpu.max": "max 100000\n"]) { $1 }) == nil)
        #expect(Self.quota(group.merging(["/sys/fs/cgroup/a/b/cpu.max": "250000 100000\n"]) { $1 }) == 2.5)
        // Within a container the group's own folder is the root.
        #expect(Self.quota(group.merging(["/sys/fs/cgroup/cpu.max": "50000 100000\n"]) { $1 }) == 0.5)
    }

    @Test func takesTheSmallestOfAllGroupsAbove() {
        let files = [
            "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
            "/sys/fs/cgroup/a/cpu.max": "300000 100000\n", "/sys/fs/cgroup/cpu.max": "max 100000\n",
        ]
        #expect(Self.quota(files) == 3)
    }

    @Test func readsVersion1() {
        var files = [
            "/proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/docker/1\n0::/\n",
            "/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "-1\n",
            "/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000\n",
        ]
        #expect(Self.quota(files) == nil)
        files["/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us"] = "150000\n"
        #expect(Self.quota(files) == 1.5)
    }

    @Test(arguments: ["", "x", "100000", "0 100000", "1 0", "nan 1", "-5 10", "inf 1"])
    func ignoresWhatItDoesNotUnderstand(text: String) {
        #expect(Self.quota(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": text]) == nil)
        #expect(Self.quota(["/proc/self/cgroup": text]) == nil)
    }

    @Test func countsAllowedProcessors() {
        func count(_ text: String) -> Int? {
            ProcessorQuota.allowedProcessors { $0 == "/proc/self/status" ? text : nil }
        }
        #expect(count("Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n") == 2)
        #expect(count("Cpus_allowed:\tf0,0000ffff\n") == 20)
        #expect(count("Cpus_allowed:\t0\n") == nil)
        #expect(count("Name:\tx\n") == nil)
    }

    @Test func countsAtLeastOneProcessor() { #expect(WorkerPool.availableProcessorCount >= 1) }
}

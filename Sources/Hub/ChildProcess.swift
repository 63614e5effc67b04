#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A program that runs for us, in a process group of its own so that it can be ended with all that it started.
///
/// Its standard input is empty; both its outputs go to one file, which cannot fill up as a pipe does.
struct ChildProcess {
    enum Outcome: Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    let program: String
    let arguments: [String]
    let environment: [String: String]
    /// The folder it works in. Nothing in it but our own files, so that Python finds no stranger's modules there.
    let workingFolder: String
    let logPath: String

    /// How often the child is looked at: often enough that nobody notices, rarely enough that it costs nothing.
    private static let pollMilliseconds = 25

    /// Runs the program to its end.
    /// - Parameter whileRunning: called again and again until then.
    /// - Throws: `fileFailed` if it cannot be started; `cancelled` if the task is, after the child and all that it
    ///   started have been killed.
    func run(whileRunning: () -> Void) async throws(HubError) -> Outcome {
        let identifier = try spawn()
        while true {
            if let outcome = try Self.outcome(of: identifier, options: WNOHANG) { return outcome }
            if Task.isCancelled {
                kill(-identifier, SIGKILL)
                _ = try Self.outcome(of: identifier, options: 0)
                throw .cancelled
            }
            whileRunning()
            try? await Task.sleep(for: .milliseconds(Self.pollMilliseconds))
        }
    }

    private func spawn() throws(HubError) -> pid_t {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, logPath, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Signals that this process ignores or blocks would stay ignored or blocked in the child.
        var none = sigset_t()
        var defaults = sigset_t()
        sigemptyset(&none)
        sigemptyset(&defaults)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&defaults, signal) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP) | Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))

        // The shell changes the folder and becomes the program; posix_spawn can do that on some systems only.
        let command = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", workingFolder, program] + arguments
        var identifier: pid_t = 0
        let status = Self.withCStrings(command) { argumentPointers in
            Self.withCStrings(environment.map { "\($0)=\($1)" }) { environmentPointers in
                posix_spawn(&identifier, command[0], &actions, &attributes, argumentPointers, environmentPointers)
            }
        }
        guard status == 0 else {
            throw .fileFailed(operation: "start", path: program, reason: String(cString: strerror(status)))
        }
        return identifier
    }

    /// How the child ended; nil if it still runs (with `WNOHANG` only).
    private static func outcome(of identifier: pid_t, options: Int32) throws(HubError) -> Outcome? {
        var status: Int32 = 0
        var result = waitpid(identifier, &status, options)
        while result < 0, errno == EINTR { result = waitpid(identifier, &status, options) }
        guard result >= 0 else { throw FileSystem.failure("wait for process", "\(identifier)") }
        guard result == identifier else { return nil }
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = strings.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }
}

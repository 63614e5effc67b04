import ModelFixtures
import OrderedJSON
import Sparse
import Testing

/// Which instructions a command computes with: the option's, else the environment's, else the best there are.
@Suite struct InstructionSetTests {
    private let scratch = ScratchFolder()
    private static let bench = "bench spmm --shapes 32x32 --sparsity 0.5 --tokens 1 --threads 1 --rounds 1 --memory 1"

    /// What `bench spmm --json` says it has measured.
    private func instructionSet(environment: String, options: String = "") throws -> String? {
        let command = "\(environment) exec \"$0\" \(Self.bench) --formats tiled-bitmap-f16 --json \(options)"
        return try Tool.shell(command, in: scratch).json()["instruction_set"]?.stringValue.map { String($0) }
    }

    @Test func followsTheEnvironment() throws {
        for kernels in Kernels.available {
            let name = kernels.instructionSet
            #expect(try instructionSet(environment: "FLASH_LLM_ISA=\(name)") == name)
        }
        let best = try #require(Kernels.available.first).instructionSet
        #expect(try instructionSet(environment: "FLASH_LLM_ISA=") == best)
        #expect(try instructionSet(environment: "unset FLASH_LLM_ISA;") == best)
    }

    @Test func prefersTheOption() throws {
        for kernels in Kernels.available {
            let name = kernels.instructionSet
            let options = "--instruction-set \(name)"
            #expect(try instructionSet(environment: "FLASH_LLM_ISA=portable", options: options) == name)
        }
    }

    /// One this machine lacks is as wrong as one that does not exist; help is given whatever the environment says.
    @Test func refusesWhatTheProcessorLacks() throws {
        let available = Kernels.available.map(\.instructionSet)
        let missing = Kernels.instructionSets.filter { !available.contains($0) }
        for name in missing + ["AVX2", "sse9", "avx512-emulated", " "] {
            for command in ["models", "run nothing", Self.bench] {
                try Tool.shell("FLASH_LLM_ISA='\(name)' exec \"$0\" \(command)", in: scratch).expectFailure(
                    "FLASH_LLM_ISA must be one of \(available.joined(separator: ", ")), which this processor has, "
                        + "found '\(name)'", status: 2)
            }
        }
        let help = try Tool.shell("FLASH_LLM_ISA=sse9 exec \"$0\" help", in: scratch)
        #expect(help.status == 0 && help.output.contains("FLASH_LLM_ISA"))
        try Tool.shell("exec \"$0\" \(Self.bench) --instruction-set sse9", in: scratch).expectFailure(
            "--instruction-set must be one of \(available.joined(separator: ", "))", "found 'sse9'", status: 64)
    }
}

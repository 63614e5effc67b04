import ArgumentParser
import OrderedJSON
import Terminal

struct DevicesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List what can compute here: the processor and the GPUs.",
        discussion: """
            Where there is no GPU, or none that can be used, one sentence says why; that is no failure.

            GPUs need NVIDIA's driver for CUDA 12.0 or later, and NVRTC, the compiler of their kernels, which comes \
            with the CUDA toolkit or from 'pip install nvidia-cuda-nvrtc'. FLASH_LLM_NVRTC names its file where it is \
            not found.

            Examples:
              flash-llm devices
              flash-llm devices --json | jq '.gpus[] | .name'
              FLASH_LLM_NVRTC=/opt/cuda/lib64/libnvrtc.so.13 flash-llm devices
            """)

    @Flag(help: "Print one JSON object: the processor, the driver, the compiler and an array of GPUs.")
    var json = false

    func run() throws {
        let console = Console()
        let inventory = DeviceInventory(environment: console.environment)
        if json {
            print(inventory.json.text())
        } else {
            print(inventory.text(for: console.output), terminator: "")
        }
    }
}

import CUDA
import Sparse
import Tensors

/// What can compute on this machine. Looking never fails: what is missing is part of the answer.
struct DeviceInventory {
    struct GPU {
        let device: Device
        /// Nil if the GPU could not be asked: then `problem` says why.
        let freeBytes: Int?
        let problem: CUDAError?
    }

    let processor: String?
    let instructionSet: String
    let threads: Int
    /// What GPUs are reached with, or why there are none.
    let driver: Result<CUDADriver, CUDAError>
    /// What kernels are compiled with, or why they cannot be.
    let compiler: Result<NVRTC, CUDAError>
    let gpus: [GPU]

    init(environment: [String: String]) {
        processor = Machine.processorName
        instructionSet = Kernels.best.instructionSet
        threads = WorkerPool.availableProcessorCount
        let path = NVRTC.path(in: environment)
        do throws(CUDAError) {
            let driver = try CUDADriver.system()
            gpus = try driver.devices().map(Self.gpu)
            self.driver = .success(driver)
            compiler = Result { () throws(CUDAError) in try driver.runtimeCompiler(path: path) }
        } catch {
            driver = .failure(error)
            gpus = []
            compiler = Result { () throws(CUDAError) in try NVRTC.load(path: path) }
        }
    }

    private static func gpu(_ device: Device) -> GPU {
        do throws(CUDAError) {
            let memory = try Context(device).memory()
            return GPU(device: device, freeBytes: memory.freeBytes, problem: nil)
        } catch {
            return GPU(device: device, freeBytes: nil, problem: error)
        }
    }
}

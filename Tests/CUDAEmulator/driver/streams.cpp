// Streams, events and graphs. Work is done at once, by the calling thread; while a stream is captured it is written
// down.
#include <chrono>

#include "driver.h"

using namespace emulator;

namespace emulator {

CUresult find_stream(CUstream handle, flash_cuda_stream *&stream) {
    // The default stream has three names, none of which is captured.
    static flash_cuda_stream default_stream;
    const bool is_default = reinterpret_cast<u64>(handle) <= 2;
    if (!is_default && !driver.streams.has(handle)) return refuse(invalid_handle, "unknown stream %p", handle);
    stream = is_default ? &default_stream : handle;
    return success;
}

CUresult run(flash_cuda_context &context, Work &work) {
    if (work.kind != Work::kernel) return run_memory_work(work);
    work.launch.parameters = work.parameters.data();
    driver.launches++;
    driver.blocks += u64(work.launch.grid[0]) * work.launch.grid[1] * work.launch.grid[2];
    return context.error = run_kernel(context.device, work.launch);
}

CUresult submit(Call &call, CUstream handle, Work work) {
    if (call.error != success) return call.error;
    flash_cuda_stream *stream;
    const CUresult error = find_stream(handle, stream);
    if (error != success) return error;
    if (stream->capture == nullptr) return run(*call.current, work);
    if (!stream->capture->is_valid) return capture_invalidated;
    stream->capture->works.push_back(std::move(work));
    return success;
}

static CUresult end_of_work(const Call &call, CUstream handle) {
    if (call.error != success) return call.error;
    flash_cuda_stream *stream;
    const CUresult error = find_stream(handle, stream);
    if (error != success) return error;
    if (stream->capture == nullptr) return success;
    stream->capture->is_valid = false;
    return refuse(capture_unsupported, "waiting for a stream that is being captured");
}

static double now_milliseconds() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
}

}  // namespace emulator

CUresult emulated_cuStreamCreate(CUstream *stream, unsigned int flags) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (flags > 1) return invalid_value;
    *stream = driver.streams.add({});
    return success;
}

CUresult emulated_cuStreamDestroy_v2(CUstream stream) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    return driver.streams.remove(stream) ? success : invalid_handle;
}

CUresult emulated_cuStreamSynchronize(CUstream stream) {
    const Call call(Call::context);
    return end_of_work(call, stream);
}

CUresult emulated_cuStreamWaitEvent(CUstream handle, CUevent event, unsigned int flags) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (flags > 1) return invalid_value;
    flash_cuda_stream *stream;
    const CUresult error = find_stream(handle, stream);
    if (error != success) return error;
    if (!driver.events.has(event)) return invalid_handle;
    // A stream that waits for an event of a captured one is captured with it.
    if (event->capture != nullptr && stream->capture == nullptr) stream->capture = event->capture;
    return success;
}

CUresult emulated_cuStreamBeginCapture_v2(CUstream handle, int mode) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (mode < 0 || mode > 2) return invalid_value;
    if (!driver.streams.has(handle)) return refuse(capture_unsupported, "the default stream cannot be captured");
    if (handle->capture != nullptr) return invalid_value;
    handle->capture = std::make_shared<Capture>();
    handle->is_origin = true;
    return success;
}

CUresult emulated_cuStreamEndCapture(CUstream handle, CUgraph *graph) {
    const Call call(Call::context);
    *graph = nullptr;
    if (call.error != success) return call.error;
    if (!driver.streams.has(handle)) return invalid_handle;
    if (handle->capture == nullptr || !handle->is_origin) return capture_unmatched;
    const std::shared_ptr<Capture> capture = handle->capture;
    driver.streams.for_each([&](flash_cuda_stream &stream) {
        if (stream.capture == capture) stream.capture = nullptr;
    });
    driver.events.for_each([&](flash_cuda_event &event) {
        if (event.capture == capture) event.capture = nullptr;
    });
    handle->is_origin = false;
    if (!capture->is_valid) return capture_invalidated;
    *graph = driver.graphs.add({capture->works});
    return success;
}

CUresult emulated_cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.graphs.has(graph)) return invalid_handle;
    *executable = driver.executables.add({graph->works});
    return success;
}

CUresult emulated_cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.executables.has(executable)) return invalid_handle;
    for (const Work &work : executable->works) {
        const CUresult error = submit(call, stream, work);
        if (error != success) return error;
    }
    return success;
}

CUresult emulated_cuGraphExecDestroy(CUgraphExec executable) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    return driver.executables.remove(executable) ? success : invalid_handle;
}

CUresult emulated_cuGraphDestroy(CUgraph graph) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    return driver.graphs.remove(graph) ? success : invalid_handle;
}

CUresult emulated_cuEventCreate(CUevent *event, unsigned int flags) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (flags > 7) return invalid_value;
    *event = driver.events.add({.is_timed = (flags & 2) == 0, .is_recorded = false, .milliseconds = 0, .capture = {}});
    return success;
}

CUresult emulated_cuEventDestroy_v2(CUevent event) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    return driver.events.remove(event) ? success : invalid_handle;
}

CUresult emulated_cuEventRecord(CUevent event, CUstream handle) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    flash_cuda_stream *stream;
    const CUresult error = find_stream(handle, stream);
    if (error != success) return error;
    if (!driver.events.has(event)) return invalid_handle;
    event->capture = stream->capture;
    if (stream->capture != nullptr) return success;
    event->is_recorded = true;
    event->milliseconds = now_milliseconds();
    return success;
}

CUresult emulated_cuEventSynchronize(CUevent event) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.events.has(event)) return invalid_handle;
    return event->capture == nullptr ? success : refuse(capture_unsupported, "waiting for a captured event");
}

CUresult emulated_cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.events.has(start) || !driver.events.has(end)) return invalid_handle;
    if (!start->is_timed || !end->is_timed || !start->is_recorded || !end->is_recorded) return invalid_handle;
    *milliseconds = float(end->milliseconds - start->milliseconds);
    return success;
}

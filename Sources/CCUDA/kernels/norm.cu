// The residual stream as products take it: normalised, and what else happens to it at that point.
#include "elements.cuh"
#include "gpu_parameters.h"
#include "reductions.cuh"

using namespace gpu;

namespace {

// Four columns of a row that lie beside each other.
struct Four {
    float values[4];
};

// Four columns of a vector that there may not be, and of which those behind the last are zero.
GPU_FUNCTION Four load_four(u64 vector, u32 column, u32 width) {
    Four four = {};
    if (vector == 0) return four;
    const float *from = reinterpret_cast<const float *>(vector) + column;
    // Rows of such a width are aligned.
    if (width % 4 == 0) {
        if (column >= width) return four;
        const Words4 words = load(reinterpret_cast<const Words4 *>(from));
        return {as_float(words.x), as_float(words.y), as_float(words.z), as_float(words.w)};
    }
#pragma unroll
    for (int index = 0; index < 4; index++) {
        if (column + index < width) four.values[index] = load(from + index);
    }
    return four;
}

// One row of the stream. A thread has four columns, and those that lie a multiple of all threads' columns behind them.
// The first ones stay in registers: most rows are no longer.
struct Row {
    static constexpr int kept = 4;
    static constexpr u32 stride = 4 * FLASH_GPU_NORM_THREADS;

    const flash_gpu_norm &parameters;
    u64 row;
    Four values[kept];

    GPU_FUNCTION explicit Row(const flash_gpu_norm &parameters) : parameters(parameters) {
        const auto *places = reinterpret_cast<const i32 *>(parameters.places);
        const u32 token = parameters.places == 0 ? block_x() : u32(load(places + block_x()));
        row = parameters.input + u64(token) * parameters.width * sizeof(float);
#pragma unroll
        for (int index = 0; index < kept; index++) values[index] = read(column(index));
    }

    GPU_FUNCTION static u32 column(u32 index) { return 4 * thread() + index * stride; }

    GPU_FUNCTION Four addend(u32 column) const { return load_four(parameters.addend, column, parameters.width); }

    // What is normalised.
    GPU_FUNCTION Four read(u32 column) const {
        Four four = load_four(row, column, parameters.width);
        if (!parameters.is_behind || parameters.addend == 0) return four;
        const Four other = addend(column);
#pragma unroll
        for (int index = 0; index < 4; index++) four.values[index] += other.values[index];
        return four;
    }

    // Adds to `sum` what four columns lie above `base`, or the squares of that.
    template <int power>
    GPU_FUNCTION float add(float sum, const Four &four, u32 column, float base) const {
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const float above = column + index < parameters.width ? four.values[index] - base : 0;
            sum = power == 2 ? fused_multiply_add(above, above, sum) : sum + above;
        }
        return sum;
    }

    // The mean of all columns' squares of what lies above `base`, or, where `power` is 1, of that itself.
    template <int power>
    GPU_FUNCTION float mean(float base, Shared shared) const {
        float sum = 0;
#pragma unroll
        for (int index = 0; index < kept; index++) sum = add<power>(sum, values[index], column(index), base);
        for (u32 place = column(kept); place < parameters.width; place += stride) {
            sum = add<power>(sum, read(place), place, base);
        }
        return block_sum(sum, shared) / float(parameters.width);
    }
};

// How a row's columns are changed.
struct Change {
    const flash_gpu_norm &parameters;
    float base, factor;

    // Writes four columns of the output, whose rows are filled up with zeros, and of the stream.
    template <typename Element>
    GPU_FUNCTION void apply(const Row &row, u32 column, const Four &values, const Four &weights) const {
        if (column >= parameters.output_stride) return;
        const bool is_plain = parameters.kind == FLASH_GPU_NORM_NONE;
        const Four bias = load_four(parameters.bias, column, parameters.width);
        Four results;
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const float value = values.values[index];
            const float result = is_plain ? value : (value - base) * factor * weights.values[index];
            results.values[index] = column + index < parameters.width ? result + bias.values[index] : 0;
        }
        if (parameters.sum != 0) {
            const u64 stream = parameters.sum + (row.row - parameters.input);
            change_stream(stream, column, sum(results, load_four(stream, column, parameters.width)));
        } else if (parameters.is_behind) {
            change_stream(row.row, column, results);
        } else if (parameters.addend != 0) {
            change_stream(row.row, column, sum(row.addend(column), values));
        }
        if (parameters.output == 0) return;
        u16 *output = reinterpret_cast<u16 *>(parameters.output) + u64(block_x()) * parameters.output_stride;
        const float(&four)[4] = results.values;
        const Words2 words = {Element::pack(four[0], four[1]), Element::pack(four[2], four[3])};
        store(reinterpret_cast<Words2 *>(output + column), words);
    }

    GPU_FUNCTION static Four sum(const Four &left, const Four &right) {
        Four sums;
#pragma unroll
        for (int index = 0; index < 4; index++) sums.values[index] = left.values[index] + right.values[index];
        return sums;
    }

    GPU_FUNCTION void change_stream(u64 row, u32 column, const Four &four) const {
        float *to = reinterpret_cast<float *>(row) + column;
#pragma unroll
        for (int index = 0; index < 4; index++) {
            if (column + index < parameters.width) store(to + index, four.values[index]);
        }
    }
};

template <typename Element>
GPU_FUNCTION void normalize(const flash_gpu_norm &parameters) {
    let_next_kernel_begin();
    // Weights are there before the kernel before this one has ended.
    Four weights[Row::kept];
#pragma unroll
    for (int index = 0; index < Row::kept; index++) {
        weights[index] = load_four(parameters.weight, Row::column(index), parameters.width);
    }
    wait_for_kernel_before();
    const Row row(parameters);
    Change change = {parameters, 0, 1};
    // The second sum has memory of its own: threads may still be reading the first.
    if (parameters.kind == FLASH_GPU_NORM_LAYER) change.base = row.mean<1>(0, shared_base());
    if (parameters.kind != FLASH_GPU_NORM_NONE) {
        const float square = row.mean<2>(change.base, shared_base() + 4 * FLASH_GPU_NORM_THREADS / warp_lanes);
        change.factor = reciprocal_square_root(square + parameters.epsilon);
    }
#pragma unroll
    for (int index = 0; index < Row::kept; index++) {
        change.apply<Element>(row, Row::column(index), row.values[index], weights[index]);
    }
    for (u32 column = Row::column(Row::kept); column < parameters.output_stride; column += Row::stride) {
        change.apply<Element>(
            row, column, row.read(column), load_four(parameters.weight, column, parameters.width));
    }
}

}  // namespace

GPU_KERNEL(normalize_f16, FLASH_GPU_NORM_THREADS, flash_gpu_norm) { normalize<F16>(parameters); }
GPU_KERNEL(normalize_bf16, FLASH_GPU_NORM_THREADS, flash_gpu_norm) { normalize<BF16>(parameters); }

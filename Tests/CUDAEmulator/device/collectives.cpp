// What the 32 lanes of a warp do together: each leaves its arguments and waits, the last one does the work for all.
#include "machine.h"
#include "matrix_product.h"
#include "shared_memory.h"

namespace emulator {

const char *name_of(Operation operation) {
    static const char *const names[] = {
        "warp_barrier", "warp",          "shuffle",       "shuffle_xor",   "shuffle_up",               "ballot",
        "multiply_f16", "multiply_bf16", "load_matrices", "load_matrices", "load_matrices_transposed",
    };
    return names[u8(operation)];
}

static Category category_of(Operation operation) {
    switch (operation) {
        case Operation::warp_barrier: return BARRIERS;
        case Operation::multiply_f16:
        case Operation::multiply_bf16: return MATRIX_PRODUCTS;
        case Operation::load_matrices_4:
        case Operation::load_matrices_2:
        case Operation::load_matrices_transposed_4: return MATRIX_LOADS;
        default: return SHUFFLES;
    }
}

static void check_company(const Warp &warp, Operation operation, Site site) {
    if (warp.present != ~0u) {
        fail(launch_failed, site, "%s in a warp of fewer than 32 threads", name_of(operation));
    }
    if (warp.ended != 0) {
        const u32 ended = warp.index * lanes_of_warp + u32(std::countr_zero(warp.ended));
        fail(launch_failed, site, "%s needs its whole warp, and thread %u has ended", name_of(operation), ended);
    }
    if (warp.arrived == 0) return;
    const bool is_same_site = std::bit_cast<const void *>(warp.site) == std::bit_cast<const void *>(site);
    if (warp.operation != operation || !is_same_site) {
        const u32 other = warp.index * lanes_of_warp + u32(std::countr_zero(warp.arrived));
        fail(
            launch_failed, site, "divergent warp: %s, while thread %u waits at %s of line %u", name_of(operation),
            other, name_of(warp.operation), unsigned(warp.site.line()));
    }
}

void collective(Operation operation, void *arguments, Site site) {
    count(category_of(operation));
    Lane *lane = machine.current;
    Warp &warp = *lane->warp;
    check_company(warp, operation, site);
    const u32 index = lane->thread % lanes_of_warp;
    lane->operation = operation;
    lane->site = site;
    warp.operation = operation;
    warp.site = site;
    warp.arguments[index] = arguments;
    warp.arrived |= 1u << index;
    if (warp.arrived != ~0u) {
        wait_for_others(State::at_collective);
        return;
    }
    settle_accesses(warp);
    perform(warp);
    warp.arrived = 0;
    begin_waiting_anew();
    make_ready(warp, ~0u);
}

// Which lane's value lane `index` gets.
static u32 source_of(Operation operation, u32 index, u32 operand) {
    switch (operation) {
        case Operation::warp:
        case Operation::shuffle: return operand & 31;
        case Operation::shuffle_xor: return index ^ (operand & 31);
        default: return index >= (operand & 31) ? index - (operand & 31) : index;
    }
}

static void perform_shuffle(Warp &warp) {
    for (u32 i = 0; i < lanes_of_warp; i++) {
        auto *own = static_cast<Exchange *>(warp.arguments[i]);
        const u32 source = source_of(warp.operation, i, own->operand);
        own->result = static_cast<Exchange *>(warp.arguments[source])->value;
    }
}

static void perform_ballot(Warp &warp) {
    u32 bits = 0;
    for (u32 i = 0; i < lanes_of_warp; i++) bits |= static_cast<Exchange *>(warp.arguments[i])->value << i;
    for (u32 i = 0; i < lanes_of_warp; i++) static_cast<Exchange *>(warp.arguments[i])->result = bits;
}

// Lane i gets the words at columns 2 * (i % 4) of row i / 4; transposed, of the matrix that has rows for columns.
static void perform_matrix_load(Warp &warp, u32 matrices, bool is_transposed) {
    u32 addresses[lanes_of_warp];
    for (u32 i = 0; i < lanes_of_warp; i++) addresses[i] = static_cast<MatrixLoad *>(warp.arguments[i])->row;
    count_matrix_conflicts(addresses, matrices, warp.site);
    for (u32 matrix = 0; matrix < matrices; matrix++) {
        u16 elements[8][8];
        for (u32 row = 0; row < 8; row++) {
            load_matrix_row(warp, matrix * 8 + row, addresses[matrix * 8 + row], elements[row]);
        }
        for (u32 i = 0; i < lanes_of_warp; i++) {
            const u32 row = i / 4, column = 2 * (i % 4);
            const u32 low = is_transposed ? elements[column][row] : elements[row][column];
            const u32 high = is_transposed ? elements[column + 1][row] : elements[row][column + 1];
            static_cast<MatrixLoad *>(warp.arguments[i])->words[matrix] = low | high << 16;
        }
    }
}

void perform(Warp &warp) {
    switch (warp.operation) {
        case Operation::warp_barrier: warp.epoch++; break;
        case Operation::warp:
        case Operation::shuffle:
        case Operation::shuffle_xor:
        case Operation::shuffle_up: perform_shuffle(warp); break;
        case Operation::ballot: perform_ballot(warp); break;
        case Operation::multiply_f16: multiply_f16(warp.arguments); break;
        case Operation::multiply_bf16: multiply_bf16(warp.arguments); break;
        case Operation::load_matrices_4: perform_matrix_load(warp, 4, false); break;
        case Operation::load_matrices_2: perform_matrix_load(warp, 2, false); break;
        case Operation::load_matrices_transposed_4: perform_matrix_load(warp, 4, true); break;
    }
}

}  // namespace emulator

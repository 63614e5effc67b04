#include "bank_conflicts.h"

#include <algorithm>

#include "shared_memory.h"

namespace emulator {

namespace {

constexpr u32 banks = 32;

u64 total;
std::vector<Conflicts> table;

// Accesses of several lanes that one instruction makes at a time.
struct Group {
    const void *instruction;
    u32 lanes;
    u32 addresses[lanes_of_warp];
    u8 bytes;
};

void add(const void *instruction, u32 extra) {
    total += extra;
    // Few instructions take turns, so the last ones looked up are the likeliest.
    for (size_t i = table.size(); i-- > 0;) {
        if (std::bit_cast<const void *>(table[i].site) != instruction) continue;
        table[i].instructions++;
        table[i].extra_wavefronts += extra;
        return;
    }
    table.push_back({std::bit_cast<Site>(instruction), 1, extra});
}

// Different words of one bank are served one after the other; the same word goes to all lanes at once.
struct Banks {
    u32 words[banks][banks];
    u32 counts[banks] = {};
    u32 most = 0;

    void take(u32 word) {
        const u32 bank = word % banks;
        u32 &count = counts[bank];
        for (u32 i = 0; i < count; i++) {
            if (words[bank][i] == word) return;
        }
        words[bank][count++] = word;
        most = std::max(most, count);
    }
};

// 4 bytes and less go 32 lanes at a time, 8 bytes 16, 16 bytes 8.
u32 extra_wavefronts_of(const Group &group) {
    const u32 words = group.bytes <= 4 ? 1 : group.bytes / 4, lanes = lanes_of_warp / words;
    u32 extra = 0;
    for (u32 first = 0; first < lanes_of_warp; first += lanes) {
        // Mostly every bank has one word.
        u32 used = 0;
        for (u32 lane = first; lane < first + lanes; lane++) {
            for (u32 i = 0; i < words; i++) used |= 1u << (group.addresses[lane] / 4 + i) % banks;
        }
        if (used == ~0u) continue;
        Banks turn;
        for (u32 lane = first; lane < first + lanes; lane++) {
            if ((group.lanes >> lane & 1) == 0) continue;
            for (u32 i = 0; i < words; i++) turn.take(group.addresses[lane] / 4 + i);
        }
        if (turn.most > 1) extra += turn.most - 1;
    }
    return extra;
}

// The usual case: all lanes have made the same accesses in the same order.
bool settle_together(Warp &warp) {
    Lane *lanes = machine.lanes + warp.index * lanes_of_warp;
    const size_t accesses = lanes[0].accesses.size();
    for (u32 i = 1; i < lanes_of_warp; i++) {
        if (lanes[i].accesses.size() != accesses) return false;
        for (size_t k = 0; k < accesses; k++) {
            if (lanes[i].accesses[k].instruction != lanes[0].accesses[k].instruction) return false;
        }
    }
    for (size_t k = 0; k < accesses; k++) {
        Group group{lanes[0].accesses[k].instruction, ~0u, {}, lanes[0].accesses[k].bytes};
        for (u32 i = 0; i < lanes_of_warp; i++) group.addresses[i] = lanes[i].accesses[k].address;
        add(group.instruction, extra_wavefronts_of(group));
    }
    return true;
}

// Lanes went different ways: the first accesses of each instruction are taken for one, the second ones, and so on.
void settle_apart(Warp &warp) {
    struct Place {
        const void *instruction;
        u32 occurrence;
        u32 lane;
        u32 address;
        u8 bytes;
    };
    std::vector<Place> places;
    for (u32 i = 0; i < lanes_of_warp; i++) {
        if ((warp.present >> i & 1) == 0) continue;
        std::vector<std::pair<const void *, u32>> seen;
        for (const Access &access : machine.lanes[warp.index * lanes_of_warp + i].accesses) {
            auto entry = std::find_if(
                seen.begin(), seen.end(), [&](const auto &other) { return other.first == access.instruction; });
            if (entry == seen.end()) entry = seen.insert(entry, {access.instruction, 0});
            places.push_back({access.instruction, entry->second++, i, access.address, access.bytes});
        }
    }
    const auto key = [](const Place &place) { return std::pair(place.instruction, place.occurrence); };
    std::sort(
        places.begin(), places.end(), [&](const Place &a, const Place &b) { return key(a) < key(b); });
    for (size_t first = 0; first < places.size();) {
        Group group{places[first].instruction, 0, {}, places[first].bytes};
        size_t end = first;
        for (; end < places.size() && key(places[end]) == key(places[first]); end++) {
            group.lanes |= 1u << places[end].lane;
            group.addresses[places[end].lane] = places[end].address;
        }
        add(group.instruction, extra_wavefronts_of(group));
        first = end;
    }
}

}  // namespace

u64 extra_wavefronts() { return total; }
const std::vector<Conflicts> &conflicts() { return table; }
void clear_conflicts() {
    total = 0;
    table.clear();
}

void settle_accesses(Warp &warp) {
    if (warp.present != ~0u || !settle_together(warp)) settle_apart(warp);
    for (u32 i = 0; i < u32(std::popcount(warp.present)); i++) {
        machine.lanes[warp.index * lanes_of_warp + i].accesses.clear();
    }
}

void count_matrix_conflicts(const u32 *addresses, u32 matrices, Site site) {
    u32 extra = 0;
    for (u32 matrix = 0; matrix < matrices; matrix++) {
        Banks turn;
        for (u32 row = 0; row < 8; row++) {
            for (u32 i = 0; i < 4; i++) turn.take(addresses[matrix * 8 + row] / 4 + i);
        }
        extra += turn.most - 1;
    }
    add(std::bit_cast<const void *>(site), extra);
}

}  // namespace emulator

// What the emulator's NVRTC makes of a source: kernels are compiled already, so an image only says that it is one.
#pragma once

namespace emulator {

constexpr char image_magic[16] = {'f', 'l', 'a', 's', 'h', ' ', 'e', 'm', 'u', 'l', 'a', 't', 'o', 'r', ' ', '1'};

struct Image {
    char magic[16];
    int architecture;  // 90 is sm_90
    char source_name[108];
};

// What a kernel is taken to need of a multiprocessor's 65,536.
constexpr int estimated_registers = 64;

}  // namespace emulator

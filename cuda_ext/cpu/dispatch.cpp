#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace splatalk {

namespace baseline { extern const KernelTable table; }
#ifdef SPLATALK_X86_LEVELS
namespace v3 { extern const KernelTable table; }
namespace v4 { extern const KernelTable table; }
#endif

namespace {

struct Level { const KernelTable* table; bool usable; };

const KernelTable& choose() {
    Level levels[] = {  // fastest first
#ifdef SPLATALK_X86_LEVELS
        {&v4::table, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx2") &&
                         __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")},
        {&v3::table, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                         __builtin_cpu_supports("bmi2")},
#endif
        {&baseline::table, true},
    };
    const char* wanted = std::getenv("SPLATALK_ISA");
    const KernelTable* fastest = nullptr;
    for (const Level& level : levels) {
        if (!level.usable) continue;
        if (wanted && std::strcmp(wanted, level.table->name) == 0) return *level.table;
        if (!fastest) fastest = level.table;
    }
    return *fastest;
}

}  // namespace

const KernelTable& kernels() {
    static const KernelTable& chosen = choose();
    return chosen;
}

}  // namespace splatalk

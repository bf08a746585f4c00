// The executor behind host_shim.h: one block at a time, one fiber for each of its threads.
#include "host_shim.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "host_fiber.h"

namespace splatalk {
namespace shim {

Now now;

namespace {

constexpr size_t kMaxThreads = 1024, kMaxSharedBytes = 227 * 1024;  // of a block; shared memory of compute capability 9.0
constexpr unsigned char kUnwritten = 0xff, kCanary = 0xa5;
constexpr size_t kCanaryBytes = 64;

enum class State { kReady, kAtBarrier, kInWarp, kDone };

struct Thread {
    Context context;
    State state;
    uint3 index;
    Site site;              // where it waits
    const char* operation;  // and in which warp operation,
    unsigned mask;          // with which mask
    unsigned lanes;         // that took part in the last one
};

struct Warp {
    uint64_t deposits[32], values[32];  // of lanes that wait, and of the last completed exchange
};

struct SharedBlock {
    void* memory;
    size_t bytes;
};

struct Executor {
    std::mutex launching;
    Launch launch;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::vector<SharedBlock> shared;
    std::vector<uint64_t> dynamic;
    std::unique_ptr<unsigned char[]> stacks;
    size_t stack_count = 0;
    Context scheduler;
    size_t current = 0;
    std::string error;
    unsigned order = 0;
};

// Never destroyed: static SharedArrays and interpreters shut down in any order.
Executor& executor() {
    static Executor* instance = new Executor;
    return *instance;
}

unsigned char* stack_of(size_t thread) {
    Executor& e = executor();
    unsigned char* aligned = (unsigned char*)(((uintptr_t)e.stacks.get() + 15) & ~(uintptr_t)15);
    return aligned + (thread + 1) * kStackBytes;  // below lies room for what the lowest may write beyond its end
}

void wait(State state) {
    Executor& e = executor();
    Thread& thread = e.threads[e.current];
    thread.state = state;
    switch_context(thread.context, e.scheduler);
}

void fiber_entry() {
    Executor& e = executor();
    try {
        e.launch.body(e.launch.arguments);
    } catch (const std::exception& problem) {
        e.error = problem.what();
    }
    wait(State::kDone);
}

std::string name_of(uint3 v) {
    return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
}

std::string place(Site site) {
    const char* slash = std::strrchr(site.file, '/');
    return std::string(slash ? slash + 1 : site.file) + ":" + std::to_string(site.line);
}

std::string header() {
    return std::string("kernel ") + executor().launch.kernel + ", block " + name_of(now.block) + ": ";
}

std::string where(const Thread& t) {
    if (t.state == State::kDone) return "have returned";
    if (t.state == State::kAtBarrier) return "wait in __syncthreads at " + place(t.site);
    char mask[16];
    std::snprintf(mask, sizeof mask, "0x%08x", t.mask);
    return std::string("wait in ") + t.operation + " at " + place(t.site) + " with mask " + mask;
}

[[noreturn]] void stuck() {
    std::map<std::string, std::pair<size_t, uint3>> groups;
    for (const Thread& t : executor().threads) {
        auto found = groups.emplace(where(t), std::make_pair(size_t(0), t.index)).first;
        ++found->second.first;
    }
    std::string text = header() + "the threads cannot go on:";
    for (const auto& group : groups)
        text += " " + std::to_string(group.second.first) + " (first " + name_of(group.second.second) + ") " + group.first + ";";
    text.pop_back();
    throw Fault(text);
}

void resume(size_t index) {
    Executor& e = executor();
    Thread& thread = e.threads[index];
    e.current = index;
    now.thread = thread.index;
    switch_context(e.scheduler, thread.context);
    if (!e.error.empty()) throw Fault(header() + "thread " + name_of(thread.index) + ": " + e.error);
    const unsigned char* bottom = stack_of(index);
    if (std::any_of(bottom, bottom + kCanaryBytes, [](unsigned char c) { return c != kCanary; }))
        throw Fault(header() + "thread " + name_of(thread.index) + " uses more than 64 KiB of stack");
}

// Lets every group of lanes go on that is complete. False when no lane could be released.
bool complete_exchanges(size_t warp_index, size_t first, size_t end) {
    Executor& e = executor();
    Warp& warp = e.warps[warp_index];
    bool released = false;
    for (size_t i = first; i < end; ++i) {
        const Thread lead = e.threads[i];
        if (lead.state != State::kInWarp) continue;
        unsigned lanes = 0;
        bool complete = true;
        for (size_t j = first; j < end && complete; ++j) {
            const Thread& t = e.threads[j];
            if (!(lead.mask >> (j - first) & 1) || t.state == State::kDone) continue;
            complete = t.state == State::kInWarp && t.mask == lead.mask && t.site.line == lead.site.line &&
                       t.site.file == lead.site.file && t.operation == lead.operation;
            lanes |= 1u << (j - first);
        }
        if (!complete) continue;
        for (size_t j = first; j < end; ++j) {
            if (!(lanes >> (j - first) & 1)) continue;
            warp.values[j - first] = warp.deposits[j - first];
            e.threads[j].lanes = lanes;
            e.threads[j].state = State::kReady;
        }
        released = true;
    }
    return released;
}

void run_warp(size_t warp, const std::vector<size_t>& lane_order) {
    const size_t first = warp * 32, end = std::min(first + 32, executor().threads.size());
    do {
        for (size_t lane : lane_order)
            if (first + lane < end && executor().threads[first + lane].state == State::kReady) resume(first + lane);
    } while (complete_exchanges(warp, first, end));
}

// Opens the barrier when every thread waits at it. True when the block has finished.
bool finish_or_open_barrier() {
    std::vector<Thread>& threads = executor().threads;
    const Thread& lead = threads.front();
    for (const Thread& t : threads)
        if (t.state != lead.state || t.state == State::kInWarp ||
            (t.state == State::kAtBarrier && (t.site.line != lead.site.line || t.site.file != lead.site.file)))
            stuck();
    if (lead.state == State::kDone) return true;
    for (Thread& t : threads) t.state = State::kReady;
    return false;
}

std::vector<size_t> turns(size_t count, unsigned salt) {
    std::vector<size_t> out(count);
    std::iota(out.begin(), out.end(), size_t(0));
    const unsigned order = executor().order;
    if (order == 1) std::reverse(out.begin(), out.end());
    if (order > 1) std::shuffle(out.begin(), out.end(), std::mt19937(order + 7919 * salt));
    return out;
}

void start_block() {
    Executor& e = executor();
    const dim3 size = now.block_size;
    for (const SharedBlock& s : e.shared) std::memset(s.memory, kUnwritten, s.bytes);
    std::memset(e.dynamic.data(), kUnwritten, e.dynamic.size() * sizeof(uint64_t));
    for (size_t i = 0; i < e.threads.size(); ++i) {
        Thread& t = e.threads[i];
        t.state = State::kReady;
        t.index = {(unsigned)(i % size.x), (unsigned)(i / size.x % size.y), (unsigned)(i / size.x / size.y)};
        std::memset(stack_of(i), kCanary, kCanaryBytes);
        prepare(t.context, stack_of(i), fiber_entry);
    }
}

void run_block(unsigned number) {
    start_block();
    const size_t warps = executor().warps.size();
    do {
        const std::vector<size_t> lane_order = turns(32, number);
        for (size_t warp : turns(warps, number)) run_warp(warp, lane_order);
    } while (!finish_or_open_barrier());
}

size_t count_of(dim3 d) { return (size_t)d.x * d.y * d.z; }

void set_up(const Launch& launch) {
    Executor& e = executor();
    const size_t threads = count_of(launch.block);
    const std::string kernel = std::string("kernel ") + launch.kernel + ": ";
    if (threads == 0 || threads > kMaxThreads || launch.block.z > 64)
        throw Fault(kernel + "a block cannot have " + std::to_string(threads) + " threads");
    if (count_of(launch.grid) == 0 || launch.grid.x > 0x7fffffffu || launch.grid.y > 65535 || launch.grid.z > 65535)
        throw Fault(kernel + "an empty or too large grid");
    if (launch.shared_bytes > kMaxSharedBytes) throw Fault(kernel + "too much shared memory");
    e.launch = launch;
    e.error.clear();
    e.threads.resize(threads);
    e.warps.resize((threads + 31) / 32);
    e.dynamic.resize((launch.shared_bytes + 7) / 8);
    if (e.stack_count < threads) {
        e.stacks.reset(new unsigned char[(threads + 1) * kStackBytes + 16]);
        e.stack_count = threads;
    }
    now.grid_size = launch.grid;
    now.block_size = launch.block;
}

}  // namespace

void run(const Launch& launch) {
    std::lock_guard<std::mutex> alone(executor().launching);
    set_up(launch);
    for (size_t block : turns(count_of(launch.grid), 1)) {
        const size_t x = launch.grid.x, y = launch.grid.y;
        now.block = {(unsigned)(block % x), (unsigned)(block / x % y), (unsigned)(block / x / y)};
        run_block((unsigned)block);
    }
}

void set_order(unsigned order) { executor().order = order; }

void fail(const std::string& message) { throw Fault(message); }

void sync_threads(const char* file, int line) {
    executor().threads[executor().current].site = {file, line};
    wait(State::kAtBarrier);
}

Exchange exchange(Site site, const char* operation, unsigned mask, uint64_t value) {
    Executor& e = executor();
    Thread& thread = e.threads[e.current];
    const unsigned lane = (unsigned)(e.current % 32);
    Warp& warp = e.warps[e.current / 32];
    if (!(mask >> lane & 1)) fail(std::string(operation) + " at " + place(site) + " without the caller in its mask");
    warp.deposits[lane] = value;
    thread.site = site;
    thread.operation = operation;
    thread.mask = mask;
    wait(State::kInWarp);
    return {warp.values, thread.lanes, lane};
}

unsigned active_mask() { return 1u << (executor().current % 32); }

void register_shared(void* memory, size_t bytes) {
    std::memset(memory, kUnwritten, bytes);
    executor().shared.push_back({memory, bytes});
}

void* dynamic_shared() { return executor().dynamic.data(); }
size_t dynamic_shared_bytes() { return executor().launch.shared_bytes; }

void out_of_range(long long index, size_t size) {
    fail("index " + std::to_string(index) + " into shared memory of " + std::to_string(size) + " elements");
}

}  // namespace shim

void set_zero(void* memory, size_t bytes, Stream) { std::memset(memory, 0, bytes); }
void copy_to_host(void* host, const void* device, size_t bytes, Stream) { std::memcpy(host, device, bytes); }
void check_launches(const char*) {}
std::string device_problem() { return ""; }

}  // namespace splatalk

"""The host shim itself: it runs right kernels right, and tells what is wrong with wrong ones instead of hanging."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[2] / "cuda_ext" / "cuda"
COMPILER = os.environ.get("CXX") or shutil.which("c++")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


@pytest.fixture(scope="module", params=["own switch", "ucontext"])
def run(request, tmp_path_factory):
    """Runs a case of shim_kernels.cu; what it prints."""
    program = tmp_path_factory.mktemp("shim") / "shim_kernels"
    define = ["-DSPLATALK_SHIM_UCONTEXT"] if request.param == "ucontext" else []
    files = [*(str(SOURCES / name) for name in ("host_shim.cpp", "host_fiber.cpp")), "-x", "c++"]
    files.append(str(HERE / "shim_kernels.cu"))
    assert COMPILER is not None
    subprocess.run([COMPILER, "-std=c++17", "-O0", *define, f"-I{SOURCES}", *files, "-o", str(program)], check=True)

    def run(case: str, order: int = 0) -> str:
        command = [str(program), case, str(order)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return result.stdout.strip()

    return run


@pytest.mark.parametrize("case", ["barrier", "warps", "partial_warps", "atomics", "unwritten"])
def test_right_kernels_are_right_in_any_order(run, case):
    assert [run(case, order) for order in (0, 1, 12345)] == ["ok"] * 3


def test_a_barrier_that_some_threads_never_reach_is_told(run):
    message = run("early_return")
    assert "kernel leaves_early, block (0, 0, 0)" in message
    assert "7 (first (33, 0, 0)) have returned" in message and "33 (first (0, 0, 0)) wait in __syncthreads" in message


def test_two_barriers_at_once_are_told(run):
    assert run("barrier_mismatch").count("wait in __syncthreads at shim_kernels.cu") == 2


def test_a_shuffle_from_a_lane_elsewhere_is_told(run):
    assert "__shfl_sync reads lane 0, which takes no part" in run("shuffle_mismatch")


def test_lanes_in_different_shuffles_are_told(run):
    message = run("warp_mismatch")
    assert "cannot go on" in message and message.count("with mask 0xffffffff") == 2


def test_indices_beyond_shared_memory_are_told(run):
    assert "thread (31, 0, 0): index 32 into shared memory of 32 elements" in run("out_of_range")
    assert "index 100 into shared memory of 100 elements" in run("dynamic_memory")


def test_a_stack_that_is_too_deep_is_told(run):
    assert "uses more than 64 KiB of stack" in run("deep_stack")


def test_a_missing_barrier_shows(run):
    """In every order some thread reads what is not written yet."""
    assert all("a race" in run("missing_barrier", order) for order in (0, 1, 12345))

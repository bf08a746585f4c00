# The CUDA kernels, twice from the same sources:
#   _cuda       by nvcc, where a working one is found; the runtime is linked statically, so that loading it needs no driver
#   _cuda_host  by the C++ compiler through host_shim.h: every kernel's logic runs in the tests of machines without a GPU
# A missing, broken or old nvcc costs a message, never the installation. Switches (CMake, or the environment variable of
# the same name): SPLATALK_CUDA=OFF builds no _cuda; SPLATALK_CUDA_ARCHITECTURES="90" or "native" replaces the list below.

set(CUDA_KERNELS runtime raster_lists raster_sort raster_forward raster_backward
    hash_triplane ssim playback_frame playback_pose)              # cuda/NAME.cu
set(CUDA_BINDINGS cuda_module cuda_raster cuda_avatar)            # bindings/NAME.cpp
set(CUDA_DEFAULT_ARCHITECTURES 80 86 89 90 120)                   # the last one also as PTX, for later devices

foreach(option SPLATALK_CUDA SPLATALK_CUDA_ARCHITECTURES)
  if(NOT DEFINED ${option} AND DEFINED ENV{${option}})
    set(${option} "$ENV{${option}}")
  endif()
endforeach()
if(NOT DEFINED SPLATALK_CUDA)
  set(SPLATALK_CUDA ON)
endif()

list(TRANSFORM CUDA_BINDINGS REPLACE "(.+)" "bindings/\\1.cpp" OUTPUT_VARIABLE CUDA_BINDING_FILES)

# --- _cuda_host: each kernel file is compiled as C++ by way of a file that includes it.
set(HOST_KERNELS cuda/host_shim.cpp cuda/host_fiber.cpp)
foreach(kernel ${CUDA_KERNELS})
  set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/cuda_host/${kernel}.cpp)
  file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/cuda/${kernel}.cu\"\n")
  list(APPEND HOST_KERNELS ${wrapper})
endforeach()
nanobind_add_module(_cuda_host NOMINSIZE NB_DOMAIN splatalk_cuda_host ${CUDA_BINDING_FILES} ${HOST_KERNELS})
target_compile_definitions(_cuda_host PRIVATE SPLATALK_CUDA_ON_HOST SPLATALK_CUDA_MODULE=_cuda_host SPLATALK_CUDA_ARCHITECTURES="host")
target_compile_options(_cuda_host PRIVATE -Wall -Wextra -Wno-unused-function -Wno-unknown-pragmas -Wno-psabi -O2 -ffp-contract=off -fno-math-errno)
install(TARGETS _cuda_host LIBRARY DESTINATION splatalk/kernels)

# --- _cuda
if(NOT SPLATALK_CUDA)
  message(STATUS "CUDA kernels are not built: SPLATALK_CUDA is off.")
  return()
endif()
find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE OR NOT TARGET CUDA::cudart_static)
  message(STATUS "CUDA kernels are not built: no CUDA toolkit (nvcc and the static runtime) was found.")
  return()
endif()
if(CUDAToolkit_VERSION VERSION_LESS 12.0)
  message(STATUS "CUDA kernels are not built: nvcc ${CUDAToolkit_VERSION} is too old, 12.0 is needed (12.8 for every architecture).")
  return()
endif()

# Of the wanted architectures those that this nvcc knows.
if(SPLATALK_CUDA_ARCHITECTURES)
  string(REPLACE "," ";" wanted "${SPLATALK_CUDA_ARCHITECTURES}")
else()
  set(wanted ${CUDA_DEFAULT_ARCHITECTURES})
endif()
set(CODE_FLAGS)
set(architectures)
if(wanted STREQUAL "native")
  set(CODE_FLAGS -arch=native)
  set(architectures native)
else()
  execute_process(COMMAND ${CUDAToolkit_NVCC_EXECUTABLE} --list-gpu-arch OUTPUT_VARIABLE known ERROR_QUIET)
  foreach(arch ${wanted})
    if(known MATCHES "compute_${arch}[\r\n]")
      list(APPEND architectures ${arch})
      list(APPEND CODE_FLAGS -gencode=arch=compute_${arch},code=sm_${arch})
    endif()
  endforeach()
  if(NOT architectures)
    message(STATUS "CUDA kernels are not built: nvcc ${CUDAToolkit_VERSION} knows none of ${wanted}.")
    return()
  endif()
  list(GET architectures -1 newest)
  list(APPEND CODE_FLAGS -gencode=arch=compute_${newest},code=compute_${newest})
endif()

set(NVCC_FLAGS -std=c++17 -O3 --threads 2 -ccbin ${CMAKE_CXX_COMPILER} -Xcompiler=-fPIC,-fvisibility=hidden
    -Xcudafe=--diag_suppress=177)  # 177: a static function of a header that one file does not use
set(probe ${CMAKE_CURRENT_BINARY_DIR}/cuda_probe)
file(WRITE ${probe}.cu "#include <functional>\n#include \"${CMAKE_CURRENT_SOURCE_DIR}/cuda/device.h\"\n"
                       "__global__ void probe(float* x) { x[threadIdx.x] = splatalk::exp2_fast(x[threadIdx.x]); }\n")
execute_process(COMMAND ${CUDAToolkit_NVCC_EXECUTABLE} ${NVCC_FLAGS} ${CODE_FLAGS} -c ${probe}.cu -o ${probe}.o
                RESULT_VARIABLE failed OUTPUT_VARIABLE complaint ERROR_VARIABLE complaint)
if(failed)
  message(STATUS "CUDA kernels are not built: nvcc ${CUDAToolkit_VERSION} cannot compile here:\n${complaint}")
  return()
endif()

file(GLOB CUDA_HEADERS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/*.h ${CMAKE_CURRENT_SOURCE_DIR}/cuda/*.cuh
     ${CMAKE_CURRENT_SOURCE_DIR}/common/*.h)
set(CUDA_OBJECTS)
foreach(kernel ${CUDA_KERNELS})
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/cuda/${kernel}.cu)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/cuda_${kernel}.o)
  add_custom_command(OUTPUT ${object} DEPENDS ${source} ${CUDA_HEADERS} VERBATIM COMMENT "nvcc ${kernel}.cu"
                     COMMAND ${CUDAToolkit_NVCC_EXECUTABLE} ${NVCC_FLAGS} ${CODE_FLAGS} -c ${source} -o ${object})
  list(APPEND CUDA_OBJECTS ${object})
endforeach()
set_source_files_properties(${CUDA_OBJECTS} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
nanobind_add_module(_cuda NOMINSIZE NB_DOMAIN splatalk_cuda ${CUDA_BINDING_FILES} ${CUDA_OBJECTS})
string(REPLACE ";" " " architecture_names "${architectures}")
target_compile_definitions(_cuda PRIVATE SPLATALK_CUDA_MODULE=_cuda SPLATALK_CUDA_ARCHITECTURES="${architecture_names}")
target_compile_options(_cuda PRIVATE -Wall -Wextra -O2)
target_link_libraries(_cuda PRIVATE CUDA::cudart_static)
install(TARGETS _cuda LIBRARY DESTINATION splatalk/kernels)
message(STATUS "CUDA kernels are built by nvcc ${CUDAToolkit_VERSION} for compute capabilities ${architecture_names}.")

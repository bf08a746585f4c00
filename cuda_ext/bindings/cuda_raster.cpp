#include "cuda_bindings.h"

namespace splatalk {

void bind_raster(nanobind::module_&) {}

}  // namespace splatalk

// The table of this instruction set; see dispatch.cpp for the choice between them.
#include "kernels.h"

#define SPLATALK_STRING_(x) #x
#define SPLATALK_STRING(x) SPLATALK_STRING_(x)

namespace splatalk {
namespace SPLATALK_ISA {

void project(const View&, const Gaussians&, Screen*, float*, int);
void tiles_forward(const View&, const Screen*, const TileLists&, Background, float*, float*, int);
void tiles_backward(const View&, const Screen*, const TileLists&, const float*, const float*, const float*,
                    const float*, ScreenSums*, int);
void project_backward(const View&, const Gaussians&, const Screen*, const ScreenSums*, GaussianGradients, int);
void hash_forward(const HashTriplane&, const float*, int64_t, const float*, float*, int);
void hash_backward_tables(const HashTriplane&, const float*, int64_t, const float*, float*, int);
void hash_backward_positions(const HashTriplane&, const float*, int64_t, const float*, const float*, float*, int);
SimilaritySums ssim_forward(const ImagePair&, float*, int);
void ssim_backward(const ImagePair&, const float*, float, float, float*, int);
void attention_mlp_forward(const AttentionMlp&, const float*, const float*, int64_t, float*, float*, int);
void attention_mlp_backward(const AttentionMlp&, const float*, const float*, int64_t, const float*, const float*, float*,
                            float*, int);
void pose(const Canonical&, const Movement&, const Bone*, Posed, int);
void pose_backward(const Canonical&, const Movement&, const Bone*, const PosedValues&, const PosedGradients&, CanonicalGradients,
                   float*, int);
int64_t perceptual_kept(int, int);
int64_t perceptual_packed();
double perceptual_forward(const PicturePair&, const float*, float*, int);
void perceptual_backward(const PicturePair&, const float*, const float*, float, float*, int);

extern const KernelTable table;
const KernelTable table = {SPLATALK_STRING(SPLATALK_ISA), project,      tiles_forward,        tiles_backward,
                           project_backward,              hash_forward, hash_backward_tables, hash_backward_positions,
                           ssim_forward,                  ssim_backward, attention_mlp_forward, attention_mlp_backward,
                           pose,                          pose_backward, perceptual_kept,      perceptual_packed,
                           perceptual_forward,            perceptual_backward};

}  // namespace SPLATALK_ISA
}  // namespace splatalk

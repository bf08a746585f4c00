// Three passes: pose (Gaussians of a frame into textures), draw (blend them, back to front), compose (put them over the
// background). Constants and formulas are those of cuda_ext/common/gaussian.h.

/** Gaussians a row of every per-Gaussian texture. */
export const COLUMNS = 512;

const HEADER = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;
precision highp isampler2DArray;
`;

/** One triangle that covers the viewport. */
export const COVER = `${HEADER}
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}`;

/** Attribute += sum of coefficient times basis, then the two bones. A fragment is a Gaussian.
 * The results are stored as bit patterns, because drawing into float textures is an extension and into integers is not. */
export const POSE = `${HEADER}
uniform sampler2D u_means;         // xyz canonical metres, w weight of the head bone
uniform sampler2D u_quats;         // wxyz
uniform sampler2D u_scales;        // xyz log scales, w opacity logit
uniform sampler2D u_colors;
uniform isampler2DArray u_bases;   // one layer a coefficient
uniform sampler2D u_coefficients;  // (K, 1), multiplied by the bases' scales
uniform int u_ends[5];             // coefficients before the end of each attribute
uniform int u_dynamic;
uniform mat4 u_head, u_torso;      // canonical to world
uniform vec4 u_head_quat, u_torso_quat;
layout(location = 0) out uvec4 o_mean;   // xyz world metres; blue and opacity
layout(location = 1) out uvec4 o_quat;
layout(location = 2) out uvec4 o_scale;  // xyz metres; red and green

vec4 times(vec4 a, vec4 b) {  // quaternions, w first
  return vec4(a.x * b.x - dot(a.yzw, b.yzw), a.x * b.yzw + b.x * a.yzw + cross(a.yzw, b.yzw));
}

vec3 moved(ivec2 at, int from, int to) {
  vec3 sum = vec3(0.0);
  for (int k = from; k < to; k++)
    sum += texelFetch(u_coefficients, ivec2(k, 0), 0).x * vec3(texelFetch(u_bases, ivec3(at, k), 0).xyz);
  return sum;
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec4 mean = texelFetch(u_means, at, 0), quat = texelFetch(u_quats, at, 0), scale = texelFetch(u_scales, at, 0);
  vec3 color = texelFetch(u_colors, at, 0).rgb;
  if (at.y * ${COLUMNS} + at.x < u_dynamic) {
    mean.xyz += moved(at, 0, u_ends[0]);
    quat = times(vec4(1.0, 0.5 * moved(at, u_ends[0], u_ends[1])), quat);
    scale.xyz += moved(at, u_ends[1], u_ends[2]);
    scale.w += moved(at, u_ends[2], u_ends[3]).x;
    color += moved(at, u_ends[3], u_ends[4]);
  }
  float w = mean.w;
  vec3 world = mix((u_torso * vec4(mean.xyz, 1.0)).xyz, (u_head * vec4(mean.xyz, 1.0)).xyz, w);
  vec4 turned = normalize(times(mix(u_torso_quat, u_head_quat, w), quat));
  vec3 size = exp(scale.xyz);
  float opacity = 1.0 / (1.0 + exp(-scale.w));
  color = max(color, 0.0);
  o_mean = uvec4(floatBitsToUint(world), packHalf2x16(vec2(color.b, opacity)));
  o_quat = floatBitsToUint(turned);
  o_scale = uvec4(floatBitsToUint(size), packHalf2x16(color.rg));
}`;

/** A quad around the ellipse where a Gaussian's alpha falls below 1/255. Four vertices a Gaussian, in drawing order. */
export const DRAW_VERTEX = `${HEADER}
uniform usampler2D u_order, u_mean, u_quat, u_scale;
uniform mat4 u_view;       // world to camera
uniform vec4 u_intrinsics; // fx, fy, cx, cy in pixels
uniform vec2 u_size;       // pixels
out vec2 v_at;             // standard deviations from the mean
flat out vec4 v_color;

const float NEAR = 0.01, LOW_PASS = 0.3, MIN_ALPHA = 1.0 / 255.0;

mat3 rotation(vec4 q) {
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

void main() {
  int slot = gl_VertexID >> 2;
  int index = int(texelFetch(u_order, ivec2(slot % ${COLUMNS}, slot / ${COLUMNS}), 0).x);
  ivec2 at = ivec2(index % ${COLUMNS}, index / ${COLUMNS});
  uvec4 mean = texelFetch(u_mean, at, 0), size = texelFetch(u_scale, at, 0);
  vec2 blue_opacity = unpackHalf2x16(mean.w);
  float opacity = blue_opacity.y;
  v_color = vec4(unpackHalf2x16(size.w), blue_opacity);
  v_at = vec2(0.0);
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);  // outside: nothing is drawn

  vec3 p = (u_view * vec4(uintBitsToFloat(mean.xyz), 1.0)).xyz;
  float squared = 2.0 * log(opacity / MIN_ALPHA);
  if (!(p.z > NEAR && squared > 0.0)) return;
  float inverse = 1.0 / p.z;
  vec2 f = u_intrinsics.xy, c = u_intrinsics.zw;
  vec2 margin = 0.15 * u_size / f;
  vec2 limited = clamp(p.xy * inverse, -c / f - margin, (u_size - c) / f + margin);
  mat3 half_covariance = mat3(u_view) * rotation(uintBitsToFloat(texelFetch(u_quat, at, 0)));
  vec3 scale = uintBitsToFloat(size.xyz);
  vec2 j = f * inverse;
  vec3 u, v;  // the covariance's root on the screen, pixels: rows of J W R S
  for (int k = 0; k < 3; k++) {
    vec3 axis = half_covariance[k] * scale[k];
    u[k] = j.x * (axis.x - limited.x * axis.z);
    v[k] = j.y * (axis.y - limited.y * axis.z);
  }
  float xx = dot(u, u) + LOW_PASS, yy = dot(v, v) + LOW_PASS, xy = dot(u, v);
  vec3 minors = cross(u, v);
  float det = LOW_PASS * (xx + yy - LOW_PASS) + dot(minors, minors);  // Cauchy-Binet: exact for needles too
  float radius = length(vec2(0.5 * (xx - yy), xy));
  float large = 0.5 * (xx + yy) + radius, small = det / large;
  vec2 axis = xx >= yy ? vec2(large - yy, xy) : vec2(xy, large - xx);
  axis = radius > 0.0 ? normalize(axis) : vec2(1.0, 0.0);
  vec2 corner = vec2(slot * 4 + 1 == gl_VertexID || slot * 4 + 3 == gl_VertexID ? 1.0 : -1.0,
                     gl_VertexID - slot * 4 >= 2 ? 1.0 : -1.0);
  v_at = corner * sqrt(squared);
  vec2 pixel = f * p.xy * inverse + c + v_at.x * sqrt(large) * axis + v_at.y * sqrt(small) * vec2(-axis.y, axis.x);
  gl_Position = vec4(pixel / u_size * vec2(2.0, -2.0) + vec2(-1.0, 1.0), 0.0, 1.0);
}`;

export const DRAW_FRAGMENT = `${HEADER}
in vec2 v_at;
flat in vec4 v_color;
out vec4 o_color;
void main() {
  float alpha = min(0.999, v_color.a * exp(-0.5 * dot(v_at, v_at)));
  if (alpha < 1.0 / 255.0) discard;
  o_color = vec4(v_color.rgb * alpha, alpha);
}`;

/** The person over plate, colour or nothing. Beyond its edges the plate goes on mirrored and ever more blurred. */
export const COMPOSE = `${HEADER}
uniform sampler2D u_person;     // premultiplied
uniform sampler2D u_plate;
uniform vec4 u_background;      // premultiplied; drawn when there is no plate
uniform bool u_has_plate;
uniform vec4 u_to_plate;        // scale and offset from pixels (y down) to the plate, 0..1
uniform float u_height;         // pixels
out vec4 o_color;

vec3 plate(vec2 uv) {
  vec2 outside = max(max(-uv, uv - 1.0), 0.0);
  float distance = max(outside.x, outside.y);
  if (distance == 0.0) return textureLod(u_plate, uv, 0.0).rgb;
  float lod = min(sqrt(distance) * 9.0, 5.0);
  float step = exp2(lod) / float(textureSize(u_plate, 0).x);
  vec3 sum = vec3(0.0);
  for (int y = -1; y <= 1; y++)
    for (int x = -1; x <= 1; x++)
      sum += textureLod(u_plate, uv + step * vec2(x, y), lod).rgb * float((2 - abs(x)) * (2 - abs(y)));
  return sum / 16.0;
}

void main() {
  vec4 person = texelFetch(u_person, ivec2(gl_FragCoord.xy), 0);
  vec2 pixel = vec2(gl_FragCoord.x, u_height - gl_FragCoord.y);
  vec4 behind = u_has_plate ? vec4(plate(pixel * u_to_plate.xy + u_to_plate.zw), 1.0) : u_background;
  o_color = clamp(person + (1.0 - person.a) * behind, 0.0, 1.0);
}`;

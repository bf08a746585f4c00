// Poses the Gaussians of a frame on the GPU, into textures that drawing reads.
import { ATTRIBUTES, type Compact } from "../compact/decode";
import { poseMatrix } from "../math";
import type { Frame, Pose } from "../types";
import { bind, exactTexture, program, setMatrix, Uniforms } from "./gl";
import { COLUMNS, COVER, POSE } from "./shaders";

export class Poser {
  /** Means, quaternions and scales in the world, as bit patterns (see POSE). */
  readonly posed: readonly WebGLTexture[];
  private readonly program: WebGLProgram;
  private readonly uniforms: Uniforms;
  private readonly inputs: ReadonlyArray<readonly [name: string, target: GLenum, texture: WebGLTexture]>;
  private readonly coefficients: WebGLTexture;
  private readonly scaled: Float32Array;
  private readonly framebuffer: WebGLFramebuffer;
  private readonly rows: number;

  constructor(private readonly gl: WebGL2RenderingContext, private readonly compact: Compact) {
    this.rows = Math.ceil(compact.count / COLUMNS);
    this.program = program(gl, COVER, POSE);
    this.uniforms = new Uniforms(gl, this.program);
    this.coefficients = exactTexture(gl, gl.TEXTURE_2D);
    this.scaled = new Float32Array(Math.max(1, compact.coefficients));
    this.inputs = [
      ["u_means", gl.TEXTURE_2D, this.perGaussian(compact.means, 3, compact.bone)],
      ["u_quats", gl.TEXTURE_2D, this.perGaussian(compact.quats, 4)],
      ["u_scales", gl.TEXTURE_2D, this.perGaussian(compact.logScales, 3, compact.opacityLogits)],
      ["u_colors", gl.TEXTURE_2D, this.perGaussian(compact.color, 3)],
      ["u_bases", gl.TEXTURE_2D_ARRAY, this.basisLayers()],
      ["u_coefficients", gl.TEXTURE_2D, this.coefficients],
    ];
    this.posed = [0, 1, 2].map(() => {
      const texture = exactTexture(gl, gl.TEXTURE_2D);
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32UI, COLUMNS, this.rows);
      return texture;
    });
    this.framebuffer = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    this.posed.forEach((texture, i) =>
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, texture, 0));
    gl.drawBuffers(this.posed.map((_, i) => gl.COLOR_ATTACHMENT0 + i));
  }

  pose(frame: Frame): void {
    const { gl, uniforms, compact } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.viewport(0, 0, COLUMNS, this.rows);
    gl.disable(gl.BLEND);
    gl.useProgram(this.program);
    this.uploadCoefficients(frame);
    this.inputs.forEach(([name, target, texture], unit) => bind(gl, unit, target, texture, uniforms.at(name)));
    gl.uniform1i(uniforms.at("u_dynamic"), compact.dynamic);
    setMatrix(gl, uniforms.at("u_head"), poseMatrix(frame.head));
    setMatrix(gl, uniforms.at("u_torso"), poseMatrix(frame.torso));
    const head = normalised(frame.head), torso = normalised(frame.torso);
    const same = head.reduce((sum, v, i) => sum + v * torso[i], 0) < 0 ? -1 : 1;
    gl.uniform4fv(uniforms.at("u_head_quat"), head);
    gl.uniform4fv(uniforms.at("u_torso_quat"), torso.map((v) => same * v));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  private uploadCoefficients(frame: Frame): void {
    const { gl, compact, scaled } = this;
    const ends: number[] = [];
    let at = 0;
    for (const name of ATTRIBUTES) {
      for (const scale of compact.bases[name].scale) scaled[at] = frame.coefficients[at++] * scale;
      ends.push(at);
    }
    gl.bindTexture(gl.TEXTURE_2D, this.coefficients);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, scaled.length, 1, 0, gl.RED, gl.FLOAT, scaled);
    gl.uniform1iv(this.uniforms.at("u_ends"), ends);
  }

  /** (N, columns) values, and optionally another as the fourth of a texel. */
  private perGaussian(values: Float32Array, columns: number, fourth?: Float32Array): WebGLTexture {
    const { gl, rows } = this;
    const texels = new Float32Array(4 * COLUMNS * rows);
    for (let i = 0, n = values.length / columns; i < n; i++) {
      for (let j = 0; j < columns; j++) texels[4 * i + j] = values[columns * i + j];
      if (fourth) texels[4 * i + 3] = fourth[i];
    }
    const texture = exactTexture(gl, gl.TEXTURE_2D);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, COLUMNS, rows, 0, gl.RGBA, gl.FLOAT, texels);
    return texture;
  }

  private basisLayers(): WebGLTexture {
    const { gl, compact } = this;
    const rows = Math.max(1, Math.ceil(compact.dynamic / COLUMNS));
    const texture = exactTexture(gl, gl.TEXTURE_2D_ARRAY);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RGBA8I, COLUMNS, rows, Math.max(1, compact.coefficients));
    const texels = new Int8Array(4 * COLUMNS * rows);
    let layer = 0;
    for (const name of ATTRIBUTES) {
      const { rank, width, data } = compact.bases[name];
      for (let k = 0, at = 0; k < rank; k++) {
        for (let i = 0; i < compact.dynamic; i++) for (let j = 0; j < width; j++) texels[4 * i + j] = data[at++];
        gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, layer++, COLUMNS, rows, 1, gl.RGBA_INTEGER, gl.BYTE, texels);
      }
    }
    return texture;
  }
}

function normalised(pose: Pose): number[] {
  const norm = Math.hypot(pose[0], pose[1], pose[2], pose[3]) || 1;
  return [pose[0] / norm, pose[1] / norm, pose[2] / norm, pose[3] / norm];
}

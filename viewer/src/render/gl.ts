// Small helpers over WebGL2.
import { PlayerError } from "../errors";

/** @throws PlayerError the shader does not compile here. After a lost context nothing compiles; that is no error. */
export function program(gl: WebGL2RenderingContext, vertex: string, fragment: string): WebGLProgram {
  const made = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(type);
    if (!shader) break;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost())
    throw new PlayerError(
      `This browser's graphics cannot draw the avatar (${gl.getProgramInfoLog(made) ?? "no reason given"}).`,
      "Update the browser or the graphics driver, or try another browser.",
    );
  return made;
}

/** Looks uniforms up once. */
export class Uniforms {
  private readonly found = new Map<string, WebGLUniformLocation | null>();

  constructor(private readonly gl: WebGL2RenderingContext, private readonly of: WebGLProgram) {}

  at(name: string): WebGLUniformLocation | null {
    if (!this.found.has(name)) this.found.set(name, this.gl.getUniformLocation(this.of, name));
    return this.found.get(name) ?? null;
  }
}

/** A texture that is read texel by texel. */
export function exactTexture(gl: WebGL2RenderingContext, target: GLenum): WebGLTexture {
  const texture = gl.createTexture();
  gl.bindTexture(target, texture);
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return texture;
}

/** Bind a texture to a unit and tell the sampler `location` of it. */
export function bind(
  gl: WebGL2RenderingContext, unit: number, target: GLenum, texture: WebGLTexture, location: WebGLUniformLocation | null,
): void {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(target, texture);
  gl.uniform1i(location, unit);
}

/** Matrices are row major here and column major there. */
export function setMatrix(gl: WebGL2RenderingContext, location: WebGLUniformLocation | null, m: readonly number[]): void {
  gl.uniformMatrix4fv(location, true, m);
}

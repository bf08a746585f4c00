// Draws a frame of a compact avatar from a view over a background, and starts again when the browser takes the graphics
// context away.
import type { Compact } from "../compact/decode";
import { PlayerError } from "../errors";
import type { Mat4 } from "../math";
import type { Frame } from "../types";
import { bind, exactTexture, program, setMatrix, Uniforms } from "./gl";
import { Poser } from "./poser";
import { COLUMNS, COMPOSE, COVER, DRAW_FRAGMENT, DRAW_VERTEX } from "./shaders";
import { DepthSorter } from "./sort";

/** A pinhole camera in OpenCV axes (x right, y down, z forward); pixel (c, r) has its centre at (c + 0.5, r + 0.5). */
export interface View {
  readonly width: number;
  readonly height: number;
  readonly fx: number;
  readonly fy: number;
  readonly cx: number;
  readonly cy: number;
  readonly worldToCamera: Mat4;
}

/** The plate, with scale and offset from a view's pixels to the plate's 0..1; or a colour, null being transparent. */
export type Background =
  | { readonly kind: "plate"; readonly toPlate: readonly [number, number, number, number] }
  | { readonly kind: "color"; readonly color: readonly [number, number, number] | null };

const NO_WEBGL = "Use a current Firefox, Chrome, Edge or Safari, and check that graphics acceleration is switched on.";

export class Renderer {
  private readonly gl: WebGL2RenderingContext;
  private readonly sorter: DepthSorter;
  private readonly order: Uint32Array;
  private passes: Passes | null = null;
  private posedFrame: Frame | null = null;

  /** @throws PlayerError no WebGL2, or an avatar too large for it. */
  constructor(
    readonly canvas: HTMLCanvasElement, private readonly compact: Compact, private readonly plate: ImageBitmap | null,
  ) {
    const options: WebGLContextAttributes = { alpha: true, antialias: false, depth: false, premultipliedAlpha: true };
    const gl = canvas.getContext("webgl2", options);
    if (!gl) throw new PlayerError("This browser does not offer WebGL2, which the avatar is drawn with.", NO_WEBGL);
    this.gl = gl;
    const rows = Math.ceil(compact.count / COLUMNS);
    if (rows > (gl.getParameter(gl.MAX_TEXTURE_SIZE) as number))
      throw new PlayerError("The avatar has more Gaussians than this device can draw.", "Try another device.");
    this.sorter = new DepthSorter(compact);
    this.order = new Uint32Array(COLUMNS * rows);
    this.restore();
  }

  /** Make everything that lives on the GPU, at first and after a lost context. */
  restore(): void {
    this.passes = new Passes(this.gl, this.compact, this.plate);
    this.posedFrame = null;
  }

  get lost(): boolean {
    return this.gl.isContextLost();
  }

  /** Draw to the canvas, which takes the size of the view. */
  draw(frame: Frame, view: View, background: Background): void {
    if (this.lost || !this.passes) return;
    if (this.canvas.width !== view.width || this.canvas.height !== view.height) {
      this.canvas.width = view.width;
      this.canvas.height = view.height;
    }
    this.drawPerson(this.passes, frame, view);
    this.passes.compose(null, view, background);
  }

  /** The same as pixels, (H, W, 4), first row on top; the canvas is left alone. Null while the context is lost. */
  pixels(frame: Frame, view: View, background: Background): ImageData | null {
    if (this.lost || !this.passes) return null;
    this.drawPerson(this.passes, frame, view);
    return this.passes.read(view, background);
  }

  private drawPerson(passes: Passes, frame: Frame, view: View): void {
    if (frame !== this.posedFrame) {
      this.sorter.pose(frame);
      passes.poser.pose(frame);
      this.posedFrame = frame;
    }
    passes.drawPerson(this.order, this.sorter.sort(frame, view.worldToCamera, this.order), view);
  }
}

/** The GPU's side of it, made anew for every context. */
class Passes {
  readonly poser: Poser;
  private readonly drawing: WebGLProgram;
  private readonly drawUniforms: Uniforms;
  private readonly composing: WebGLProgram;
  private readonly composeUniforms: Uniforms;
  private readonly order: WebGLTexture;
  private readonly plate: WebGLTexture;
  private readonly quads: WebGLVertexArrayObject;
  private readonly deep: boolean;
  private person: Target | null = null;

  constructor(private readonly gl: WebGL2RenderingContext, compact: Compact, plate: ImageBitmap | null) {
    this.poser = new Poser(gl, compact);
    this.drawing = program(gl, DRAW_VERTEX, DRAW_FRAGMENT);
    this.drawUniforms = new Uniforms(gl, this.drawing);
    this.composing = program(gl, COVER, COMPOSE);
    this.composeUniforms = new Uniforms(gl, this.composing);
    // Dozens of layers blended in 8 bits gather rounding errors; half floats do not.
    this.deep = gl.getExtension("EXT_color_buffer_float") !== null || gl.getExtension("EXT_color_buffer_half_float") !== null;
    this.order = exactTexture(gl, gl.TEXTURE_2D);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R32UI, COLUMNS, Math.ceil(compact.count / COLUMNS));
    this.plate = plateTexture(gl, plate);
    this.quads = quadIndices(gl, compact.count);
  }

  /** Blend the Gaussians order[0..count), the first one being behind all others, into a picture of their own. */
  drawPerson(order: Uint32Array, count: number, view: View): void {
    const { gl, drawUniforms: uniforms } = this;
    if (this.person?.width !== view.width || this.person.height !== view.height) {
      this.person?.free();
      this.person = new Target(gl, view.width, view.height, this.deep ? gl.RGBA16F : gl.RGBA8);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.person.framebuffer);
    gl.viewport(0, 0, view.width, view.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.drawing);
    const [mean, quat, scale] = this.poser.posed;
    bind(gl, 0, gl.TEXTURE_2D, this.order, uniforms.at("u_order"));
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, COLUMNS, Math.ceil(count / COLUMNS), gl.RED_INTEGER, gl.UNSIGNED_INT, order);
    bind(gl, 1, gl.TEXTURE_2D, mean, uniforms.at("u_mean"));
    bind(gl, 2, gl.TEXTURE_2D, quat, uniforms.at("u_quat"));
    bind(gl, 3, gl.TEXTURE_2D, scale, uniforms.at("u_scale"));
    setMatrix(gl, uniforms.at("u_view"), view.worldToCamera);
    gl.uniform4f(uniforms.at("u_intrinsics"), view.fx, view.fy, view.cx, view.cy);
    gl.uniform2f(uniforms.at("u_size"), view.width, view.height);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindVertexArray(this.quads);
    gl.drawElements(gl.TRIANGLES, 6 * count, gl.UNSIGNED_INT, 0);
    gl.bindVertexArray(null);
  }

  /** Put the person over the background, in a framebuffer or (null) on the canvas. */
  compose(into: WebGLFramebuffer | null, view: View, background: Background): void {
    const { gl, composeUniforms: uniforms } = this;
    if (!this.person) return;
    gl.bindFramebuffer(gl.FRAMEBUFFER, into);
    gl.viewport(0, 0, view.width, view.height);
    gl.disable(gl.BLEND);
    gl.useProgram(this.composing);
    bind(gl, 0, gl.TEXTURE_2D, this.person.texture, uniforms.at("u_person"));
    bind(gl, 1, gl.TEXTURE_2D, this.plate, uniforms.at("u_plate"));
    gl.uniform1i(uniforms.at("u_has_plate"), background.kind === "plate" ? 1 : 0);
    gl.uniform1f(uniforms.at("u_height"), view.height);
    if (background.kind === "plate") gl.uniform4f(uniforms.at("u_to_plate"), ...background.toPlate);
    else if (background.color) gl.uniform4f(uniforms.at("u_background"), ...background.color, 1);
    else gl.uniform4f(uniforms.at("u_background"), 0, 0, 0, 0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  read(view: View, background: Background): ImageData {
    const { gl } = this;
    const { width, height } = view;
    const target = new Target(gl, width, height, gl.RGBA8);
    this.compose(target.framebuffer, view, background);
    const raw = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, raw);
    target.free();
    const image = new ImageData(width, height);
    for (let y = 0; y < height; y++)
      image.data.set(raw.subarray(4 * width * (height - 1 - y), 4 * width * (height - y)), 4 * width * y);
    unpremultiply(image.data);
    return image;
  }
}

/** A texture to draw into. */
class Target {
  readonly texture: WebGLTexture;
  readonly framebuffer: WebGLFramebuffer;

  constructor(
    private readonly gl: WebGL2RenderingContext, readonly width: number, readonly height: number, format: GLenum,
  ) {
    this.texture = exactTexture(gl, gl.TEXTURE_2D);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    this.framebuffer = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.texture, 0);
  }

  free(): void {
    this.gl.deleteFramebuffer(this.framebuffer);
    this.gl.deleteTexture(this.texture);
  }
}

/** Two triangles over the four vertices of each Gaussian. */
function quadIndices(gl: WebGL2RenderingContext, count: number): WebGLVertexArrayObject {
  const indices = new Uint32Array(6 * count);
  for (let i = 0; i < count; i++) indices.set([4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 2, 4 * i + 1, 4 * i + 3], 6 * i);
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
  gl.bindVertexArray(null);
  return array;
}

function plateTexture(gl: WebGL2RenderingContext, plate: ImageBitmap | null): WebGLTexture {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  if (plate) gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, plate);
  else gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  gl.generateMipmap(gl.TEXTURE_2D);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.MIRRORED_REPEAT);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.MIRRORED_REPEAT);
  return texture;
}

/** Pictures on disk hold colours that are not multiplied by alpha. */
function unpremultiply(data: Uint8ClampedArray): void {
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3];
    if (alpha === 0 || alpha === 255) continue;
    for (let j = i; j < i + 3; j++) data[j] = (data[j] * 255) / alpha;
  }
}

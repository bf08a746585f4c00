// Draws Gaussians with Spark (three.js), a renderer that shares no code with the player.
import { PackedSplats, SparkRenderer, SplatMesh } from "@sparkjsdev/spark";
import * as THREE from "three";

interface Scene {
  /** Camera axes (x right, y down, z forward), metres; quaternions wxyz; colours sRGB. One row after another. */
  means: number[]; quats: number[]; scales: number[]; opacities: number[]; colors: number[];
  width: number; height: number; fx: number; fy: number; cx: number; cy: number;
}

/** RGBA, multiplied by alpha, last row first. */
async function draw(scene: Scene): Promise<number[]> {
  const { width, height } = scene;
  const renderer = new THREE.WebGLRenderer({ antialias: false, alpha: true, preserveDrawingBuffer: true });
  renderer.setPixelRatio(1);
  renderer.setSize(width, height);
  renderer.setClearColor(0x000000, 0);
  const world = new THREE.Scene();
  world.add(new SparkRenderer({
    renderer, preBlurAmount: 0.3, blurAmount: 0, maxStdDev: Math.sqrt(12), sortRadial: false, minAlpha: 1 / 255,
  }));
  world.add(new SplatMesh({ packedSplats: splatsOf(scene) }));
  const camera = cameraOf(scene);
  for (let i = 0; i < 12; i++) { // sorting happens aside and arrives some frames later
    renderer.render(world, camera);
    await new Promise((next) => setTimeout(next, 60));
  }
  const gl = renderer.getContext();
  const pixels = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  return [...pixels];
}

/** three.js looks along -z with y up. */
function splatsOf(scene: Scene): PackedSplats {
  const splats = new PackedSplats();
  scene.opacities.forEach((opacity, i) => {
    const [x, y, z] = scene.means.slice(3 * i, 3 * i + 3);
    const [w, a, b, c] = scene.quats.slice(4 * i, 4 * i + 4);
    const [sx, sy, sz] = scene.scales.slice(3 * i, 3 * i + 3);
    const [red, green, blue] = scene.colors.slice(3 * i, 3 * i + 3);
    splats.pushSplat(
      new THREE.Vector3(x, -y, -z), new THREE.Vector3(sx, sy, sz), new THREE.Quaternion(a, -b, -c, w).normalize(), opacity,
      new THREE.Color().setRGB(red, green, blue, THREE.LinearSRGBColorSpace),
    );
  });
  return splats;
}

function cameraOf({ width, height, fx, fy, cx, cy }: Scene): THREE.PerspectiveCamera {
  const near = 0.05, far = 20;
  const camera = new THREE.PerspectiveCamera((2 * Math.atan(height / 2 / fy) * 180) / Math.PI, width / height, near, far);
  camera.projectionMatrix.set(
    (2 * fx) / width, 0, 1 - (2 * cx) / width, 0,
    0, (2 * fy) / height, (2 * cy) / height - 1, 0,
    0, 0, -(far + near) / (far - near), (-2 * far * near) / (far - near),
    0, 0, -1, 0,
  );
  camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
  return camera;
}

(window as unknown as { drawWithSpark: typeof draw }).drawWithSpark = draw;

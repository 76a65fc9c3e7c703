// The picture: zoom, pan, and the line between before and after. It knows nothing of jobs.

import { $ } from "./dom.js";

const canvas = $("#canvas");
const pen = canvas.getContext("2d");
const divider = $("#divider");
const scene = { before: null, after: null, width: 0, height: 0, split: 0, over: null };
const eye = { zoom: 1, x: 0, y: 0, fitted: true }; // screen pixels per picture pixel; the picture's corner
const halo = Object.assign(document.createElement("canvas"), { width: 6, height: 4 });
const fingers = new Map();
let painter = null; // {down, move, up} of the mask's brush, in picture pixels
let due = false;

export const size = () => [scene.width, scene.height];
export const redraw = () => {
  if (!due) requestAnimationFrame(draw);
  due = true;
};

function fitting() {
  return Math.min(canvas.width / scene.width, canvas.height / scene.height) || 1;
}

export function fit() {
  eye.zoom = fitting();
  eye.x = (canvas.width - scene.width * eye.zoom) / 2;
  eye.y = (canvas.height - scene.height * eye.zoom) / 2;
  eye.fitted = true;
  redraw();
}

/** Around the picture, its own light: a few blurred pixels of it. */
function glow(picture) {
  if (!picture) return;
  const light = halo.getContext("2d");
  light.drawImage(picture, 0, 0, halo.width, halo.height);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.globalAlpha = 0.45;
  pen.drawImage(halo, 0, 0, canvas.width, canvas.height);
  pen.globalAlpha = 1;
}

function draw() {
  due = false;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (!scene.width) return;
  const [w, h] = [scene.width * eye.zoom, scene.height * eye.zoom];
  glow(scene.after ?? scene.before);
  pen.imageSmoothingEnabled = eye.zoom < 4;
  pen.imageSmoothingQuality = "high";
  const cut = scene.after && scene.before ? scene.split * canvas.width : 0;
  if (scene.after) pen.drawImage(scene.after, eye.x, eye.y, w, h);
  if (scene.before && (cut > 0 || !scene.after)) {
    pen.save();
    if (scene.after) {
      pen.beginPath();
      pen.rect(0, 0, cut, canvas.height);
      pen.clip();
    }
    pen.drawImage(scene.before, eye.x, eye.y, w, h);
    pen.restore();
  }
  if (cut > 0) {
    pen.fillStyle = "#fff";
    pen.fillRect(cut - devicePixelRatio, 0, 2 * devicePixelRatio, canvas.height);
  }
  scene.over?.(pen, eye.x, eye.y, w, h);
}

/** Show pictures (anything a canvas draws) of one size in the same place; what isn't given stays. */
export function show(parts) {
  const anew = parts.width && (parts.width !== scene.width || parts.height !== scene.height);
  Object.assign(scene, parts);
  $("#tools").hidden = !scene.width;
  const both = scene.before && scene.after;
  $('[data-view="compare"]').hidden = !both;
  if (!both) split(0);
  if (anew) fit();
  redraw();
}

export function split(part) {
  scene.split = part;
  divider.hidden = part === 0;
  $("input", divider).value = part * 100;
  $('[data-view="compare"]').setAttribute("aria-pressed", String(part > 0));
  redraw();
}

export const describe = (text) => canvas.setAttribute("aria-label", text);
export const paintWith = (brush) => {
  painter = brush;
  canvas.classList.toggle("painting", Boolean(brush));
};

function zoomAt(factor, x = canvas.width / 2, y = canvas.height / 2) {
  const zoom = Math.min(Math.max(eye.zoom * factor, fitting() / 2), 40);
  eye.x = x - ((x - eye.x) * zoom) / eye.zoom;
  eye.y = y - ((y - eye.y) * zoom) / eye.zoom;
  eye.zoom = zoom;
  eye.fitted = false;
  redraw();
}

function pan(x, y) {
  eye.x += x;
  eye.y += y;
  eye.fitted = false;
  redraw();
}

const views = {
  in: () => zoomAt(1.5),
  out: () => zoomAt(1 / 1.5),
  fit,
  whole: () => zoomAt(1 / eye.zoom),
  compare: () => split(scene.split ? 0 : 0.5),
};

const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
};
const inPicture = (point) => [(point[0] - eye.x) / eye.zoom, (point[1] - eye.y) / eye.zoom];

function moved(event) {
  const old = fingers.get(event.pointerId);
  if (!old) return;
  const now = at(event);
  fingers.set(event.pointerId, now);
  if (painter && fingers.size === 1) painter.move(inPicture(old), inPicture(now));
  else if (fingers.size === 1) pan(now[0] - old[0], now[1] - old[1]);
  else {
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    const spread = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
    pan((now[0] - old[0]) / 2, (now[1] - old[1]) / 2);
    zoomAt(spread(now) / spread(old), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }
}

function lifted(event) {
  if (fingers.delete(event.pointerId) && painter && !fingers.size) painter.up();
}

function key(event) {
  const step = 60 * devicePixelRatio;
  const keys = {
    "+": views.in, "=": views.in, "-": views.out, 0: fit, 1: views.whole, c: views.compare,
    ArrowLeft: () => pan(step, 0), ArrowRight: () => pan(-step, 0),
    ArrowUp: () => pan(0, step), ArrowDown: () => pan(0, -step),
  };
  if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  keys[event.key]();
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, at(event));
  if (painter && fingers.size === 1) painter.down(inPicture(at(event)));
});
canvas.addEventListener("pointermove", moved);
for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, lifted);
canvas.addEventListener("wheel", (event) => {
  if (!scene.width) return;
  event.preventDefault();
  zoomAt(Math.exp(-event.deltaY / 400), ...at(event));
}, { passive: false });
canvas.addEventListener("dblclick", () => (eye.fitted ? views.whole() : fit()));
canvas.addEventListener("keydown", key);
divider.addEventListener("input", (event) => split(Math.max(event.target.value, 0.5) / 100));
for (const [name, work] of Object.entries(views)) $(`[data-view="${name}"]`).addEventListener("click", work);

new ResizeObserver(() => {
  const box = canvas.getBoundingClientRect();
  canvas.width = Math.round(box.width * devicePixelRatio);
  canvas.height = Math.round(box.height * devicePixelRatio);
  if (eye.fitted) fit();
  else redraw();
}).observe(canvas);

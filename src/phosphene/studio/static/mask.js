// The mask: where to dream is painted on the photo; all else stays as it was.

import * as api from "./api.js";
import { $, h, toast, trying } from "./dom.js";
import * as draft from "./draft.js";
import * as stage from "./stage.js";

const LONGER = 1024;
const bar = $("#painting");
const kept = new Map(); // mask's upload id -> its canvas, to paint on

function canvasOf(width, height) {
  const scale = Math.min(1, LONGER / Math.max(width, height));
  return Object.assign(document.createElement("canvas"), { width: Math.round(width * scale), height: Math.round(height * scale) });
}

/** Paint on the photo that is shown; what is painted is opaque in `sheet`. */
export function startMask(photo) {
  const sheet = canvasOf(photo.width, photo.height);
  const pen = sheet.getContext("2d");
  const veil = canvasOf(photo.width, photo.height);
  const scale = sheet.width / photo.width;
  const old = kept.get(draft.get().mask?.id);
  if (old) pen.drawImage(old, 0, 0, sheet.width, sheet.height);
  let erasing = false;
  const brush = h("input", { type: "range", min: 2, max: 40, value: 14, "aria-label": "Brush, in hundredths of the photo" });

  function stroke(from, to) {
    pen.globalCompositeOperation = erasing ? "destination-out" : "source-over";
    pen.lineCap = "round";
    pen.strokeStyle = "#fff";
    pen.lineWidth = (Math.max(sheet.width, sheet.height) * brush.value) / 100;
    pen.beginPath();
    pen.moveTo(from[0] * scale, from[1] * scale);
    pen.lineTo(to[0] * scale + 0.01, to[1] * scale);
    pen.stroke();
    stage.redraw();
  }

  function darken(target, x, y, w, h2) {
    const ink = veil.getContext("2d");
    ink.globalCompositeOperation = "copy";
    ink.fillStyle = "#000c";
    ink.fillRect(0, 0, veil.width, veil.height);
    ink.globalCompositeOperation = "destination-out";
    ink.drawImage(sheet, 0, 0);
    target.drawImage(veil, x, y, w, h2);
  }

  function invert() {
    pen.globalCompositeOperation = "source-out";
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, sheet.width, sheet.height);
    stage.redraw();
  }

  function middle() {
    pen.globalCompositeOperation = "source-over";
    pen.fillStyle = "#fff";
    pen.beginPath();
    pen.ellipse(sheet.width / 2, sheet.height / 2, sheet.width / 3, sheet.height / 3, 0, 0, 7);
    pen.fill();
    stage.redraw();
  }

  function close() {
    stage.paintWith(null);
    stage.show({ over: null });
    bar.hidden = true;
    $("#paint")?.focus();
  }

  async function done() {
    const whole = canvasOf(photo.width, photo.height);
    const ink = whole.getContext("2d");
    ink.fillRect(0, 0, whole.width, whole.height);
    ink.drawImage(sheet, 0, 0);
    const blob = await new Promise((resolve) => whole.toBlob(resolve, "image/png"));
    const mask = await api.upload(blob, "mask.png");
    kept.set(mask.id, sheet);
    draft.change({ mask });
    close();
    toast("It will dream where you painted");
  }

  const button = (label, work, props = {}) => h("button", { type: "button", class: "small", onclick: trying(work), ...props }, label);
  const eraser = button("Erase", () => {
    erasing = !erasing;
    eraser.setAttribute("aria-pressed", String(erasing));
  }, { "aria-pressed": "false" });
  bar.replaceChildren(
    h("label", {}, "Brush", brush), eraser, button("Middle", middle), button("Invert", invert),
    button("No mask", () => (draft.change({ mask: null }), close())), button("Done", done, { class: "small primary" }),
  );
  bar.hidden = false;
  stage.show({ after: null, over: darken, width: photo.width, height: photo.height });
  stage.paintWith({ down: (point) => stroke(point, point), move: stroke, up: () => undefined });
  brush.focus();
}

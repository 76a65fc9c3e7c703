// A film that flies into the dream, for ever.

import { $, h, trying } from "./dom.js";
import * as draft from "./draft.js";
import { begin as run } from "./run.js";

const number = (label, props) => {
  const input = h("input", { type: "number", step: "any", ...props });
  return [input, h("label", { class: "field" }, label, input)];
};

/** Where the studio makes films: it tells so by the kinds of its jobs. */
export function begin({ kinds = [] }) {
  if (!kinds.includes("zoom")) return;
  $("#zoom").hidden = false;
  const [frames, framesRow] = number("Frames", { value: 50, min: 1, max: 2000, step: 1 });
  const [fps, fpsRow] = number("Frames a second", { value: 25, min: 1, max: 60 });
  const [zoom, zoomRow] = number("Nearer with each frame, in %", { value: 5, min: -50, max: 50 });
  const [turn, turnRow] = number("Turned with each frame, in degrees", { value: 0, min: -180, max: 180 });
  const inputs = [frames, fps, zoom, turn];
  const start = trying(async () => {
    if (!inputs.every((input) => input.reportValidity())) return;
    await run({ kind: "zoom", ...(draft.get().photo ? {} : { size: 512 }), frames: Number(frames.value), fps: Number(fps.value),
      motion: { zoom: Number(zoom.value) / 100, rotate: Number(turn.value) } });
  });
  $("#zoom > div").append(h("div", { class: "fields" }, framesRow, fpsRow, zoomRow, turnRow,
    h("button", { type: "button", onclick: start }, "Make the film")));
}

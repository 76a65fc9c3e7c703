// Films: a flight into the photo, or the part of a film that is dreamed on.

import { $, h, trying } from "./dom.js";
import * as draft from "./draft.js";
import { begin as run } from "./run.js";

const number = (label, props) => {
  const input = h("input", { type: "number", step: "any", ...props });
  return [input, h("label", { class: "field" }, label, input)];
};

/** Where the studio makes films: it tells so by the kinds of its jobs. */
export function begin({ kinds = [], limits = {} }) {
  if (!kinds.includes("zoom")) return;
  const most = limits.film_frames ?? 2000;
  $("#zoom").hidden = false;
  const [frames, framesRow] = number("Frames", { value: 50, min: 1, max: most, step: 1 });
  const [fps, fpsRow] = number("Frames a second", { value: 25, min: 1, max: 60 });
  const [zoom, zoomRow] = number("Nearer with each frame, in %", { value: 5, min: -50, max: 50 });
  const [turn, turnRow] = number("Turned with each frame, in degrees", { value: 0, min: -180, max: 180 });
  const loop = h("input", { type: "checkbox" });
  const flight = h("div", { class: "fields" }, h("p", { class: "quiet" }, "Fly into the picture: each frame is the dream of the last one, a little nearer."),
    framesRow, fpsRow, zoomRow, turnRow, h("label", { class: "check" }, loop, "The end flows into the beginning"),
    h("button", { type: "button", onclick: trying(fly) }, "Make the film"));

  async function fly() {
    if (![frames, fps, zoom, turn].every((input) => input.reportValidity())) return;
    const { photo, settings } = draft.get();
    await run({ kind: "zoom", ...(photo ? {} : { size: settings.max_size || 512 }), frames: Number(frames.value), fps: Number(fps.value),
      motion: { zoom: Number(zoom.value) / 100, rotate: Number(turn.value) }, loop: loop.checked });
  }

  const times = { start: 0, end: null, every: 1 };
  const part = (name, label, props) => {
    const [input, row] = number(label, { ...props, onchange: () => {
      if (!input.reportValidity()) return;
      times[name] = input.value === "" ? null : Number(input.value);
      draft.change({ times: { ...times } }, name);
    } });
    return [input, row];
  };
  const [start, startRow] = part("start", "From second", { min: 0 });
  const [end, endRow] = part("end", "To second", { min: 0, placeholder: "the end" });
  const [every, everyRow] = part("every", "One frame of so many", { min: 1, max: 100, step: 1 });
  const cut = h("div", { class: "fields" }, h("p", { class: "quiet" }, "The dream is carried along with what moves in the film. Press Dream."), startRow, endRow, everyRow);
  $("#zoom > div").append(flight, cut);
  draft.listen((now) => {
    [flight.hidden, cut.hidden] = [Boolean(now.film), !now.film];
    if (now.film) $("#zoom").open = true;
    Object.assign(times, { start: 0, end: null, every: 1 }, now.times);
    for (const [name, input] of Object.entries({ start, end, every })) if (document.activeElement !== input) input.value = times[name] ?? "";
  });
}

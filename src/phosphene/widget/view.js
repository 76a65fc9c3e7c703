// The live view of a dream in a notebook's cell: the newest picture, how far it is, and what can be done.

function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function picture(bytes) {
  return createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
}

function curve(scores) {
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const place = (score, at) => `${((100 * at) / Math.max(scores.length - 1, 1)).toFixed(2)},${(28 - (26 * (score - low)) / (high - low || 1)).toFixed(2)}`;
  return scores.map(place).join(" ");
}

function render({ model, el }) {
  const canvas = make("canvas", { role: "img", "aria-label": "The dream as it grows" });
  const pen = canvas.getContext("2d");
  const words = make("span", { class: "words" });
  const error = make("p", { class: "error", role: "alert" });
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const graph = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of [["viewBox", "0 0 100 30"], ["preserveAspectRatio", "none"], ["role", "img"], ["aria-label", "The score so far"]]) graph.setAttribute(name, value);
  graph.append(line);
  const button = (label, type) => make("button", { type: "button", onclick: () => model.send({ type }) }, label);
  const [pause, resume, stop] = [button("Pause", "pause"), button("Go on", "resume"), button("Stop", "stop")];
  const split = make("input", { type: "range", min: 0, max: 100, value: 0, "aria-label": "Before and after", oninput: () => draw() });
  el.classList.add("phosphene");
  el.append(canvas, make("div", { class: "bar" }, words, graph, pause, resume, stop, make("label", {}, "Before ", split)), error);

  let [now, before, newest] = [null, null, 0];

  function draw() {
    if (!now) return;
    [canvas.width, canvas.height] = [now.width, now.height];
    pen.drawImage(now, 0, 0);
    const cut = (canvas.width * split.value) / 100;
    if (before && cut) pen.drawImage(before, 0, 0, (before.width * split.value) / 100, before.height, 0, 0, cut, canvas.height);
  }

  async function shown() {
    const bytes = model.get("jpeg");
    if (!bytes?.byteLength) return;
    const mine = ++newest;
    const bitmap = await picture(bytes);
    if (mine !== newest) return; // decoded after a newer one came
    now = bitmap;
    draw();
    model.send({ type: "drawn" });
  }

  async function photo() {
    const bytes = model.get("before");
    before = bytes?.byteLength ? await picture(bytes) : null;
    split.parentElement.hidden = !before;
    draw();
  }

  function told() {
    const [state, { octave, octaves, step, steps, score }] = [model.get("state"), model.get("progress")];
    words.textContent = octave ? `${state}: octave ${octave} of ${octaves}, step ${step} of ${steps}, score ${Number(score).toPrecision(4)}` : state;
    [pause.hidden, resume.hidden] = [state !== "running", state !== "paused"];
    stop.hidden = !["running", "paused"].includes(state);
    error.textContent = model.get("error");
    error.hidden = !error.textContent;
    line.setAttribute("points", curve(model.get("scores")));
  }

  const listeners = { "change:jpeg": shown, "change:before": photo, "change:progress": told, "change:state": told, "change:error": told, "change:scores": told };
  for (const [name, work] of Object.entries(listeners)) model.on(name, work);
  told();
  photo();
  shown();
  return () => {
    for (const [name, work] of Object.entries(listeners)) model.off(name, work);
  };
}

export default { render };

// Small helpers for the page's elements: make one, find one, say something.

export const $ = (selector, within = document) => within.querySelector(selector);

/** An element: h("button", {class: "quiet", onclick: f, "aria-label": "…"}, "text", child, …). */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child || child === 0));
  return element;
}

/** The same in SVG. */
export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Told to screen readers, without moving the focus. */
export function announce(text) {
  $("#announce").textContent = text;
}

/** A note at the lower edge that goes away; `action` is [label, function]. */
export function toast(text, action = null, kind = "note") {
  const close = () => note.remove();
  const note = h(
    "div",
    { class: `toast ${kind}`, role: kind === "problem" ? "alert" : "status" },
    h("span", {}, text),
    action && h("button", { type: "button", onclick: () => (close(), action[1]()) }, action[0]),
    h("button", { type: "button", class: "icon", "aria-label": "Close this note", onclick: close }, "×"),
  );
  $("#toasts").append(note);
  setTimeout(close, kind === "problem" ? 15000 : 7000);
}

export const problem = (error) => toast(error.message || String(error), null, "problem");

/** Run what may fail; what fails is told in a note. */
export const trying = (work) => async (...args) => {
  try {
    return await work(...args);
  } catch (error) {
    problem(error);
    return undefined;
  }
};

/** A dialog that closes by its cross, by Escape and by a click beside it. */
export function dialog(title, ...children) {
  const box = h(
    "dialog",
    { "aria-label": title, onclick: (event) => event.target === box && box.close(), onclose: () => box.remove() },
    h(
      "div",
      { class: "sheet" },
      h("header", {}, h("h2", {}, title),
        h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => box.close() }, "×")),
      ...children,
    ),
  );
  document.body.append(box);
  box.showModal();
  return box;
}

/** Into the clipboard; where the browser doesn't allow that, shown to be copied by hand. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    const box = h("textarea", { rows: 8, readonly: true, "aria-label": what });
    box.value = text;
    dialog(what, box);
    box.select();
  }
}

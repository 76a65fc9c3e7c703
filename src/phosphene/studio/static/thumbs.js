// Thumbnails that may still have to be made: a few are asked for at a time, when they come into view.

import { h } from "./dom.js";

const AT_ONCE = 4;
const PATIENCE = 1200; // ms between two questions, at first
const waiting = [];
const made = new Map(); // address -> the picture's own
let loading = 0;

function next() {
  while (loading < AT_ONCE && waiting.length) {
    const [place, url, wait] = waiting.shift();
    if (place.isConnected) load(place, url, wait);
  }
}

const picture = (src) => h("img", { alt: "", width: 112, height: 112, src });

async function load(place, url, wait) {
  loading += 1;
  try {
    const answer = await fetch(url);
    if (answer.status === 200) {
      made.set(url, URL.createObjectURL(await answer.blob()));
      place.replaceWith(picture(made.get(url)));
    } else if (answer.status === 202) {
      setTimeout(() => (waiting.push([place, url, Math.min(wait * 1.2, 3000)]), next()), wait);
    } else place.classList.remove("waiting"); // there will never be one
  } catch {
    place.classList.remove("waiting");
  }
  loading -= 1;
  next();
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    waiting.push([target, target.dataset.url, PATIENCE]);
  }
  next();
}, { rootMargin: "200px" });

/** An image of `url` as soon as there is one. */
export function thumbnail(url) {
  if (!url) return h("i", { class: "blank" });
  if (made.has(url)) return picture(made.get(url));
  const place = h("i", { class: "blank waiting", "data-url": url });
  seen.observe(place);
  return place;
}

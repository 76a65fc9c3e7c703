// Thumbnails that may still have to be made: a few are asked for at a time, when they come into view.

import { h } from "./dom.js";

const AT_ONCE = 3;
const waiting = [];
let loading = 0;

function next() {
  while (loading < AT_ONCE && waiting.length) {
    const [image, url, wait] = waiting.shift();
    if (image.isConnected) load(image, url, wait);
  }
}

function load(image, url, wait) {
  loading += 1;
  const over = (work) => () => {
    loading -= 1;
    work();
    next();
  };
  const again = () => setTimeout(() => (waiting.push([image, url, Math.min(wait * 1.5, 20000)]), next()), wait);
  image.onload = over(() => image.classList.remove("waiting"));
  image.onerror = over(() => {
    image.removeAttribute("src");
    again();
  });
  image.src = wait > 1500 ? `${url}${url.includes("?") ? "&" : "?"}again=${Date.now()}` : url;
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    waiting.push([target, target.dataset.url, 1500]);
  }
  next();
}, { rootMargin: "200px" });

/** An image of `url` as soon as there is one. */
export function thumbnail(url) {
  if (!url) return h("i", { class: "blank" });
  const image = h("img", { alt: "", width: 112, height: 112, class: "waiting", "data-url": url });
  seen.observe(image);
  return image;
}

// Pieces of pages: elements, pictures that load late, grids that grow while one scrolls, a curve.
phosphene.el = (tag, given = {}, ...children) => {
  const { svg, ...rest } = given, made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(rest)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined));
  return made;
};
phosphene.figure = value => value === null || value === undefined || !isFinite(value) ? "–"
  : Math.abs(value) >= 1000 || value && Math.abs(value) < 0.01 ? value.toExponential(1) : `${+value.toPrecision(3)}`;
phosphene.rank = value => value >= 99.95 ? "above every crop" : `above ${Math.floor(value * 10) / 10} % of crops`;
phosphene.href = (kind, ...parts) => `#/${kind}/${parts.map(encodeURIComponent).join("/")}`;

(() => {
  const { el } = phosphene;
  const file = phosphene.file = (sha, small) => `images/${sha.slice(0, 2)}/${sha}${small ? "-96" : ""}.webp`;

  // px: how wide it is shown; its thumbnail is taken where that is enough
  phosphene.picture = (sha, wide, { alt = "", px = "120px", eager = false, height } = {}) => el("img", {
    src: file(sha, false), ...(wide > 96 ? { srcset: `${file(sha, true)} 96w, ${file(sha, false)} ${wide}w`, sizes: px } : {}),
    alt, width: wide || 224, height: height || wide || 224, loading: eager ? false : "lazy", decoding: "async",
  });

  phosphene.tile = (network, number, channel, sha, wide, { note = "", px, label } = {}) => {
    const layer = phosphene.layer(network, number);
    const name = label ?? [layer.name, el("wbr"), el("span", { class: "whole" }, `:${channel}`)];
    return el("a", { class: "tile", href: phosphene.href("unit", network, layer.name, channel) },
      el("span", { class: "face" }, sha ? phosphene.picture(sha, wide, { px }) : null),
      el("span", { class: "caption" }, el("b", {}, name), note ? el("small", {}, note) : null));
  };

  // A grid of many: `make(i)` gives the tile of place i; more are made when its end comes near.
  phosphene.grid = (count, make, step = 90) => {
    const tiles = el("div", { class: "grid" }), end = el("div", { class: "end" }), box = el("div", {}, tiles, end);
    let shown = 0;
    const more = () => {
      const next = Math.min(count, shown + step), fresh = document.createDocumentFragment();
      for (; shown < next; shown++) fresh.append(make(shown));
      tiles.append(fresh);
      if (shown >= count) watcher.disconnect();
    };
    const watcher = new IntersectionObserver(seen => {
      if (!seen.some(one => one.isIntersecting)) return;
      more();
      watcher.unobserve(end);
      if (shown < count) requestAnimationFrame(() => watcher.observe(end));
    }, { rootMargin: "900px" });
    more();
    if (shown < count) watcher.observe(end);
    return box;
  };

  // How activations on photos are spread; where the picture's own lies.
  phosphene.curve = (curve, score, crops) => {
    const values = curve.filter(value => value !== null);
    if (values.length < 2) return null;
    const most = Math.max(...values, score ?? -Infinity), least = Math.min(...values, score ?? Infinity), span = most - least || 1;
    const x = value => 4 + 292 * (value - least) / span, y = part => 76 - 68 * part;
    const line = values.map((value, n) => `${x(value).toFixed(1)},${y(n / (values.length - 1)).toFixed(1)}`).join(" ");
    const parts = [
      el("polyline", { svg: 1, points: `${line} ${x(most)},${y(1)}`, class: "line" }),
      el("line", { svg: 1, x1: 4, x2: 296, y1: 77, y2: 77, class: "axis" }),
    ];
    if (score !== undefined) parts.push(el("line", { svg: 1, x1: x(score), x2: x(score), y1: 4, y2: 77, class: "mark" }), el("circle", { svg: 1, cx: x(score), cy: 8, r: 4, class: "dot" }));
    return el("figure", { class: "curve" },
      el("svg", { svg: 1, viewBox: "0 0 300 80", role: "img", "aria-label": "Share of photo crops below each activation" }, ...parts),
      el("figcaption", {}, `Share of ${crops || "photo crops"} that activate it less`, score === undefined ? "" : "; the mark is its own picture"));
  };
})();

// The activation atlas of a layer: pictures laid out so that what is alike lies together; nearer, finer grids.
(() => {
  const { el, views } = phosphene, STEP = 1.6, MOST = 16;

  views.atlas = async (id, name) => {
    const network = phosphene.network(+id), number = network?.atlases.indexOf(name) ?? -1;
    if (number < 0) throw new Error(`There is no atlas of ${name} in this catalog.`);
    const { levels } = await phosphene.load(`atlas-${id}-${number}`);
    const ground = el("div", { class: "ground" });
    const window_ = el("div", { class: "atlas", tabindex: 0, role: "application", "aria-label": `Atlas of ${name}: arrows move, plus and minus zoom` }, ground);
    const grids = levels.map(({ side, cells }) => {
      const most = Math.max(...cells.map(cell => cell[2]));
      return el("div", { class: "cells" }, cells.map(([column, row, count, sha, wide]) => {
        const share = (0.55 + 0.45 * Math.sqrt(count / most)) * 100 / side, off = (100 / side - share) / 2;
        const image = phosphene.picture(sha, wide, { px: "96px", alt: "" });
        image.title = `${count} activations`;
        Object.assign(image.style, { left: `${column * 100 / side + off}%`, top: `${row * 100 / side + off}%`, width: `${share}%`, height: `${share}%` });
        return image;
      }));
    });
    const eye = { zoom: 1, x: 0, y: 0 };
    let shown = -1;

    function look() {
      const box = window_.clientWidth || 1;
      eye.zoom = Math.min(Math.max(eye.zoom, 1), MOST);
      const least = box * (1 - eye.zoom);
      [eye.x, eye.y] = [Math.min(0, Math.max(least, eye.x)), Math.min(0, Math.max(least, eye.y))];
      ground.style.transform = `translate(${eye.x}px, ${eye.y}px) scale(${eye.zoom})`;
      const level = Math.min(levels.length - 1, Math.floor(Math.log2(eye.zoom) + 0.5));
      if (level !== shown) ground.replaceChildren(grids[shown = level]);
      told.textContent = `${levels[level].cells.length} of ${levels[level].side} × ${levels[level].side} cells`;
    }
    function zoom(by, x = window_.clientWidth / 2, y = x) {
      const before = eye.zoom;
      eye.zoom = Math.min(Math.max(before * by, 1), MOST);
      eye.x = x - (x - eye.x) * eye.zoom / before;
      eye.y = y - (y - eye.y) * eye.zoom / before;
      look();
    }
    function move(x, y) { eye.x += x; eye.y += y; look(); }

    const fingers = new Map();
    window_.addEventListener("wheel", event => {
      event.preventDefault();
      const box = window_.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    window_.addEventListener("pointerdown", event => { window_.setPointerCapture(event.pointerId); fingers.set(event.pointerId, [event.clientX, event.clientY]); });
    window_.addEventListener("pointermove", event => {
      const old = fingers.get(event.pointerId), now = [event.clientX, event.clientY];
      if (!old) return;
      const other = [...fingers].find(([key]) => key !== event.pointerId)?.[1];
      if (other) {
        const apart = one => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1, box = window_.getBoundingClientRect();
        zoom(apart(now) / apart(old), (now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top);
      } else move(now[0] - old[0], now[1] - old[1]);
      fingers.set(event.pointerId, now);
    });
    for (const kind of ["pointerup", "pointercancel"]) window_.addEventListener(kind, event => fingers.delete(event.pointerId));
    window_.addEventListener("keydown", event => {
      const keys = { "+": () => zoom(STEP), "=": () => zoom(STEP), "-": () => zoom(1 / STEP), ArrowLeft: () => move(80, 0), ArrowRight: () => move(-80, 0), ArrowUp: () => move(0, 80), ArrowDown: () => move(0, -80) };
      if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      keys[event.key]();
    });
    const told = el("span", { class: "quiet", role: "status" });
    const button = (text, label, work) => el("button", { type: "button", class: "button", "aria-label": label, onclick: work }, text);
    new ResizeObserver(look).observe(window_);
    look();
    return el("section", { class: "page", "data-title": `Atlas of ${name}` },
      el("nav", { class: "trail", "aria-label": "Where this is" }, el("a", { href: "#/" }, "Map"), el("span", { "aria-hidden": "true" }, "/"), el("span", {}, "Atlas")),
      el("header", { class: "head" }, el("div", {}, el("h1", {}, `Atlas of ${name}`),
        el("p", { class: "quiet" }, "What this layer tells apart in photos: neighbours are alike, larger cells were seen more often.")),
        el("div", { class: "row" }, told, button("−", "Zoom out", () => zoom(1 / STEP)), button("+", "Zoom in", () => zoom(STEP)))),
      window_);
  };
})();

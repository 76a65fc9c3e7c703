// The score as a small curve.

import { svg } from "./dom.js";

export function curve() {
  const area = svg("path", { class: "area" });
  const line = svg("path");
  const element = svg("svg", { class: "curve", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": "Score" }, area, line);
  return {
    element,
    draw(scores) {
      const finite = scores.filter(Number.isFinite);
      if (finite.length < 2) {
        line.setAttribute("d", "");
        area.setAttribute("d", "");
        return;
      }
      const [low, high] = [Math.min(...finite), Math.max(...finite)];
      const points = finite.map((score, i) =>
        `${((100 * i) / (finite.length - 1)).toFixed(2)},${(37 - (34 * (score - low)) / (high - low || 1)).toFixed(2)}`);
      line.setAttribute("d", `M${points.join("L")}`);
      area.setAttribute("d", `M0,40L${points.join("L")}L100,40Z`);
      element.setAttribute("aria-label", `Score, from ${finite[0].toPrecision(3)} to ${finite.at(-1).toPrecision(3)}`);
    },
  };
}

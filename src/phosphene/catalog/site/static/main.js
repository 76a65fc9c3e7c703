// Which page is shown: the address after # says it, so that every page can be linked to.
(() => {
  const main = document.getElementById("main"), query = document.getElementById("query");
  if (!phosphene.known.index) { main.textContent = "data/index.js is missing: build the catalog again."; return; }
  const { networks } = phosphene.known.index;
  const title = networks.map(one => one.label).join(" · ");
  document.getElementById("title").textContent = title;
  const places = new Map();
  let here = null, shown = 0;

  async function show() {
    const [kind = "", ...given] = location.hash.replace(/^#\/?/, "").split("/").map(part => { try { return decodeURIComponent(part); } catch { return part; } });
    const turn = ++shown;
    if (here !== null) places.set(here, scrollY);
    const view = phosphene.views[kind] ?? phosphene.views[""];
    if (kind !== "find" && document.activeElement !== query) query.value = "";
    let page;
    try { page = await view(...given); } catch (error) { page = phosphene.missing(error.message); }
    if (turn !== shown) return;
    const came = here;
    here = location.hash;
    document.title = page.dataset.title ? `${page.dataset.title} · ${title}` : title;
    main.replaceChildren(page);
    if (kind === "find" && came?.startsWith("#/find")) return;
    scrollTo(0, places.get(here) ?? 0);
    if (came !== null && document.activeElement !== query) main.focus({ preventScroll: true });
  }

  addEventListener("hashchange", show);
  document.getElementById("skip").addEventListener("click", event => { event.preventDefault(); main.focus(); });
  document.getElementById("search").addEventListener("submit", event => {
    event.preventDefault();
    main.querySelector(".tile")?.focus();
  });
  query.addEventListener("input", () => {
    const address = query.value.trim() ? phosphene.href("find", query.value.trim()) : "#/find/";
    if (location.hash.startsWith("#/find")) { history.replaceState(null, "", address); show(); }
    else location.hash = address;
  });
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && document.activeElement === query) { query.blur(); main.focus({ preventScroll: true }); }
    if (event.target.matches("input, select, textarea")) return;
    if (event.key === "/") { event.preventDefault(); query.focus(); query.select(); }
    if (event.key === "ArrowLeft") main.querySelector("[data-before]")?.click();
    if (event.key === "ArrowRight") main.querySelector("[data-after]")?.click();
  });
  if (location.hash.startsWith("#/find/")) query.value = decodeURIComponent(location.hash.slice(7));
  show();
})();

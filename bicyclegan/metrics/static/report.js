// Draws the charts in the colours of the page, light or dark, and opens pictures in full size.
(() => {
  const PRINT_WIDTH = 640; // px between the margins of A4 and Letter
  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, typesetMath: false };
  const { palette, charts } = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");

  /** A deep copy in which every light colour has become its dark one. */
  function recolour(value) {
    if (typeof value === "string") return Object.hasOwn(palette, value) ? palette[value] : value;
    if (Array.isArray(value)) return value.map(recolour);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, recolour(inner)]));
  }

  function draw(isDark, width) {
    for (const { id, data, layout } of charts) {
      const figure = isDark ? recolour({ data, layout }) : structuredClone({ data, layout });
      figure.layout.autosize = !width;
      if (width) figure.layout.width = width;
      Plotly.react(id, figure.data, figure.layout, CONFIG);
    }
  }

  draw(dark.matches);
  dark.addEventListener("change", () => draw(dark.matches));
  addEventListener("beforeprint", () => draw(false, PRINT_WIDTH));
  addEventListener("afterprint", () => draw(dark.matches));

  const viewer = document.getElementById("viewer");
  const full = viewer.querySelector("img");
  for (const button of document.querySelectorAll(".picture")) {
    button.addEventListener("click", () => {
      const small = button.querySelector("img");
      full.src = small.src;
      full.alt = small.alt;
      viewer.showModal();
    });
  }
  viewer.addEventListener("click", (event) => {
    if (event.target !== full) viewer.close();
  });
})();

// Draws the curves over the chosen axis in the colours of the page, and shows the samples of one update at a time.
(() => {
  const PRINT_WIDTH = 640; // px between the margins of A4 and Letter
  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, typesetMath: false };
  const { palette, axes, clocks, charts, moments } = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const hidden = new Set(); // places of runs that are not shown

  /** A deep copy in which every light colour has become its dark one. */
  function recolour(value) {
    if (typeof value === "string") return Object.hasOwn(palette, value) ? palette[value] : value;
    if (Array.isArray(value)) return value.map(recolour);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, recolour(inner)]));
  }

  /** A figure with its lines over the axis: they know their run, and the run knows where its values stand. */
  function placed({ data, layout }, axis) {
    const lines = data.map((line) => {
      if (!line.meta) return line; // a word in the legend
      const { run, clock } = line.meta;
      return { ...line, x: clocks[run][clock][axis], visible: !hidden.has(run) };
    });
    const xaxis = { ...layout.xaxis, title: { ...layout.xaxis.title, text: axes[axis] }, rangemode: "tozero" };
    return { data: lines, layout: { ...layout, xaxis } };
  }

  function draw(isDark = dark.matches, width = 0) {
    const axis = document.querySelector("input[name=axis]:checked")?.value;
    for (const chart of charts) {
      const figure = placed(chart, axis);
      const { data, layout } = isDark ? recolour(figure) : structuredClone(figure);
      layout.autosize = !width;
      if (width) layout.width = width;
      Plotly.react(chart.id, data, layout, CONFIG);
    }
  }

  draw();
  dark.addEventListener("change", () => draw());
  addEventListener("beforeprint", () => draw(false, PRINT_WIDTH));
  addEventListener("afterprint", () => draw());
  for (const choice of document.querySelectorAll("input[name=axis]")) {
    choice.addEventListener("change", () => draw());
  }

  const sheets = [...document.querySelectorAll(".sheet-of")];
  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () => {
      const run = Number(button.dataset.toggle);
      const show = hidden.delete(run);
      if (!show) hidden.add(run);
      button.setAttribute("aria-pressed", show);
      for (const sheet of sheets) sheet.hidden = hidden.has(Number(sheet.dataset.run));
      draw();
    });
  }

  /** Show the sheets of one update, all runs together. */
  function show(place) {
    const { step, shown, told } = moments[place];
    document.getElementById("moment-told").textContent = step;
    for (const sheet of sheets) {
      const run = Number(sheet.dataset.run);
      const button = sheet.querySelector(".picture");
      button.hidden = shown[run] === null;
      sheet.querySelector(".when").textContent = told[run];
      for (const picture of button.children) picture.hidden = Number(picture.dataset.step) !== shown[run];
    }
  }

  const slider = document.getElementById("moment");
  if (slider) {
    const go = (place) => {
      slider.value = place; // which keeps it within its limits
      show(Number(slider.value));
    };
    slider.addEventListener("input", () => show(Number(slider.value)));
    for (const button of document.querySelectorAll("[data-go]")) {
      button.addEventListener("click", () => go(Number(slider.value) + Number(button.dataset.go)));
    }
    show(Number(slider.value));
  }

  const viewer = document.getElementById("viewer");
  const full = viewer.querySelector("img");
  let opened = 0; // among the sheets that can be seen

  const visible = () => sheets.filter((sheet) => !sheet.hidden && !sheet.querySelector(".picture").hidden);

  function open(sheet) {
    const small = sheet.querySelector("img:not([hidden])");
    opened = visible().indexOf(sheet);
    full.src = small.src;
    full.alt = small.alt;
    document.getElementById("viewer-told").textContent = small.alt;
    if (!viewer.open) viewer.showModal();
  }

  for (const sheet of sheets) sheet.querySelector(".picture").addEventListener("click", () => open(sheet));
  viewer.addEventListener("click", (event) => {
    if (event.target !== full) viewer.close();
  });
  viewer.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault(); // or the frame would scroll
    const among = visible();
    open(among[(opened + by + among.length) % among.length]);
  });
})();

// Draws the map in the colours of the page, says whose point it is, and plays the steps of a run.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { names, moments, steps, tiles, colourings, themes } = data;
  const [PRIOR, PHOTOS] = [0, 1]; // places of the traces
  const FLAT = moments[0].length === 2;
  const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  const STEP_TIME = 450; // ms from one step of a run to the next
  const EDGE = 8; // px that stay free around the thumbnail
  const SCALES = {
    rising: { light: ["#a5b4fc", "#6366f1", "#1e1b4b"], dark: ["#3730a3", "#818cf8", "#e0e7ff"] },
    "around zero": { light: ["#1d4ed8", "#94a3b8", "#b91c1c"], dark: ["#60a5fa", "#64748b", "#f87171"] },
  };
  const FEW = { // as many groups as eye and palette tell apart
    light: ["#2563eb", "#d95f02", "#0f766e", "#be185d", "#6d28d9", "#4d7c0f", "#713f12", "#475569"],
    dark: ["#60a5fa", "#fb923c", "#2dd4bf", "#f472b6", "#c084fc", "#a3e635", "#fde047", "#cbd5e1"],
  };
  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: !FLAT, typesetMath: false };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const mouse = matchMedia("(pointer: fine)");
  const byId = (id) => document.getElementById(id);
  const [map, hover, select, prior, slider] = ["map", "hover", "colouring", "prior", "moment"].map(byId);
  let position = moments.length - 1; // in the steps of a run; between two of them while it plays
  let shown = -1; // photo that was told about last

  // --- what is drawn ------------------------------------------------------------------------------------------------

  /** Coordinates of the photos at a position: the way between two steps is straight. */
  function coordinates() {
    const before = moments[Math.floor(position)];
    const after = moments[Math.ceil(position)];
    const share = position - Math.floor(position);
    return before.map((line, d) => (share ? line.map((x, k) => x + share * (after[d][k] - x)) : line));
  }

  function chosen() {
    return colourings.find(({ key }) => key === select.value) ?? colourings[0];
  }

  function groupColour(k, count, theme) {
    if (count <= FEW[theme].length) return FEW[theme][k];
    return `hsl(${Math.round((k * 360) / count)}, 62%, ${(theme === "dark" ? 58 : 38) + (k % 2) * 14}%)`;
  }

  function markerColours({ kind, values, groups, low, high }, theme) {
    if (kind === "own") return { color: values };
    if (kind === "groups") return { color: values.map((k) => groupColour(k, groups.length, theme)) };
    const colours = SCALES[kind][theme];
    return { color: values, cmin: low, cmax: high, colorscale: colours.map((colour, k) => [k / 2, colour]) };
  }

  function trace(coords, marker, more) {
    const [x, y, z] = coords;
    const places = FLAT ? { type: "scatter", x, y } : { type: "scatter3d", x, y, z };
    return { mode: "markers", ...places, marker, ...more };
  }

  function traces(theme) {
    const size = (names.length < 150 ? 10 : names.length < 1500 ? 8 : 6) - (FLAT ? 0 : 4);
    // Photos are as light as paper or as dark as the night: an outline shows them on any page.
    const own = chosen().kind === "own";
    const line = { width: FLAT || own ? 0.8 : 0, color: themes[theme][own ? "muted" : "page"] };
    const random = { color: themes[theme].prior, size: Math.max(2.5, size - 3), opacity: 0.4 };
    const photos = { ...markerColours(chosen(), theme), size, opacity: FLAT ? 0.9 : 1, line };
    return [
      trace(data.prior, random, { hoverinfo: "skip", visible: prior.checked }),
      trace(coordinates(), photos, { hoverinfo: "none" }),
    ];
  }

  function axis(d, { grid, muted }) {
    const title = { text: data.axes[d], font: { size: 12, color: muted } };
    const bare = data.axes[d] ? {} : { showticklabels: false, ticks: "" };
    const space = FLAT ? { zeroline: false } : { showspikes: false, showbackground: false, zerolinecolor: grid };
    return { title, range: [...data.ranges[d]], gridcolor: grid, color: muted, ...space, ...bare };
  }

  function rings({ muted }) {
    if (!data.centre) return {};
    const [x, y] = data.centre;
    const line = { color: muted, width: 1, dash: "dot" };
    const shapes = data.rings.map((r) => ({ type: "circle", line, x0: x - r, x1: x + r, y0: y - r, y1: y + r }));
    const annotations = data.rings.map((r) => {
      return { x, y: y + r, text: `${r} σ`, showarrow: false, yanchor: "bottom", font: { size: 11, color: muted } };
    });
    return { shapes, annotations };
  }

  function layout(theme) {
    const colours = themes[theme];
    const far = map.clientWidth < 500 ? 1.4 : 1; // so that a narrow frame holds the whole cube
    const margin = data.axes[0] ? { l: 56, r: 16, t: 16, b: 54 } : { l: 16, r: 16, t: 16, b: 16 };
    const axes = FLAT
      ? { xaxis: axis(0, colours), yaxis: { ...axis(1, colours), scaleanchor: "x" }, ...rings(colours) }
      : {
          scene: {
            xaxis: axis(0, colours),
            yaxis: axis(1, colours),
            zaxis: axis(2, colours),
            aspectmode: "data",
            dragmode: "orbit",
            camera: { eye: { x: 1.5 * far, y: 1.5 * far, z: 0.8 * far }, center: { x: 0, y: 0, z: -0.12 } },
          },
        };
    return {
      template: "none",
      autosize: true,
      margin: FLAT ? margin : { l: 0, r: 0, t: 0, b: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colours.ink },
      showlegend: false,
      hovermode: "closest",
      dragmode: mouse.matches ? "zoom" : false, // fingers scroll the page
      uirevision: "what the reader has zoomed into stays",
      ...axes,
    };
  }

  function draw(theme = dark.matches ? "dark" : "light") {
    hide();
    tellKey(theme);
    return Plotly.react(map, traces(theme), layout(theme), CONFIG);
  }

  // --- what the colours mean ----------------------------------------------------------------------------------------

  function element(tag, text = "", style = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    Object.assign(made.style, style);
    return made;
  }

  function tellKey(theme) {
    const { kind, groups, low, high, note, values, moves } = chosen();
    byId("note").textContent = note + (moves && steps.length > 1 ? " Colours are those of the last step." : "");
    const key = byId("key");
    key.replaceChildren();
    if (kind === "groups") {
      groups.forEach((name, k) => {
        const entry = element("span", `${name} (${values.filter((value) => value === k).length})`);
        entry.prepend(element("i", "", { background: groupColour(k, groups.length, theme) }));
        key.append(entry);
      });
    } else if (kind !== "own") {
      const scale = element("span", "", { background: `linear-gradient(90deg, ${SCALES[kind][theme].join(", ")})` });
      scale.className = "scale";
      key.append(element("span", number(low)), scale, element("span", number(high)));
    }
  }

  function number(value) {
    return String(Number(value.toPrecision(3))).replace("-", "−");
  }

  function valueOf(photo) {
    const { kind, title, values, groups } = chosen();
    if (kind === "own") return "";
    return kind === "groups" ? groups[values[photo]] : `${title}: ${number(values[photo])}`;
  }

  // --- whose point it is --------------------------------------------------------------------------------------------

  /** Show name and thumbnail beside a place in the window, and never outside of it. */
  function tell(photo, x, y) {
    shown = photo;
    byId("hover-name").textContent = names[photo];
    byId("hover-value").textContent = valueOf(photo);
    showTile(photo);
    hover.hidden = false;
    const { width, height } = hover.getBoundingClientRect();
    const left = x + 16 + width + EDGE <= innerWidth ? x + 16 : x - 16 - width;
    const top = y - 16 - height >= EDGE ? y - 16 - height : y + 16;
    hover.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - width - EDGE))}px`;
    hover.style.top = `${Math.max(EDGE, Math.min(top, innerHeight - height - EDGE))}px`;
  }

  function showTile(photo) {
    const picture = byId("sprite");
    if (!picture) return;
    const tile = tiles.places[photo];
    picture.parentElement.hidden = tile === null;
    if (tile === null) return;
    const side = 112 / tiles.size; // as wide as .tile
    const [column, row] = [tile % tiles.columns, Math.floor(tile / tiles.columns)];
    picture.style.transform = `scale(${side}) translate(${-column * tiles.size}px, ${-row * tiles.size}px)`;
  }

  function hide() {
    hover.hidden = true;
  }

  /** Where a photo's dot is in the window; the middle of a map that can be turned. */
  function placeOf(photo) {
    const { left, top, width, height } = map.getBoundingClientRect();
    if (!FLAT) return [left + width / 2, top + height / 2];
    const { xaxis, yaxis } = map._fullLayout;
    const [x, y] = coordinates();
    return [left + xaxis._offset + xaxis.d2p(x[photo]), top + yaxis._offset + yaxis.d2p(y[photo])];
  }

  let pointer = [0, 0]; // maps in 3-D do not say where they were pointed at
  for (const kind of ["pointermove", "pointerdown"]) {
    map.addEventListener(kind, (event) => { pointer = [event.clientX, event.clientY]; }, { capture: true });
  }

  draw().then(() => {
    for (const kind of ["plotly_hover", "plotly_click"]) { // fingers do not hover
      map.on(kind, ({ points }) => {
        const point = points.find(({ curveNumber }) => curveNumber === PHOTOS);
        if (point) tell(point.pointNumber, ...(FLAT ? placeOf(point.pointNumber) : pointer));
      });
    }
    map.on("plotly_unhover", hide);
    map.on("plotly_relayouting", hide);
  });

  map.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    const next = (shown + KEYS[event.key] + names.length + (shown < 0 && KEYS[event.key] < 0)) % names.length;
    tell(next, ...placeOf(next));
  });
  map.addEventListener("blur", hide);
  addEventListener("pointerdown", hide);
  addEventListener("scroll", hide, { passive: true });
  addEventListener("resize", hide);

  // --- choices ------------------------------------------------------------------------------------------------------

  select.addEventListener("change", () => draw());
  prior.addEventListener("change", () => Plotly.restyle(map, { visible: prior.checked }, [PRIOR]));
  byId("reset").addEventListener("click", () => {
    const whole = layout("light");
    const { camera } = whole.scene ?? {};
    Plotly.relayout(map, FLAT ? { "xaxis.range": whole.xaxis.range, "yaxis.range": whole.yaxis.range } : { "scene.camera": camera });
  });
  dark.addEventListener("change", () => draw());
  addEventListener("beforeprint", () => draw("light"));
  addEventListener("afterprint", () => draw());

  // --- steps of a run -----------------------------------------------------------------------------------------------

  if (!slider) return;
  const play = byId("play");
  let frame = 0; // of the film that plays; 0 while it stands

  function show(to) {
    position = Math.max(0, Math.min(to, moments.length - 1));
    slider.value = Math.round(position);
    byId("moment-told").textContent = `step ${steps[Math.round(position)].toLocaleString("en")}`;
    const [x, y, z] = coordinates();
    hide();
    return Plotly.restyle(map, FLAT ? { x: [x], y: [y] } : { x: [x], y: [y], z: [z] }, [PHOTOS]);
  }

  function stop() {
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  }

  function start() {
    const from = position >= moments.length - 1 ? 0 : position;
    const begin = performance.now();
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    const next = async (now) => {
      const at = from + Math.max(0, now - begin) / STEP_TIME;
      await show(calm.matches ? Math.floor(at) : at);
      if (!frame) return; // stopped meanwhile
      if (at >= moments.length - 1) stop();
      else frame = requestAnimationFrame(next);
    };
    frame = requestAnimationFrame(next);
  }

  play.addEventListener("click", () => (frame ? stop() : start()));
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  show(position);
})();

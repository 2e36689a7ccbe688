// Put into the page before its own scripts: when the map was asked for, answered, drawn and painted, and when the
// picture of a press was there. Python waits for promises, so that nothing is polled while something is measured.

(() => {
  const now = () => performance.now();
  const seen = { pressed: 0, answered: 0, draws: [], refuse: () => {}, draw: () => {}, style: () => {} };
  window.seen = seen;

  seen.mapped = new Promise((done) => {
    window.addEventListener("studio:mapped", ({ detail }) => done(detail.milliseconds), { once: true });
  });
  window.addEventListener("studio:styled", async ({ detail }) => {
    await nextFrame();
    seen.style({ visible: now() - seen.pressed, asked: detail.milliseconds });
  });
  for (const type of ["pointerdown", "change"]) {
    window.addEventListener(type, ({ timeStamp }) => { seen.pressed = timeStamp; }, { capture: true });
  }

  /** From now on `seen.nextDraw` and `seen.nextStyle` are those that come next. */
  seen.expect = () => {
    seen.nextDraw = new Promise((done, failed) => { [seen.draw, seen.refuse] = [done, failed]; });
    seen.nextDraw.catch(() => {}); // whoever waits for it hears of it
    seen.nextStyle = new Promise((done) => { seen.style = done; });
  };

  /** Where photos lie on the screen, [index, x, y] each; only those that a press would reach. */
  seen.pixels = () => {
    const plot = document.querySelector("#map .plot");
    const { x, y } = plot._fullData.find(({ name }) => name === "photos");
    const { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    const places = [...x].map((value, k) => [k, box.x + xaxis._offset + xaxis.d2p(value), box.y + yaxis._offset + yaxis.d2p(y[k])]);
    return places.filter(([, left, top]) => plot.contains(document.elementFromPoint(left, top)));
  };

  const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

  /** A frame can be on its way to the screen while WebGL still draws it: reading a pixel waits for that. */
  async function painted(plot) {
    await nextFrame();
    await nextFrame();
    for (const canvas of plot.querySelectorAll("canvas.gl-canvas-context")) {
      const gl = canvas.getContext("webgl");
      gl?.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    }
    return now();
  }

  /** Call `wrap` with what a script sets as this property of the window. */
  function trap(name, wrap) {
    let value;
    Object.defineProperty(window, name, { configurable: true, get: () => value, set: (made) => { value = wrap(made); } });
  }

  trap("studio", (studio) => {
    const { ask } = studio;
    studio.ask = async (name, wanted) => {
      const answer = await ask(name, wanted);
      if (name === "map_places" && answer.error) seen.refuse(new Error(answer.error));
      if (name === "map_places" && answer.coords) seen.answered = now();
      return answer;
    };
    return studio;
  });
  trap("Plotly", (library) => {
    const { react } = library;
    library.react = async (plot, traces, ...others) => {
      const begun = now();
      const made = await react(plot, traces, ...others);
      if (!plot.closest("#map")) return made; // Gradio's own
      const drawn = now();
      const points = traces.find(({ name }) => name === "photos")?.x.length ?? 0;
      painted(plot).then((shown) => {
        const { pressed, answered } = seen;
        seen.draw({ pressed, answered, begun, drawn, shown, points });
      });
      return made;
    };
    return library;
  });
  seen.expect();
})();

// Small pictures: the truth and every node.
const views = {
  made: new Map(),

  /** The figure of a name, made once and painted again for every frame. */
  figure(name, place = null) {
    if (!views.made.has(name)) {
      const host = make("div", { class: "picture" });
      const note = make("span", { class: "note" });
      const parts = [make("span", { class: "name", title: name }, name), note];
      if (place !== null) {
        parts.splice(0, 0, swatch(colourOf(place)));
        for (const side of ["a", "b"]) {
          parts.push(button(side.toUpperCase(), () => { state[side] = place; update({ nodes: true }); }, { "aria-label": `show ${name} as ${side.toUpperCase()}`, "data-side": side }));
        }
      }
      const element = make("figure", { class: "view", "data-name": name }, host, make("figcaption", {}, ...parts));
      views.made.set(name, { element, note, place, picture: new Picture(host, name) });
    }
    return views.made.get(name);
  },

  paint({ element, note, place, picture }, shown, mask, { colour, text }) {
    const pixels = masks.area(mask);
    element.dataset.pixels = pixels;
    note.textContent = text;
    picture.canvas.setAttribute("aria-label", `${element.dataset.name}: ${counted(pixels, "pixel")}`);
    picture.paint(shown.picture(state.frame), shown.view.size, mask, [colour]);
    for (const side of ["a", "b"]) element.querySelector(`[data-side=${side}]`)?.setAttribute("aria-pressed", String(state[side] === place));
    return element;
  },

  draw(shown) {
    const elements = [];
    const truth = shown.truth(state.frame);
    if (truth) elements.push(views.paint(views.figure("ground truth", "truth"), shown, truth, { colour: colourOf("truth"), text: "" }));
    for (const place of maskNodes) {
      const mask = shown.maskOf(place, state.frame);
      if (!mask) continue;
      const score = shown.expression.scores[place];
      const text = score === null || score === undefined ? "" : `J&F ${score.toFixed(1)}`;
      elements.push(views.paint(views.figure(report.nodes[place].name, place), shown, mask, { colour: palette.colour(place), text }));
    }
    byId("views").replaceChildren(...elements);
  },
};

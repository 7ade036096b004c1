// Slices: which sentences the list shows, and how well A and B do in each slice.
const slices = {
  /** What the list keeps: a kind of slice and a place in it; null: all. */
  kind: 0,
  place: null,

  keeps: (one) => slices.place === null || (one.slices[slices.kind] ?? []).includes(slices.place),

  /** Fill the filter: the kinds, and the slices of the chosen one. */
  offer() {
    offer(byId("slice-kind"), report.slices.map(({ name }, place) => [place, name]), slices.kind);
    const names = report.slices[slices.kind]?.names ?? [];
    offer(byId("slice"), [["", "all"], ...names.map((name, place) => [place, name])], slices.place ?? "");
    byId("slice-row").hidden = report.slices.length === 0;
  },

  watch() {
    byId("slice-kind").addEventListener("change", (event) => {
      Object.assign(slices, { kind: Number(event.target.value), place: null });
      slices.offer();
      filter();
    });
    byId("slice").addEventListener("change", (event) => {
      slices.place = event.target.value === "" ? null : Number(event.target.value);
      filter();
    });
  },

  mean(chosen, node) {
    const values = chosen.map(({ one }) => scoreOf(one, node)).filter((score) => score !== null);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  },

  bar(value, node, width = 100) {
    if (value === null) return "";
    const rest = { width, height: 14, viewBox: `0 0 ${width} 14`, preserveAspectRatio: "none", "aria-hidden": "true", style: "display:inline-block;vertical-align:-.15em" };
    const filled = draw("rect", { width: (width * value) / 100, height: 14, fill: colourOf(node) });
    return make("span", {}, draw("svg", rest, filled), ` ${number(value)}`);
  },

  /** Bars of every kind: J&F of A and B, means over the sentences that both have. */
  draw() {
    const both = [...new Set([state.a, state.b])].filter((node) => node !== "truth");
    const own = entries.filter(({ one }) => one.slices.length && both.every((node) => scoreOf(one, node) !== null));
    byId("slices").hidden = own.length === 0 || both.length === 0;
    byId("slice-bars").replaceChildren(...(own.length ? report.slices.map((kind, place) => slices.table(kind, place, own, both)) : []));
  },

  table({ name, title, names, overlaps }, kind, own, nodes) {
    const lines = names.map((text, place) => [text, own.filter(({ one }) => one.slices[kind].includes(place))]);
    const rows = [...lines.filter(([, chosen]) => chosen.length), ["all", own]].map(([text, chosen]) =>
      [text, String(chosen.length), ...nodes.map((node) => slices.bar(slices.mean(chosen, node), node))]);
    const caption = `${title}; J&F, means over sentences; ${overlaps ? "the slices overlap" : "the slices add up to all"}`;
    const made = table(caption, [name, "sentences", ...nodes.map(nameOf)], rows);
    made.dataset.by = name;
    return made;
  },
};

// Corrections by hand: other answers and emptied frames, exported as a file that a recipe may name.
const corrections = {
  made: new Map(), // place -> correction, as a line of the file has it
  unsaved: false,

  /** What a correction corrects: there is one for each place. */
  place(one) {
    const form = one.same_as ? "same_as" : one.empty ? "empty" : "frame";
    return JSON.stringify([one.node, one.video, one.sentence, form, one.frame ?? one.empty?.[0] ?? ""]);
  },

  /** The name of a node in its recipe; null for what no recipe stores. */
  plain(node) {
    const { name, side } = report.nodes[node] ?? {};
    return name === undefined ? null : side ? name.slice(side.length + 1) : name;
  },

  /** The node that is corrected: B, or the one below where B is corrected already. */
  target() {
    const node = report.nodes[state.b];
    return node?.kind === "correction" ? placeOf.get(node.inputs[0]) : state.b;
  },

  /** What is corrected of the shown sentence. */
  own() {
    const [node, row] = [corrections.plain(corrections.target()), report.videos[state.video]];
    const sentence = row.expressions[state.expression].id;
    return [...corrections.made.values()].filter((one) => one.node === node && one.video === row.id && one.sentence === sentence);
  },

  add(form) {
    const { row, expression } = shown;
    const one = { node: corrections.plain(corrections.target()), video: row.id, sentence: expression.id, ...form };
    corrections.made.set(corrections.place(one), one);
    corrections.changed();
  },

  /** From the shown frame to the end; a later start is part of it, a frame that was given contradicts it. */
  empty() {
    const { frames } = shown.view;
    const later = (name) => frames.indexOf(name) >= state.frame;
    const given = corrections.own().find((one) => one.frame !== undefined && later(one.frame));
    if (given) return show(`Frame ${given.frame} is corrected, so it cannot be empty; remove that first.`);
    for (const one of corrections.own()) if (one.empty && later(one.empty[0])) corrections.made.delete(corrections.place(one));
    corrections.add({ empty: [frames[state.frame], frames.at(-1)] });
  },

  changed() {
    corrections.unsaved = true;
    corrections.draw();
  },

  describe(one) {
    if (one.same_as) return `the answer of ${one.same_as.node ?? one.node} to ${one.same_as.sentence}`;
    return one.empty ? `empty from ${one.empty.join(" to ")}` : `${one.box ? "a box" : "a mask"} in frame ${one.frame}${one.engine ? `, carried by ${one.engine}` : ""}`;
  },

  draw() {
    const [target, other] = [corrections.target(), state.a];
    const [node, answer] = [corrections.plain(target), corrections.plain(other)];
    byId("correct").hidden = node === null;
    if (node === null || !shown) return;
    const isOther = answer !== null && other !== target && other !== state.b && report.nodes[other].side === report.nodes[target].side;
    byId("correct-answer").disabled = !isOther || !shown.sequence(other);
    byId("correct-answer").textContent = isOther ? `${answer}'s answer instead` : "A's answer instead";
    byId("correct-what").textContent = `B's answer to this sentence, in the file that of ${node}:`;
    const remove = (one) => button("remove", () => { corrections.made.delete(corrections.place(one)); corrections.changed(); }, { "aria-label": `remove ${corrections.describe(one)}` });
    byId("correct-list").replaceChildren(...corrections.own().map((one) => make("div", { class: "bar" }, make("span", {}, corrections.describe(one)), remove(one))));
    byId("correct-count").textContent = `${counted(corrections.made.size, "correction")} of this page${corrections.unsaved ? ", not exported yet" : ""}`;
    byId("export-corrections").disabled = corrections.made.size === 0;
  },

  /** The content of the file: a line for each correction, in one order. */
  file() {
    const lines = [...corrections.made].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, one]) => JSON.stringify(one));
    return lines.map((line) => `${line}\n`).join("");
  },

  save() {
    download("corrections.jsonl", "application/jsonl", corrections.file());
    corrections.unsaved = false;
    corrections.draw();
  },

  /** Go on with a file: all of it comes out again, masks and other videos too. */
  take(text) {
    let lines = null;
    try { lines = text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line)); } catch { /* told below */ }
    const isOne = (one) => one !== null && typeof one === "object" && [one.node, one.video, one.sentence].every((name) => typeof name === "string");
    if (!lines?.every(isOne)) return show("This is no file of corrections: expected lines of {node, video, sentence, ...}.");
    for (const one of lines) corrections.made.set(corrections.place(one), one);
    show(`${counted(lines.length, "correction")} taken over.`);
    corrections.draw();
  },

  watch() {
    byId("correct-answer").addEventListener("click", () => corrections.add({ same_as: { sentence: shown.expression.id, node: corrections.plain(state.a) } }));
    byId("correct-empty").addEventListener("click", () => corrections.empty());
    byId("export-corrections").addEventListener("click", () => corrections.save());
    byId("import-corrections").addEventListener("change", async ({ target }) => { if (target.files[0]) corrections.take(await target.files[0].text()); target.value = ""; });
    // A browser asks before it throws unsaved work away.
    addEventListener("beforeunload", (event) => { if (corrections.unsaved) event.preventDefault(); });
  },
};

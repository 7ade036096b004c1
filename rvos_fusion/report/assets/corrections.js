// Corrections by hand: other answers and emptied frames, exported as a file that a recipe may name.
const corrections = {
  made: new Map(), // place -> correction, as a line of the file has it
  unsaved: false,

  /** What a correction corrects: there is one for each place. */
  place(one) {
    const form = ["same_as", "empty", "keep"].find((name) => one[name]) ?? "frame";
    return JSON.stringify([one.node, one.video, one.sentence, form, corrections.frames(one)[0] ?? ""]);
  },

  /** Names of the frame, or of the first and the last one; none where it is of the whole video. */
  frames: (one) => one.empty ?? one.keep ?? (one.frame === undefined ? [] : [one.frame]),

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

  /** Frames from the shown one on are empty, or the shown one is right; what contradicts that is to be removed first. */
  mark(form) {
    const names = shown.view.frames;
    const last = form === "empty" ? names.length - 1 : state.frame;
    const meets = (one) => names.indexOf(corrections.frames(one)[0]) <= last && names.indexOf(corrections.frames(one).at(-1)) >= state.frame;
    const met = corrections.own().filter(meets);
    const other = met.find((one) => !one[form]);
    if (other) return show(`This contradicts “${corrections.describe(other)}”; remove that first.`);
    // A later start is part of it.
    for (const one of met) if (names.indexOf(one[form][0]) >= state.frame) corrections.made.delete(corrections.place(one));
    corrections.add({ [form]: [names[state.frame], names[last]] });
  },

  changed() {
    corrections.unsaved = true;
    corrections.draw();
  },

  describe(one) {
    if (one.same_as) return `the answer of ${one.same_as.node ?? one.node} to ${one.same_as.sentence}`;
    if (one.frame === undefined) return `${one.empty ? "empty" : "kept"} from ${corrections.frames(one).join(" to ")}`;
    return `${one.box ? "a box" : "a mask"} in frame ${one.frame}${one.engine ? `, carried by ${one.engine}` : ""}`;
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
    byId("correct-empty").addEventListener("click", () => corrections.mark("empty"));
    byId("correct-keep").addEventListener("click", () => corrections.mark("keep"));
    byId("export-corrections").addEventListener("click", () => corrections.save());
    byId("import-corrections").addEventListener("change", async ({ target }) => { if (target.files[0]) corrections.take(await target.files[0].text()); target.value = ""; });
    // A browser asks before it throws unsaved work away.
    addEventListener("beforeunload", (event) => { if (corrections.unsaved) event.preventDefault(); });
  },
};

// Groups: look at them, correct them, and export a file for `groups: {by: file}`.
const groups = {
  edited: new Map(), // grouping -> video -> for each expression the number of its group
  shown: null,
  order: [],
  pictures: new Map(),

  box: new ListBox(byId("group-videos"), {
    label: "videos",
    height: 48,
    render: (video) => groups.item(video),
    choose: (place) => { Object.assign(state, { video: groups.order[place], expression: 0 }); update({ expression: true }); },
  }),

  own() {
    if (!groups.edited.has(state.grouping)) groups.edited.set(state.grouping, new Map());
    return groups.edited.get(state.grouping);
  },

  /** Numbers of the groups as the recipe found them; expressions that it left out stand alone. */
  given(video) {
    const row = report.videos[video];
    const numbers = row.expressions.map(() => -1);
    (row.groups[state.grouping] ?? []).forEach((group, place) => group.expressions.forEach((one) => { numbers[one] = place; }));
    let next = Math.max(-1, ...numbers) + 1;
    return numbers.map((own) => (own < 0 ? next++ : own));
  },

  numbers(video) {
    return groups.own().get(video) ?? groups.given(video);
  },

  /** Lists of expressions, in the order of the file. */
  lists(video) {
    const found = new Map();
    groups.numbers(video).forEach((own, place) => found.set(own, [...(found.get(own) ?? []), place]));
    return [...found.values()];
  },

  confidence(video) {
    const values = (report.videos[video].groups[state.grouping] ?? []).map((group) => group.confidence).filter((value) => value !== null);
    return values.length ? Math.min(...values) : null;
  },

  item(video) {
    const row = report.videos[video];
    const confidence = groups.confidence(video);
    const words = [`${counted(groups.lists(video).length, "group")} of ${counted(row.expressions.length, "expression")}`];
    if (confidence !== null) words.push(`confidence ${confidence.toFixed(2)}`);
    if (groups.own().has(video)) words.push("edited");
    return [make("span", {}, row.id), make("small", {}, words.join(" · "))];
  },

  /** The least sure videos come first. */
  update() {
    groups.order = report.videos.map((_, video) => video).sort((x, y) => (groups.confidence(x) ?? 2) - (groups.confidence(y) ?? 2));
    groups.box.fill(groups.order, groups.order.indexOf(state.video));
    groups.tell();
  },

  tell() {
    const count = groups.own().size;
    byId("group-count").textContent = `${counted(report.videos.length, "video")}, the least sure first; ${count} edited`;
    byId("group-hint").textContent = `Save the file beside the recipe and write there: groups: {by: file, file: groups.json}. It lists the ${counted(report.videos.length, "video")} of this page.`;
  },

  draw(shown) {
    groups.shown = shown;
    const { row } = shown;
    const lists = groups.lists(state.video);
    const node = nameOf(state.b);
    const boxes = lists.map((places, index) => groups.fieldset(shown, places, index, lists.length));
    const reset = button("as the recipe found them", () => { groups.own().delete(state.video); groups.changed(); }, { id: "reset-groups", disabled: !groups.own().has(state.video) });
    const hint = make("p", { class: "hint" }, `Frame ${shown.view.frames[state.frame]}, masks of ${node}. Expressions of one group are fused with each other: they should mean the same object.`);
    byId("group-detail").replaceChildren(make("h2", {}, row.id), make("div", { class: "bar" }, groups.slider(shown), reset), hint, ...boxes);
  },

  slider(shown) {
    const slider = make("input", { type: "range", min: 0, max: shown.view.frames.length - 1, value: state.frame, "aria-label": "frame" });
    slider.addEventListener("change", () => { state.frame = Number(slider.value); update({}); });
    return make("label", {}, "frame ", slider);
  },

  fieldset(shown, places, index, count) {
    const confidence = groups.own().has(state.video) ? null : groupConfidence(shown.row, places);
    const words = [`group ${index + 1}`, ...(confidence === null ? [] : [`confidence ${confidence.toFixed(2)}`])].join(", ");
    const legend = make("legend", { class: confidence !== null && confidence < 0.3 ? "doubtful" : null }, words);
    return make("fieldset", { class: "group-box" }, legend, make("div", { class: "cards" }, ...places.map((place) => groups.card(shown, place, { index, count }))));
  },

  card(shown, place, { index, count }) {
    const one = shown.row.expressions[place];
    const host = make("div", { class: "picture" });
    const mask = shown.maskOf(state.b, state.frame, place) ?? new Uint8Array(shown.view.size[0] * shown.view.size[1]);
    new Picture(host, `${one.text}: ${counted(masks.area(mask), "pixel")}`).paint(shown.picture(state.frame), shown.view.size, mask, [palette.colour(index)]);
    const select = make("select", { "aria-label": `group of ${one.text}`, "data-expression": one.id });
    const numbers = Array.from({ length: count }, (_, number) => [number, `group ${number + 1}`]);
    offer(select, [...numbers, ["new", "a new group"]], index);
    select.addEventListener("change", () => groups.move(place, select.value === "new" ? count : Number(select.value), one.id));
    return make("div", { class: "view" }, host, make("span", { class: "text" }, one.text), make("small", { class: "hint" }, `${one.id} `), select);
  },

  /** Put an expression into the `target`-th group of those shown. */
  move(place, target, id) {
    const numbers = groups.shown.row.expressions.map(() => 0);
    groups.lists(state.video).forEach((places, number) => places.forEach((own) => { numbers[own] = number; }));
    numbers[place] = target;
    groups.own().set(state.video, numbers);
    groups.changed();
    [...document.querySelectorAll("#group-detail select")].find((select) => select.dataset.expression === id)?.focus();
  },

  changed() {
    groups.box.draw();
    groups.tell();
    groups.draw(groups.shown);
  },

  /** The content of a group file: {video: [[expression, ...], ...]}. */
  file() {
    const lines = report.videos.map((row, video) => {
      const lists = groups.lists(video).map((places) => places.map((place) => row.expressions[place].id));
      return `${JSON.stringify(row.id)}: ${JSON.stringify(lists)}`;
    });
    return `{\n${lines.join(",\n")}\n}\n`;
  },

  save() {
    download("groups.json", "application/json", groups.file());
  },

  /** Take over the groups of a file; videos that it lacks, or lists otherwise, stay as they are. */
  take(text) {
    let content = null;
    try { content = JSON.parse(text); } catch { /* told below */ }
    if (content === null || typeof content !== "object" || Array.isArray(content)) return show("This is no group file: expected {video: [[expression, ...], ...]}.");
    let [taken, refused] = [0, 0];
    report.videos.forEach((row, video) => {
      if (!Object.hasOwn(content, row.id)) return;
      const numbers = row.expressions.map((one) => (Array.isArray(content[row.id]) ? content[row.id].findIndex((list) => Array.isArray(list) && list.includes(one.id)) : -1));
      if (numbers.includes(-1)) refused++;
      else { groups.own().set(video, numbers); taken++; }
    });
    show(`Groups of ${counted(taken, "video")} taken over${refused ? `, of ${refused} refused: they do not list every expression` : ""}.`);
    groups.update();
    if (groups.shown) groups.draw(groups.shown);
  },

  watch() {
    const all = new Map();
    for (const place of groupedNodes) {
      const { grouping, name } = report.nodes[place];
      all.set(grouping, [...(all.get(grouping) ?? []), name]);
    }
    offer(byId("grouping"), [...all].map(([grouping, names]) => [grouping, names.join(", ")]), state.grouping);
    byId("grouping").addEventListener("change", (event) => { state.grouping = Number(event.target.value); groups.update(); if (groups.shown) groups.draw(groups.shown); });
    byId("export-groups").addEventListener("click", () => groups.save());
    byId("import-groups").addEventListener("change", async (event) => { if (event.target.files[0]) groups.take(await event.target.files[0].text()); event.target.value = ""; });
    // A browser asks before it throws unsaved work away.
    addEventListener("beforeunload", (event) => { if ([...groups.edited.values()].some((own) => own.size)) event.preventDefault(); });
  },
};

/** The confidence of a group of exactly these expressions; null where it was given. */
function groupConfidence(row, places) {
  const found = (row.groups[state.grouping] ?? []).find((group) => String(group.expressions) === String(places));
  return found?.confidence ?? null;
}

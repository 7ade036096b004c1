// The list of expressions: find, filter, sort.
const entries = report.videos.flatMap((row, video) =>
  row.expressions.map((one, expression) => ({ video, expression, row, one, words: `${row.id} ${one.text}`.toLowerCase() })));

/** Confidence of the group that an expression stands in; null where groups were given, not found. */
function confidenceOf(entry) {
  const groups = entry.row.groups.map((own) => own?.find((group) => group.expressions.includes(entry.expression)));
  return groups.find((group) => group && group.confidence !== null)?.confidence ?? null;
}

function gainOf({ one }) {
  const [a, b] = [scoreOf(one, state.a), scoreOf(one, state.b)];
  return a === null || b === null ? null : b - a;
}

const ORDERS = {
  file: { text: "the order of the file", value: null },
  ...(entries.some(({ one }) => one.disagreement > 0) && {
    disagreement: { text: "disagreement of the members", value: ({ one }) => -one.disagreement },
  }),
  ...(scored && {
    lowest: { text: "score of B, lowest first", value: ({ one }) => scoreOf(one, state.b) },
    highest: { text: "score of B, highest first", value: ({ one }) => (scoreOf(one, state.b) === null ? null : -scoreOf(one, state.b)) },
    gain: { text: "gain from A to B, largest first", value: (entry) => (gainOf(entry) === null ? null : -gainOf(entry)) },
    loss: { text: "gain from A to B, smallest first", value: gainOf },
  }),
  ...(entries.some(({ one }) => one.best !== null) && {
    unsure: { text: "best score of a member, lowest first", value: ({ one }) => one.best },
  }),
  ...(entries.some((entry) => confidenceOf(entry) !== null) && {
    confidence: { text: "confidence of the group, lowest first", value: confidenceOf },
  }),
};

const list = {
  shown: [],
  order: "file",

  box: new ListBox(byId("expressions"), {
    label: "expressions",
    height: 48,
    render: (entry) => [make("span", { title: entry.one.text }, entry.one.text), make("small", {}, list.describe(entry))],
    choose: (place) => choose(list.shown[place]),
    keys: {
      ArrowLeft: () => stepFrame(-1),
      ArrowRight: () => stepFrame(1),
      "+": () => changeThreshold(1),
      "-": () => changeThreshold(-1),
      " ": () => togglePlay(),
    },
  }),

  describe({ row, one }) {
    const parts = [`${row.id}/${one.id}`, ...(disagrees ? [`disagree ${one.disagreement.toFixed(2)}`] : [])];
    if (scoreOf(one, state.b) !== null) parts.push(`B ${number(scoreOf(one, state.b))}`);
    const gain = gainOf({ one });
    if (scored && gain !== null && state.a !== state.b) parts.push(`gain ${signed(gain)}`);
    return parts.join(" · ");
  },

  /** Filter and sort anew; what was chosen stays chosen where it is still there. */
  update() {
    const words = byId("search").value.trim().toLowerCase();
    const disagreement = Number(byId("disagreement").value);
    const best = Number(byId("score").value);
    byId("disagreement-shown").value = disagreement.toFixed(2);
    byId("score-shown").value = best >= 1 ? "any" : best.toFixed(2);
    list.shown = entries.filter(({ one, words: own }) =>
      one.disagreement >= disagreement && (best >= 1 || (one.best ?? 1) <= best) && own.includes(words) && slices.keeps(one) && alone.keeps(one));
    list.sort();
    byId("count").textContent = `${list.shown.length} of ${counted(entries.length, "expression")} in ${counted(report.videos.length, "video")}`;
    list.box.fill(list.shown, list.find());
    takeAlong.draw();
  },

  sort() {
    const { value } = ORDERS[list.order];
    if (!value) return;
    const keys = new Map(list.shown.map((entry) => [entry, value(entry)]));
    list.shown.sort((x, y) => (keys.get(x) ?? Infinity) - (keys.get(y) ?? Infinity) || 0);
  },

  find() {
    return list.shown.findIndex((entry) => entry.video === state.video && entry.expression === state.expression);
  },

  mark() {
    list.box.mark(list.find());
  },
};

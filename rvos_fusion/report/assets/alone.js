// Which member is right where another, or all others, are wrong: a matrix over the set that filters the list.
const RIGHT = 50;
const memberNodes = maskNodes.filter((place) => report.nodes[place].stage === "models" && entries.some(({ one }) => scoreOf(one, place) !== null));

const alone = {
  /** What the list keeps: members that are right and members that are wrong; null: all. */
  kept: null,

  fits(one, { right, wrong }) {
    const scores = (nodes) => nodes.map((node) => scoreOf(one, node));
    return scores(right).every((score) => score !== null && score >= RIGHT) && scores(wrong).every((score) => score !== null && score < RIGHT);
  },

  keeps: (one) => alone.kept === null || alone.fits(one, alone.kept),

  words({ right, wrong }) {
    const named = (nodes, word) => (nodes.length ? [`${nodes.map(nameOf).join(", ")} ${word}`] : []);
    return [...named(right, "right"), ...named(wrong, "wrong")].join("; ");
  },

  keep(wanted) {
    alone.kept = wanted;
    byId("kept").hidden = wanted === null;
    byId("kept-words").textContent = wanted ? alone.words(wanted) : "";
    state.view = "masks";
    update({});
    filter();
    byId("expressions").focus();
  },

  cell(wanted) {
    const found = entries.filter(({ one }) => alone.fits(one, wanted)).length;
    const label = `${counted(found, "sentence")}: ${alone.words(wanted)}`;
    return found ? button(String(found), () => alone.keep(wanted), { title: label, "aria-label": label }) : "0";
  },

  draw() {
    byId("alone").hidden = memberNodes.length < 2;
    if (memberNodes.length < 2) return;
    const rest = (node) => memberNodes.filter((other) => other !== node);
    const some = memberNodes.length > 2;
    const rows = memberNodes.map((node) => [
      nameOf(node),
      alone.cell({ right: [node], wrong: [] }),
      ...memberNodes.map((other) => (other === node ? "" : alone.cell({ right: [node], wrong: [other] }))),
      ...(some ? [alone.cell({ right: [node], wrong: rest(node) }), alone.cell({ right: rest(node), wrong: [node] })] : []),
    ]);
    const heads = ["member", "right", ...memberNodes.map((node) => `${nameOf(node)} wrong`), ...(some ? ["right alone", "wrong alone"] : [])];
    const caption = `Sentences that the member of the row has right, and that of the column wrong. Right is a J&F of at least ${RIGHT}; a number shows its sentences.`;
    byId("alone-table").replaceChildren(table(caption, heads, rows));
  },

  watch() {
    byId("kept-reset").addEventListener("click", () => alone.keep(null));
  },
};

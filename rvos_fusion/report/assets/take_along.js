// The list leaves the page: as a table for other programs, and as words for commands.

/** A word as a shell takes it. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\"'\"'")}'`);

/** A cell of a CSV file. */
function csvCell(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The sentences of the list in its order, with J&F of every node that has some. */
function listAsCsv() {
  const nodes = maskNodes.filter((node) => entries.some(({ one }) => scoreOf(one, node) !== null));
  const heads = ["video", "expression", "sentence", "disagreement", ...nodes.map((node) => `J&F ${nameOf(node)}`)];
  const rows = list.shown.map(({ row, one }) => [row.id, one.id, one.text, one.disagreement, ...nodes.map((node) => scoreOf(one, node))]);
  return [heads, ...rows].map((cells) => `${cells.map(csvCell).join(",")}\r\n`).join("");
}

const takeAlong = {
  /** The words of the list as it is; made only while they can be seen: of hundreds of videos they are long. */
  draw() {
    byId("take-along").hidden = list.shown.length === 0;
    if (!byId("take-along").open) return;
    const videos = [...new Set(list.shown.map(({ row }) => quoted(row.id)))];
    const sentences = list.shown.map(({ row, one }) => quoted(`${row.id}/${one.id}`));
    const words = [["videos, for rvos run, table and report", `--videos ${videos.join(" ")}`], ["sentences, for rvos audit", `--sentences ${sentences.join(" ")}`]];
    byId("take-words").replaceChildren(...words.map(([label, text]) => make("div", {}, make("span", { class: "hint" }, label), copyable(text, label))));
  },

  watch() {
    byId("take-along").addEventListener("toggle", takeAlong.draw);
    byId("take-csv").addEventListener("click", () => download("sentences.csv", "text/csv", listAsCsv()));
  },
};

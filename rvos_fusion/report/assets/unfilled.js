// What nothing of this page fills is not shown: of one node, of masks without scores, of data without truth.
const disagrees = entries.some(({ one }) => one.disagreement > 0);
const hasBest = entries.some(({ one }) => one.best !== null);

function hideUnfilled() {
  const isOne = maskNodes.length + Object.keys(BESIDE).length < 2;
  const hasScores = report.ladders.length + report.curves.length > 0;
  const unfilled = {
    "disagreement-row": !disagrees,
    "score-row": !hasBest,
    filters: !disagrees && !hasBest && report.slices.length === 0,
    "sort-row": Object.keys(ORDERS).length < 2,
    pair: isOne,
    "nodes-part": isOne,
    "vote-keys": votingNodes.length === 0,
    "sweeps-part": report.curves.length === 0,
    "graph-part": report.nodes.length < 2,
    "groups-link": groupedNodes.length === 0,
    "scores-link": !hasScores && report.nodes.length < 2 && report.notes.length === 0,
  };
  for (const [id, isUnfilled] of Object.entries(unfilled)) byId(id).hidden = isUnfilled;
  if (!hasScores) byId("scores-link").textContent = report.nodes.length < 2 ? "Notes" : "Graph";
}

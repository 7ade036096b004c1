// Lines over an axis, with a legend beside them.
const LETTER = 6.7; // about the width of a digit, of 12 pixels

/** A chart of series of [x, y]; `at` places a value of y in words on the axis. */
function lineChart(series, { label, width = 420, height = 190, low, high, last, marks = [], ticks = [], now = null, pick = null }) {
  const [left, right, top, bottom] = [40, 10, 8, 26];
  const x = (value) => left + (value / Math.max(1, last)) * (width - left - right);
  const y = (value) => top + ((high - Math.min(high, Math.max(low, value))) / (high - low)) * (height - top - bottom);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(draw("line", { class: "axis", x1: left, x2: width - right, y1: y(value), y2: y(value) }), draw("text", { x: 2, y: y(value) + 4 }, number(value, high - low < 3 ? 2 : 1)));
  }
  // As many labels as stand apart; the last one stays inside.
  const widest = LETTER * Math.max(0, ...ticks.map(([, text]) => text.length));
  const every = Math.ceil((ticks.length * (1.3 * widest + 8)) / (width - left - right));
  for (const [value, text] of ticks.filter((_, at) => at % every === 0)) svg.append(draw("text", { x: Math.min(x(value), width - (LETTER * text.length) / 2), y: height - 8, "text-anchor": "middle" }, text));
  if (now !== null) svg.append(draw("line", { class: "now", x1: x(now), x2: x(now), y1: top, y2: height - bottom }));
  for (const { points, colour, dash, dots } of series) {
    svg.append(draw("polyline", { class: "line", points: points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" "), stroke: colour, "stroke-dasharray": dash }));
    if (dots) for (const [at, value] of points) svg.append(draw("circle", { cx: x(at), cy: y(value), r: 2.5, fill: colour }));
  }
  for (const { at, value, colour, name } of marks) svg.append(draw("circle", { class: "key-frame", cx: x(at), cy: y(value), r: 5, fill: colour }, draw("title", {}, name)));
  if (pick) {
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * width;
      pick(Math.min(last, Math.max(0, Math.round(((at - left) / (width - left - right)) * last))));
    });
  }
  return svg;
}

/** The width of a chart in a card: drawn as wide as it is shown, its letters keep their size. */
const widthIn = (card) => Math.min(420, Math.max(220, card.clientWidth - 24));

function legendOf(series) {
  return make("div", { class: "legend" }, ...series.map(({ name, colour, dash }) =>
    make("span", {}, draw("svg", { width: 22, height: 8, "aria-hidden": "true", style: "display:inline-block;margin-right:.35em;vertical-align:.1em" }, draw("line", { class: "line", x1: 0, x2: 22, y1: 4, y2: 4, stroke: colour, "stroke-dasharray": dash })), name)));
}

/** Scores of the members over the frames; a dot is a key frame. */
function drawScores(shown) {
  const { frames } = shown.view;
  const nodes = maskNodes.filter((place) => report.nodes[place].inputs.length === 0 && shown.sequence(place)?.scores.length);
  byId("scores").hidden = nodes.length === 0;
  if (nodes.length === 0) return;
  const series = nodes.map((place) => ({ name: report.nodes[place].name, colour: palette.colour(place), dash: palette.dash(place), points: shown.sequence(place).scores.map((score, frame) => [frame, score]) }));
  const marks = nodes.map((place) => {
    const { key_frame: at, scores } = shown.sequence(place);
    return { at, value: scores[at], colour: palette.colour(place), name: `${report.nodes[place].name}: key frame ${frames[at]}` };
  });
  const values = series.flatMap(({ points }) => points.map(([, value]) => value));
  const [low, high] = [Math.min(0, ...values), Math.max(1, ...values)];
  const svg = lineChart(series, { width: widthIn(byId("scores")), height: 150, label: "scores of the members over the frames", low, high, last: frames.length - 1, marks, ticks: [[0, ""]], now: state.frame });
  byId("scores").replaceChildren(make("h3", {}, "Scores over the frames"), svg, legendOf(series), make("p", { class: "hint" }, "A dot is a member's key frame; the upright line is the frame shown."));
}

/** How sure detectors are that a frame shows what the sentence names; nothing where none says it. */
function drawPresence(shown) {
  const { frames } = shown.view;
  const known = maskNodes.filter((place) => shown.sequence(place)?.presence);
  // What a node passes on unchanged is drawn once.
  const nodes = known.filter((place, at) => !known.slice(0, at).some((other) => String(shown.sequence(other).presence) === String(shown.sequence(place).presence)));
  const card = byId("presence");
  card.hidden = nodes.length === 0;
  if (card.hidden) return;
  const series = nodes.map((place) => ({ name: report.nodes[place].name, colour: palette.colour(place), dash: palette.dash(place), dots: true, points: shown.sequence(place).presence.map((value, frame) => [frame, value]).filter(([, value]) => value !== null) }));
  const svg = lineChart(series, { width: widthIn(card), height: 150, label: "presence over the frames", low: 0, high: 1, last: frames.length - 1, ticks: [[0, ""]], now: state.frame });
  card.replaceChildren(make("h3", {}, "Presence over the frames"), svg, legendOf(series), make("p", { class: "hint" }, "How sure a detector is that a frame shows what the sentence names at all; a dot is a frame that it saw."));
}

/** J of a node, as [frame, J], in the frames of the shown expression that have a truth; made once a video that is open. */
const overlaps = new WeakMap();

function overlapsOf(shown, node) {
  if (!overlaps.has(shown.view)) overlaps.set(shown.view, new Map());
  const known = overlaps.get(shown.view), key = [shown.place, node, ...(node === "vote" ? [state.voteNode, state.threshold] : [])].join(" ");
  if (!known.has(key)) known.set(key, shown.view.frames.map((_, frame) => [frame, shown.truth(frame)]).filter(([, truth]) => truth).map(([frame, truth]) => [frame, masks.overlap(shown.maskOf(node, frame), truth)]));
  return known.get(key);
}

/** J of A and B over the frames; a click shows the frame. */
function drawOverlaps(shown) {
  const card = byId("overlaps");
  const sides = [["A", state.a, COLOURS.a], ["B", state.b, COLOURS.b]].filter(([, node]) => node !== "truth" && shown.maskOf(node, state.frame));
  card.hidden = !shown.truth(state.frame) || sides.length === 0;
  if (card.hidden) return;
  const series = sides.map(([side, node, colour]) => ({ name: `${side}: ${nameOf(node)}`, colour, points: overlapsOf(shown, node) }));
  card.dataset.values = JSON.stringify(series.map(({ points }) => points));
  const pick = (frame) => { state.frame = frame; update({}); };
  const svg = lineChart(series, { width: widthIn(card), height: 150, label: "J of A and B over the frames", low: 0, high: 1, last: shown.view.frames.length - 1, ticks: [[0, ""]], now: state.frame, pick });
  card.replaceChildren(make("h3", {}, "J over the frames"), svg, legendOf(series), make("p", { class: "hint" }, "Against the truth; a click shows the frame."));
}

/** J&F of every node for the shown expression, the best first. */
function drawRanking(shown) {
  const votes = state.threshold === null ? null : neededVotes(shown);
  const known = [...maskNodes.map((node) => [node, scoreOf(shown.expression, node)]), ...(votes ? [["vote", voteScores(shown, votes).sentence]] : [])];
  const found = known.filter(([, score]) => score !== null).sort(([, one], [, other]) => other - one);
  const card = byId("ranking");
  card.hidden = found.length < 2;
  if (card.hidden) return;
  const rows = found.map(([node, score]) => [nameOf(node), slices.bar(score, node, 70)]);
  card.replaceChildren(make("h3", {}, "J&F of this sentence"), table("", ["node", "J&F"], rows));
}

/** The curve of one sweep. */
function sweepFigure(curve) {
  const series = curve.series.map(({ name, points }, place) => ({ name, colour: palette.colour(place), dash: palette.dash(place), dots: points.length < 30, points: points.map(([, value], at) => [at, value]) }));
  const values = series.flatMap(({ points }) => points.map(([, value]) => value));
  const labels = curve.series[0].points.map(([label]) => label);
  const ticks = labels.map((text, at) => [at, text]);
  const [low, high] = [Math.floor(Math.min(...values) - 0.5), Math.ceil(Math.max(...values) + 0.5)];
  const svg = lineChart(series, { label: `${curve.node}: ${curve.setting}`, low, high, last: labels.length - 1, ticks });
  const [name, points] = [curve.series[0].name, curve.series[0].points];
  const [label, value] = points.reduce((best, point) => (point[1] > best[1] ? point : best));
  const words = `${curve.setting}; ${name} is highest at ${label} (${value.toFixed(1)})${curve.used ? `, the recipe has ${curve.used}` : ""}`;
  return make("figure", { "data-node": curve.node }, make("h3", {}, curve.node), svg, legendOf(series), make("figcaption", {}, words));
}

"use strict";
const report = JSON.parse(document.getElementById("report-data").textContent);
const byId = (id) => document.getElementById(id);
const nodesByName = new Map(report.nodes.map((node) => [node.name, node]));
const palette = ["#e6550d", "#3182bd", "#31a354", "#756bb1", "#d6a100", "#c51b8a", "#0aa5a5", "#8c564b"];
const colourOf = new Map(report.nodes.map((node, index) => [node.name, palette[index % palette.length]]));
const state = { shown: [], selected: 0, frame: 0, voteNode: null, threshold: 1, timer: null };
const pictures = new Map();

// ---- masks -------------------------------------------------------------------------------------

/** Pixels (row-major, 0 or 1) of COCO compressed run lengths, which run down the columns. */
function decodeRuns(text, [height, width]) {
  const counts = [];
  for (let at = 0; at < text.length; ) {
    let value = 0, shift = 0, code;
    do {
      code = text.charCodeAt(at++) - 48;
      value |= (code & 31) << shift;
      shift += 5;
    } while (code & 32);
    if (code & 16 && shift < 32) value |= -1 << shift;
    if (counts.length > 2) value += counts[counts.length - 2];
    counts.push(value);
  }
  const mask = new Uint8Array(height * width);
  let pixel = 0;
  counts.forEach((count, index) => {
    if (index % 2) for (let end = pixel + count, p = pixel; p < end; p++) mask[(p % height) * width + Math.floor(p / height)] = 1;
    pixel += count;
  });
  return mask;
}

function maskOf(video, expression, name, frame) {
  const sequence = expression.sequences[name];
  return sequence ? decodeRuns(sequence.runs[frame], video.size) : null;
}

/** Votes per pixel: the weighted sum of the inputs' masks over the group's expressions. */
function countVotes(video, expression, node, frame) {
  const votes = new Uint16Array(video.size[0] * video.size[1]);
  const group = video.expressions.filter((other) => expression.votes[node.name].group.includes(other.id));
  for (const member of group) {
    node.weights.forEach((weight, index) => {
      const mask = maskOf(video, member, node.inputs[index], frame);
      if (mask) for (let p = 0; p < mask.length; p++) votes[p] += weight * mask[p];
    });
  }
  return votes;
}

function mostVotes(expression, node) {
  return node.weights.reduce((sum, weight) => sum + weight, 0) * expression.votes[node.name].group.length;
}

// ---- list and filters ----------------------------------------------------------------------------

function allExpressions() {
  return report.videos.flatMap((video) => video.expressions.map((expression) => ({ video, expression })));
}

function bestScore(expression) {
  const members = report.nodes.filter((node) => node.inputs.length === 0);
  const scores = members.flatMap((node) => expression.sequences[node.name]?.scores ?? []);
  return scores.length ? Math.max(...scores) : 1;
}

function applyFilters() {
  const words = byId("search").value.trim().toLowerCase();
  const disagreement = Number(byId("disagreement").value);
  const score = Number(byId("score").value);
  byId("disagreement-shown").value = disagreement.toFixed(2);
  byId("score-shown").value = score >= 1 ? "any" : score.toFixed(2);
  state.shown = allExpressions().filter(({ video, expression }) =>
    expression.disagreement >= disagreement
    && (score >= 1 || bestScore(expression) <= score)
    && `${video.id} ${expression.text}`.toLowerCase().includes(words));
  state.selected = 0;
  drawList();
  select(0);
}

function drawList() {
  const list = byId("expressions");
  list.replaceChildren(...state.shown.map(({ video, expression }, index) => {
    const item = document.createElement("li");
    item.setAttribute("role", "option");
    item.dataset.index = index;
    item.textContent = expression.text;
    const small = document.createElement("small");
    small.textContent = `${video.id}/${expression.id} · members disagree by ${expression.disagreement.toFixed(2)}`;
    item.append(small);
    item.addEventListener("click", () => select(index));
    return item;
  }));
  byId("count").textContent = `${state.shown.length} of ${allExpressions().length} expressions.`;
}

function select(index) {
  const current = state.shown[index];
  byId("detail").hidden = !current;
  if (!current) return;
  state.selected = index;
  state.frame = Math.min(state.frame, current.video.frames.length - 1);
  for (const item of byId("expressions").children) item.setAttribute("aria-selected", String(Number(item.dataset.index) === index));
  byId("expressions").children[index].scrollIntoView({ block: "nearest" });
  byId("sentence").textContent = `“${current.expression.text}”`;
  byId("frame").max = current.video.frames.length - 1;
  fillVoteNodes(current.expression);
  draw();
}

// ---- votes ---------------------------------------------------------------------------------------

function votingNodes() {
  return report.nodes.filter((node) => node.weights.length > 0);
}

/** Offer the fusions that voted on this expression; the last one, the final result, comes first. */
function fillVoteNodes(expression) {
  const choice = byId("vote-node");
  const before = choice.value;
  const names = votingNodes().map((node) => node.name).filter((name) => name in expression.votes);
  choice.replaceChildren(...names.map((name) => new Option(name, name)));
  choice.value = names.includes(before) ? before : names.at(-1) ?? "";
  chooseVoteNode();
}

function chooseVoteNode() {
  const node = nodesByName.get(byId("vote-node").value);
  byId("threshold").disabled = !node;
  state.voteNode = node?.name ?? null;
  if (!node) return;
  const { expression } = state.shown[state.selected];
  byId("threshold").max = mostVotes(expression, node);
  state.threshold = expression.votes[node.name].needed;
  byId("threshold").value = state.threshold;
}

// ---- drawing ---------------------------------------------------------------------------------------

function draw() {
  const current = state.shown[state.selected];
  if (!current) return;
  const { video, expression } = current;
  byId("frame").value = state.frame;
  byId("frame-shown").value = video.frames[state.frame];
  drawViews(video, expression);
  drawScores(video, expression);
  drawRefinements(video, expression);
}

function drawViews(video, expression) {
  const views = [];
  if (expression.truth) views.push(view(video, "ground truth", decodeRuns(expression.truth[state.frame], video.size), "#12a150", ""));
  const voting = nodesByName.get(state.voteNode);
  if (voting) {
    const votes = countVotes(video, expression, voting, state.frame);
    const most = mostVotes(expression, voting);
    byId("threshold-shown").value = `${state.threshold} of ${most}`;
    const kept = votes.map((count) => Number(count >= state.threshold));
    const figure = view(video, `${voting.name}, ${state.threshold} of ${most}`, kept, colourOf.get(voting.name), "live vote");
    figure.classList.add("voted");
    figure.id = "live-vote";
    views.push(figure);
  }
  for (const node of report.nodes) {
    const sequence = expression.sequences[node.name];
    if (!sequence) continue;
    const score = sequence.j_and_f === null ? "" : `J&F ${sequence.j_and_f.toFixed(1)}`;
    views.push(view(video, node.name, maskOf(video, expression, node.name, state.frame), colourOf.get(node.name), score));
  }
  byId("views").replaceChildren(...views);
}

function view(video, name, mask, colour, note) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  const [height, width] = video.size;
  canvas.width = width;
  canvas.height = height;
  const pixels = mask.reduce((sum, value) => sum + value, 0);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name}: ${pixels} pixels`);
  figure.dataset.pixels = pixels;
  figure.dataset.name = name;
  const caption = document.createElement("figcaption");
  const [left, right] = [document.createElement("span"), document.createElement("span")];
  left.textContent = name;
  right.textContent = note;
  caption.append(left, right);
  figure.append(canvas, caption);
  paint(canvas, video, mask, colour);
  return figure;
}

function paint(canvas, video, mask, colour) {
  const source = video.pictures[state.frame];
  let picture = pictures.get(source);
  if (!picture) {
    picture = new Image();
    picture.src = source;
    pictures.set(source, picture);
  }
  const overlay = () => {
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    blend(context, mask, colour);
  };
  if (picture.complete) overlay(); else picture.addEventListener("load", overlay, { once: true });
}

/** Tint the mask and draw its outline in full colour. */
function blend(context, mask, colour) {
  const { width, height } = context.canvas;
  const image = context.getImageData(0, 0, width, height);
  const channels = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (!mask[at]) continue;
      const inner = x > 0 && y > 0 && x < width - 1 && y < height - 1
        && mask[at - 1] && mask[at + 1] && mask[at - width] && mask[at + width];
      const strength = inner ? 0.45 : 1;
      for (let c = 0; c < 3; c++) image.data[4 * at + c] += strength * (channels[c] - image.data[4 * at + c]);
    }
  }
  context.putImageData(image, 0, 0);
}

// ---- charts ----------------------------------------------------------------------------------------

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawScores(video, expression) {
  const [width, height, left, top] = [640, 150, 40, 10];
  const last = Math.max(1, video.frames.length - 1);
  const x = (frame) => left + (frame / last) * (width - left - 10);
  const y = (score) => top + (1 - score) * (height - top - 30);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "scores over time" });
  for (const tick of [0, 0.5, 1]) {
    svg.append(element("line", { class: "axis", x1: left, x2: width - 10, y1: y(tick), y2: y(tick) }), element("text", { x: 6, y: y(tick) + 4 }, tick.toFixed(1)));
  }
  svg.append(element("line", { class: "now", x1: x(state.frame), x2: x(state.frame), y1: top, y2: height - 30 }));
  let label = left;
  for (const node of report.nodes.filter((other) => other.inputs.length === 0)) {
    const sequence = expression.sequences[node.name];
    if (!sequence) continue;
    const colour = colourOf.get(node.name);
    const points = sequence.scores.map((score, frame) => `${x(frame)},${y(Math.min(1, Math.max(0, score)))}`).join(" ");
    svg.append(element("polyline", { points, fill: "none", stroke: colour, "stroke-width": 2 }));
    const key = sequence.key_frame;
    svg.append(element("circle", { class: "key-frame", cx: x(key), cy: y(Math.min(1, Math.max(0, sequence.scores[key]))), r: 5, fill: colour }));
    svg.append(element("text", { x: label, y: height - 6, style: `fill:${colour}` }, `${node.name}, key ${video.frames[key]}`));
    label += 9 * (node.name.length + video.frames[key].length + 6);
  }
  const caption = document.createElement("figcaption");
  caption.textContent = "Score of each member over the frames; the dot is its key frame.";
  byId("scores").replaceChildren(svg, caption);
}

/** What each refinement did with the sentence: a row for every window, the one of the shown frame marked. */
function drawRefinements(video, expression) {
  const named = (masklets) => masklets.length ? masklets.join(" + ") : "none";
  const parts = [];
  for (const [name, record] of Object.entries(expression.refinements)) {
    const title = document.createElement("p");
    const { windows_refined: refined, frames_changed: changed } = record.totals;
    title.textContent = `${name}: noun "${record.noun}" (${record.noun_source}), ${record.n_masklets} masklets; ` +
      `${Math.round(100 * refined)} % of the windows refined, ${Math.round(100 * changed)} % of the frames changed`;
    const table = document.createElement("table");
    table.innerHTML = "<thead><tr><th>window</th><th>votes</th><th>selected</th><th>tie</th><th>reason</th><th>IoU with coarse</th></tr></thead>";
    const body = table.createTBody();
    for (const window of record.windows) {
      const row = body.insertRow();
      const votes = window.votes.map((vote) => `${named(vote.masklets)}: ${vote.frames}`).join(", ");
      const cells = [`${window.first} to ${window.last}`, votes, named(window.selected), window.tie ?? "", window.reason, window.iou.toFixed(2)];
      for (const text of cells) row.insertCell().textContent = text;
      const [first, last] = [video.frames.indexOf(window.first), video.frames.indexOf(window.last)];
      if (first <= state.frame && state.frame <= last) row.className = "now";
    }
    parts.push(title, table);
  }
  byId("refinements").replaceChildren(...parts);
}

function drawLadder() {
  const number = (value, signed) => value === null ? "" : `${signed && value >= 0 ? "+" : ""}${value.toFixed(1)}`;
  const table = document.createElement("table");
  table.innerHTML = "<thead><tr><th>node</th><th>J</th><th>F</th><th>J&amp;F</th><th>gain</th><th>95 % interval</th></tr></thead>";
  const body = table.createTBody();
  for (const row of report.ladder) {
    const interval = row.low === null ? "" : `${number(row.low, true)} to ${number(row.high, true)}`;
    const line = body.insertRow();
    const name = row.input_of ? `${row.input_of} against its input ${row.node}` : row.node;
    for (const text of [name, number(row.j), number(row.f), number(row.j_and_f), number(row.gain, true), interval]) line.insertCell().textContent = text;
  }
  const note = document.createElement("p");
  note.className = "hint";
  note.textContent = report.ladder.length ? report.notes.join(" ") : "No ground truth, so no scores. " + report.notes.join(" ");
  byId("ladder-table").replaceChildren(...(report.ladder.length ? [table, note] : [note]));
}

function drawSweep() {
  if (report.sweep.length === 0) return;
  const [width, height, left, bottom] = [420, 220, 45, 35];
  const values = report.sweep.map((point) => point.j_and_f);
  const [low, high] = [Math.floor(Math.min(...values) - 1), Math.ceil(Math.max(...values) + 1)];
  const thresholds = report.sweep.map((point) => point.threshold);
  const [first, last] = [Math.min(...thresholds), Math.max(...thresholds)];
  const x = (value) => left + ((value - first) / Math.max(1, last - first)) * (width - left - 15);
  const y = (value) => 10 + ((high - value) / (high - low)) * (height - bottom - 10);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "score over threshold" });
  for (const tick of [low, (low + high) / 2, high]) svg.append(element("line", { class: "axis", x1: left, x2: width - 15, y1: y(tick), y2: y(tick) }), element("text", { x: 4, y: y(tick) + 4 }, tick.toFixed(1)));
  for (const value of new Set(thresholds)) svg.append(element("text", { x: x(value) - 3, y: height - 18 }, value));
  [...new Set(report.sweep.map((point) => point.node))].forEach((name, index) => {
    const points = report.sweep.filter((point) => point.node === name);
    const colour = palette[index % palette.length];
    svg.append(element("polyline", { points: points.map((point) => `${x(point.threshold)},${y(point.j_and_f)}`).join(" "), fill: "none", stroke: colour, "stroke-width": 2 }));
    points.forEach((point) => svg.append(element("circle", { cx: x(point.threshold), cy: y(point.j_and_f), r: 3, fill: colour })));
    svg.append(element("text", { x: left + 110 * index, y: height - 3, style: `fill:${colour}` }, name));
  });
  const caption = document.createElement("figcaption");
  caption.textContent = "J&F over the number of votes needed.";
  byId("sweep").replaceChildren(svg, caption);
}

function depths() {
  const depth = new Map();
  const find = (name) => {
    if (!depth.has(name)) depth.set(name, Math.max(-1, ...(nodesByName.get(name)?.inputs ?? []).map(find)) + 1);
    return depth.get(name);
  };
  report.nodes.forEach((node) => find(node.name));
  return depth;
}

function drawGraph() {
  const [boxWidth, boxHeight, gapX, gapY] = [150, 52, 60, 14];
  const depth = depths();
  const rows = new Map();
  const place = new Map();
  for (const node of report.nodes) {
    const column = depth.get(node.name);
    const row = rows.get(column) ?? 0;
    rows.set(column, row + 1);
    place.set(node.name, [10 + column * (boxWidth + gapX), 10 + row * (boxHeight + gapY)]);
  }
  const width = 20 + (Math.max(0, ...depth.values()) + 1) * (boxWidth + gapX);
  const height = 20 + Math.max(1, ...rows.values()) * (boxHeight + gapY);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "graph of the recipe" });
  for (const node of report.nodes) {
    const [toX, toY] = place.get(node.name);
    for (const name of node.inputs.filter((input) => place.has(input))) {
      const [fromX, fromY] = place.get(name);
      const [x1, y1, x2, y2] = [fromX + boxWidth, fromY + boxHeight / 2, toX, toY + boxHeight / 2];
      svg.append(element("path", { class: "edge", d: `M${x1},${y1} C${x1 + gapX / 2},${y1} ${x2 - gapX / 2},${y2} ${x2},${y2}` }));
    }
  }
  for (const node of report.nodes) {
    const [x, y] = place.get(node.name);
    const box = element("g", { class: `node ${node.state}`, transform: `translate(${x},${y})` });
    const seconds = node.seconds === null ? "" : `, ${node.seconds.toFixed(1)} s`;
    box.append(element("title", {}, `${node.kind} of ${node.stage}: ${node.detail}`), element("rect", { width: boxWidth, height: boxHeight }));
    box.append(element("text", { x: 8, y: 17, style: `fill:${colourOf.get(node.name)}` }, node.name));
    box.append(element("text", { class: "small", x: 8, y: 31 }, node.detail.slice(0, 26)), element("text", { class: "small", x: 8, y: 44 }, `${node.state}${seconds}`));
    svg.append(box);
  }
  byId("graph-drawing").replaceChildren(svg);
}

// ---- controls ----------------------------------------------------------------------------------------

function step(change) {
  const current = state.shown[state.selected];
  if (!current) return;
  const count = current.video.frames.length;
  state.frame = (state.frame + change + count) % count;
  draw();
}

function setThreshold(value) {
  const slider = byId("threshold");
  if (slider.disabled) return;
  state.threshold = Math.min(Number(slider.max), Math.max(1, value));
  slider.value = state.threshold;
  draw();
}

function togglePlay() {
  byId("play").textContent = state.timer ? "play" : "pause";
  if (state.timer) clearInterval(state.timer);
  state.timer = state.timer ? null : setInterval(() => step(1), 180);
}

function onKey(event) {
  if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const onRange = event.target.matches("input[type=range]");
  const actions = {
    ArrowLeft: onRange ? null : () => step(-1),
    ArrowRight: onRange ? null : () => step(1),
    ArrowUp: onRange ? null : () => select(Math.max(0, state.selected - 1)),
    ArrowDown: onRange ? null : () => select(Math.min(state.shown.length - 1, state.selected + 1)),
    "+": () => setThreshold(state.threshold + 1),
    "-": () => setThreshold(state.threshold - 1),
    " ": event.target.matches("button") ? null : togglePlay,
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

for (const id of ["search", "disagreement", "score"]) byId(id).addEventListener("input", applyFilters);
byId("frame").addEventListener("input", (event) => { state.frame = Number(event.target.value); draw(); });
byId("threshold").addEventListener("input", (event) => setThreshold(Number(event.target.value)));
byId("vote-node").addEventListener("change", () => { chooseVoteNode(); draw(); });
byId("play").addEventListener("click", togglePlay);
document.addEventListener("keydown", onKey);
drawLadder();
drawSweep();
drawGraph();
applyFilters();

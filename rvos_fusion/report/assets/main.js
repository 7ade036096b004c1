// What happens when something is chosen: one way to draw, asked for by every control.
let shown = null;
let timer = null;
let asked = 0;

/** Draw what `state` says. `expression`: another one was chosen; `nodes`: A or B changed, which the list shows too. */
async function update({ expression = false, nodes = false }) {
  showView();
  if (nodes) {
    byId("node-a").value = String(state.a);
    byId("node-b").value = String(state.b);
    list.update();
  } else if (expression) list.mark();
  const row = report.videos[state.video];
  if (!row) return;
  const ticket = ++asked;
  if (!shown || shown.row !== row) document.body.setAttribute("aria-busy", "true");
  try {
    const view = await rvosReport.load(row);
    // Another choice was made while this one was on its way.
    if (ticket !== asked) return;
    if (!shown || shown.view !== view || shown.place !== state.expression) shown = new Shown(row, view, state.expression);
    address.settleFrame(view.frames);
    drawShown();
  } catch (error) {
    show(error.message);
  } finally {
    if (ticket === asked) document.body.removeAttribute("aria-busy");
  }
}

function showView() {
  for (const name of VIEWS) byId(`${name}-view`).hidden = name !== state.view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#view=${state.view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (state.view === "scores") {
    overview.draw();
    slices.draw();
  }
  if (state.view === "groups" && groups.order.length === 0) groups.update();
  if (state.view !== "masks") stopPlaying();
}

function drawShown() {
  const { row, view, expression } = shown;
  address.write(view.frames);
  if (state.view === "groups") {
    groups.box.mark(groups.order.indexOf(state.video));
    groups.draw(shown);
  }
  if (state.view !== "masks") return;
  byId("sentence").textContent = `“${expression.text}”`;
  byId("place").textContent = describePlace(row);
  byId("frame").max = view.frames.length - 1;
  byId("frame").value = state.frame;
  byId("frame").setAttribute("aria-valuetext", view.frames[state.frame]);
  byId("frame-shown").value = `${view.frames[state.frame]} (${state.frame + 1} of ${view.frames.length})`;
  stage.draw(shown);
  drawVote(shown);
  corrections.draw();
  drawLater();
}

const whenIdle = window.requestIdleCallback ?? ((action) => setTimeout(action, 30));

/** Draw what stands below the stage once the browser has shown the stage: the small pictures cost the most. */
function drawLater() {
  const ticket = asked;
  byId("views").setAttribute("aria-busy", "true");
  requestAnimationFrame(() => whenIdle(() => {
    // Another choice draws it anew.
    if (ticket !== asked || !shown) return;
    byId("views").removeAttribute("aria-busy");
    if (state.view !== "masks") return;
    drawScores(shown);
    drawPresence(shown);
    drawOverlaps(shown);
    drawRanking(shown);
    views.draw(shown);
    panels.draw(shown);
    fetchNext();
  }, { timeout: 300 }));
}

function describePlace(row) {
  const node = state.voteNode ?? groupedNodes.at(-1);
  const group = node === undefined || node === null ? null : groupOf(row, node, state.expression);
  const others = group ? group.expressions.filter((place) => place !== state.expression).map((place) => `“${row.expressions[place].text}”`) : [];
  const words = others.length ? `; one group with ${others.join(", ")}` : "";
  const disagreement = disagrees ? `, members disagree by ${shown.expression.disagreement.toFixed(2)}` : "";
  return `${row.id}/${shown.expression.id}${disagreement}${words}`;
}

/** The next frame's picture, so that playing does not flicker. */
function fetchNext() {
  new Image().src = shown.picture((state.frame + 1) % shown.view.frames.length);
}

function choose(entry) {
  Object.assign(state, { video: entry.video, expression: entry.expression });
  update({ expression: true });
}

function stepFrame(change) {
  if (!shown) return;
  const count = shown.view.frames.length;
  state.frame = (state.frame + change + count) % count;
  update({});
}

function setThreshold(value) {
  state.threshold = value;
  // The list knows scores of the vote as the recipe has it.
  update({ nodes: state.a === "vote" || state.b === "vote" });
}

function changeThreshold(change) {
  const votes = shown && neededVotes(shown);
  if (votes) setThreshold(Math.min(votes.most, Math.max(1, votes.needed + change)));
}

function stopPlaying() {
  clearInterval(timer);
  timer = null;
  byId("play").textContent = "play";
}

function togglePlay() {
  if (timer !== null) return stopPlaying();
  byId("play").textContent = "pause";
  timer = setInterval(() => stepFrame(1), 180);
}

function filter() {
  list.update();
  const empty = list.shown.length === 0;
  byId("detail").hidden = empty;
  byId("nothing").hidden = !empty;
  if (!empty && list.find() < 0) choose(list.shown[0]);
}

/** Another order keeps the choice; the list shows its start, for which one sorts. */
function reorder() {
  list.order = byId("sort").value;
  list.update();
  byId("expressions").scrollTop = 0;
  if (list.shown.length) choose(list.shown[0]);
}

function watch() {
  for (const id of ["search", "disagreement", "score"]) byId(id).addEventListener("input", filter);
  byId("sort").addEventListener("change", reorder);
  byId("frame").addEventListener("input", (event) => { state.frame = Number(event.target.value); update({}); });
  byId("threshold").addEventListener("input", (event) => setThreshold(Number(event.target.value)));
  byId("threshold-reset").addEventListener("click", () => setThreshold(null));
  byId("vote-node").addEventListener("change", (event) => { state.voteNode = Number(event.target.value); setThreshold(null); });
  for (const side of ["a", "b"]) {
    byId(`node-${side}`).addEventListener("change", ({ target }) => { state[side] = target.value in BESIDE ? target.value : Number(target.value); update({ nodes: true }); });
  }
  byId("swap").addEventListener("click", () => { [state.a, state.b] = [state.b, state.a]; update({ nodes: true }); });
  byId("mode").addEventListener("change", (event) => { state.mode = event.target.value; update({}); });
  byId("play").addEventListener("click", togglePlay);
  slices.watch();
  stage.watch();
  groups.watch();
  corrections.watch();
  takeAlong.watch();
  alone.watch();
  addEventListener("hashchange", () => {
    if (location.hash === address.written) return;
    show("");
    address.read(location.hash);
    start();
  });
}

/** Where no link leads to a sentence, the one that gains most from A to B is shown first, and stands first. */
function begin() {
  if (!ORDERS.gain || !entries.some((entry) => gainOf(entry) > 0)) return;
  const gain = (entry) => gainOf(entry) ?? -Infinity;
  list.order = "gain";
  const { video, expression } = entries.reduce((best, entry) => (gain(entry) > gain(best) ? entry : best));
  Object.assign(state, { video, expression });
}

/** Set every control as `state` says, then draw. */
function start() {
  const nodes = [...maskNodes.map((place) => [place, report.nodes[place].name]), ...Object.entries(BESIDE)];
  offer(byId("node-a"), nodes, state.a);
  offer(byId("node-b"), nodes, state.b);
  offer(byId("vote-node"), votingNodes.map((place) => [place, report.nodes[place].name]), state.voteNode ?? "");
  offer(byId("sort"), Object.entries(ORDERS).map(([name, { text }]) => [name, text]), list.order);
  offer(byId("mode"), Object.entries(MODES).filter(([name]) => scored || !(name === "change" || name.startsWith("errors"))), state.mode);
  slices.offer();
  list.update();
  update({});
}

if (history.scrollRestoration) history.scrollRestoration = "manual";
hideUnfilled();
if (!new URLSearchParams(location.hash.slice(1)).has("video")) begin();
address.read(location.hash);
// On its way while the controls are made.
if (report.videos[state.video]) rvosReport.load(report.videos[state.video]);
watch();
start();

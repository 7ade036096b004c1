// What is shown, and the address that leads there: every part of it stands behind the "#".
const VIEWS = ["masks", "groups", "scores"];
const MODES = {
  over: "A and B over each other",
  change: "what B changes, against the truth",
  "errors-a": "errors of A",
  "errors-b": "errors of B",
  a: "A alone",
  b: "B alone",
};
const maskNodes = report.nodes.map((node, place) => place).filter((place) => report.nodes[place].content === "masks");
const votingNodes = maskNodes.filter((place) => report.nodes[place].weights.length > 0 && report.nodes[place].grouping !== null);
const groupedNodes = maskNodes.filter((place) => report.nodes[place].grouping !== null);
const scored = report.videos.some((row) => row.expressions.some((one) => one.scores.some((score) => score !== null)));

// What A and B can be beside the nodes that store masks: the vote as it is counted anew, and the truth.
const BESIDE = { ...(votingNodes.length && { vote: "live vote" }), ...(scored && { truth: "truth" }) };
const nameOf = (node) => BESIDE[node] ?? report.nodes[node].name;
const colourOf = (node) => (node === "truth" ? "#5ae1c3" : palette.colour(node === "vote" ? state.voteNode : node));

/** J&F of an expression; null where nobody scored it: of the vote at other thresholds the video's part knows some. */
function scoreOf(one, node) {
  const own = node === "vote" && state.threshold === null ? state.voteNode : node;
  return one.scores[own] ?? null;
}

function findPlace(name, among, otherwise) {
  const place = placeOf.get(name);
  return among.includes(place) ? place : otherwise;
}

/** A and B at first: the two sides' results, else the first node of the ladder and the last, or the truth and the one. */
function chooseNodes() {
  const b = findPlace(report.finals.at(-1), maskNodes, maskNodes.at(-1));
  if (maskNodes.length === 1 && scored) return ["truth", b];
  const first = report.finals.length > 1 ? report.finals[0] : report.ladders[0]?.rows[0]?.node;
  return [findPlace(first, maskNodes, maskNodes[0]), b];
}

const state = {
  view: "masks",
  video: 0,
  expression: 0,
  frame: 0,
  a: chooseNodes()[0],
  b: chooseNodes()[1],
  mode: "over",
  voteNode: votingNodes.includes(chooseNodes()[1]) ? chooseNodes()[1] : (votingNodes.at(-1) ?? null),
  threshold: null, // null: as the recipe says; it stays when another expression is chosen
  grouping: 0,
};

const address = {
  /** The name of the frame is known once the video's part is there; a link may arrive before it. */
  wantedFrame: null,
  written: "",

  format(frames) {
    const row = report.videos[state.video];
    const parts = new URLSearchParams({ view: state.view });
    if (row) {
      parts.set("video", row.id);
      parts.set("expression", row.expressions[state.expression].id);
      parts.set("frame", frames ? frames[state.frame] : (address.wantedFrame ?? String(state.frame)));
    }
    if (state.voteNode !== null) parts.set("node", report.nodes[state.voteNode].name);
    if (state.threshold !== null) parts.set("threshold", state.threshold);
    if (maskNodes.length) {
      for (const side of ["a", "b"]) parts.set(side, state[side] in BESIDE ? `*${state[side]}` : nameOf(state[side]));
      parts.set("show", state.mode);
    }
    return `#${parts}`;
  },

  /** Write the address without a step in the history. */
  write(frames) {
    address.written = address.format(frames);
    byId("link").href = address.written;
    if (location.hash !== address.written) history.replaceState(null, "", address.written);
  },

  /** Take over what an address says; what it does not name stays. */
  read(hash) {
    const parts = new URLSearchParams(hash.replace(/^#/, ""));
    const wanted = { video: parts.get("video"), expression: parts.get("expression"), threshold: Number(parts.get("threshold")) };
    state.view = VIEWS.includes(parts.get("view")) ? parts.get("view") : state.view;
    if (wanted.video !== null) address.find(wanted.video, wanted.expression);
    address.wantedFrame = parts.get("frame");
    state.voteNode = findPlace(parts.get("node"), votingNodes, state.voteNode);
    if (parts.has("threshold")) state.threshold = Number.isInteger(wanted.threshold) && wanted.threshold > 0 ? wanted.threshold : null;
    for (const side of ["a", "b"]) {
      const beside = Object.keys(BESIDE).find((name) => parts.get(side) === `*${name}`);
      state[side] = findPlace(parts.get(side), maskNodes, beside ?? state[side]);
    }
    state.mode = Object.hasOwn(MODES, parts.get("show") ?? "") ? parts.get("show") : state.mode;
  },

  find(video, expression) {
    const place = report.videos.findIndex((row) => row.id === video);
    if (place < 0) return show(`This page has no video ${video}.`);
    const within = report.videos[place].expressions.findIndex((one) => one.id === expression);
    if (within < 0 && expression !== null) show(`Video ${video} has no expression ${expression}.`);
    [state.video, state.expression] = [place, Math.max(0, within)];
  },

  /** The frame that a link names, once the names are known. */
  settleFrame(frames) {
    const found = address.wantedFrame === null ? -1 : frames.indexOf(address.wantedFrame);
    if (found >= 0) state.frame = found;
    address.wantedFrame = null;
    state.frame = Math.min(state.frame, frames.length - 1);
  },
};

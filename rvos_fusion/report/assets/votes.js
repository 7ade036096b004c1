// Votes that are counted anew in the page: who votes, how many votes keep a pixel, and what that would score.

/** The group of an expression in what a node votes by; null where it has none. */
function groupOf(row, node, place) {
  const grouping = report.nodes[node]?.grouping;
  if (grouping === null || grouping === undefined) return null;
  return row.groups[grouping]?.find((group) => group.expressions.includes(place)) ?? null;
}

/** What votes on the shown expression, as [weight, input, expression]; who abstains does not. Null: it has no group. */
function votersOf(shown, node) {
  const { weights, inputs, only } = report.nodes[node];
  const group = groupOf(shown.row, node, shown.place)?.expressions;
  if (!group) return null;
  if (group.length === 1 && only !== null) return [[1, placeOf.get(inputs[only]), group[0]]];
  const all = group.flatMap((place) => weights.map((weight, index) => [weight, placeOf.get(inputs[index]), place]));
  return all.filter(([, input, place]) => !shown.sequence(input, place)?.abstains);
}

/** Votes that the shown expression has and needs, as [most, needed]; null where the node counts none of it. */
function votesOf(shown, node) {
  const voters = votersOf(shown, node);
  if (!voters) return null;
  const size = groupOf(shown.row, node, shown.place).expressions.length;
  if (size === 1 && report.nodes[node].only !== null) return [1, 1];
  const most = voters.reduce((sum, [weight]) => sum + weight, 0);
  const needs = report.nodes[node].needs.find(([own, votes]) => own === size && votes === most);
  return needs ? needs.slice(1) : null;
}

/** The votes that are asked for: the chosen ones, as far as this expression's group has so many. */
function neededVotes(shown) {
  const votes = state.voteNode === null ? null : votesOf(shown, state.voteNode);
  if (!votes) return null;
  const [most, recipe] = votes;
  return { most, recipe, needed: Math.min(most, state.threshold ?? recipe) };
}

/** Weights and masks of everything that votes on the shown expression in a frame. */
function ballotOf(shown, node, frame) {
  const terms = votersOf(shown, node).map(([weight, input, place]) => [weight, shown.maskOf(input, frame, place)]);
  return terms.filter(([, mask]) => mask);
}

/** The mask of the live vote; null where nothing of the expression is counted. */
function voteMask(shown, frame) {
  const votes = neededVotes(shown);
  return votes && masks.keep(masks.count(ballotOf(shown, state.voteNode, frame), shown.view.size), votes.needed);
}

/** What the threshold of the shown expression is called in the recipe; whether the sweep of the node moves it. */
function thresholdOf(shown) {
  const [ofGroups, ofOne] = report.nodes[state.voteNode].settings;
  const isAlone = groupOf(shown.row, state.voteNode, shown.place).expressions.length === 1;
  return isAlone ? [ofOne, ofOne === ofGroups] : [ofGroups, true];
}

/** J&F of the live vote for this sentence, and of the set with the same share of the votes; null: not swept. */
function voteScores(shown, { needed, most, recipe }) {
  const curve = thresholdOf(shown)[1] ? report.curves.find(({ node }) => node === report.nodes[state.voteNode].name) : null;
  const shares = curve ? curve.series[0].points.map(([label]) => label.split(" of ").map(Number)).map(([part, whole]) => [part, whole ?? (part < 1 ? 1 : NaN)]) : [];
  const same = shares.findIndex(([part, whole]) => Math.ceil((part * most) / whole - 1e-9) === needed);
  const exact = shares.findIndex(([part, whole]) => part * most === needed * whole);
  const known = needed === recipe ? shown.expression.scores[state.voteNode] : shown.view.votes[state.voteNode]?.[shown.place]?.[same];
  return { sentence: known ?? null, set: curve?.series[0].points[exact]?.[1] ?? null };
}

/** The card of the vote: slider, mask, scores, and the setting to copy. */
function drawVote(shown) {
  const votes = neededVotes(shown);
  byId("vote").hidden = !votes;
  if (!votes) return;
  // As the recipe writes them: of weights that are no whole numbers, parts of a vote are counted.
  const inVotes = (count) => String(Number((count / report.nodes[state.voteNode].unit).toFixed(4)));
  byId("threshold-reset").disabled = state.threshold === null;
  byId("threshold-shown").value = `${inVotes(votes.needed)} of ${inVotes(votes.most)}`;
  Object.assign(byId("threshold"), { max: votes.most, value: votes.needed, disabled: votes.most < 2 });
  const kept = voteMask(shown, state.frame);
  const figure = views.figure("live vote", "vote");
  figure.element.id = "live-vote";
  const truth = shown.truth(state.frame);
  const text = truth ? `IoU ${masks.overlap(kept, truth).toFixed(2)} in this frame` : "";
  byId("vote-view").replaceChildren(views.paint(figure, shown, kept, { colour: colourOf("vote"), text }));
  const { sentence, set } = voteScores(shown, votes);
  const said = [...(sentence === null ? [] : [`${number(sentence)} of this sentence`]), ...(set === null ? [] : [`${number(set)} of the set`])];
  byId("vote-scores").textContent = said.length ? `J&F ${said.join(", ")}` : "";
  byId("vote-setting").hidden = votes.most < 2;
  byId("vote-setting").replaceChildren(copyable(`--set '${thresholdOf(shown)[0]}=${votes.needed} of ${votes.most}'`, "this threshold"));
}

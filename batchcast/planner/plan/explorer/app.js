// State, controls and texts. The whole state is in the URL's fragment, so that a link shows what its sender saw.

const $ = (id) => document.getElementById(id);
const { data } = Model;
const RANGE = data.seconds_range;
const POSITIONS = 1000;

const toSeconds = (position) => {
  const seconds = RANGE[0] * (RANGE[1] / RANGE[0]) ** (position / POSITIONS);
  return position >= POSITIONS ? RANGE[1] : Number(seconds.toPrecision(2));
};
const toPosition = (seconds) => Math.round((POSITIONS * Math.log(seconds / RANGE[0])) / Math.log(RANGE[1] / RANGE[0]));
const secondsText = (seconds) => (seconds < 1 ? `${Number((seconds * 1000).toPrecision(3))} ms` : `${Number(seconds.toPrecision(3))} s`);

const START = {
  seconds: data.inputs.seconds, concurrency: Math.min(data.inputs.concurrency, data.cap.concurrency),
  instances: Math.min(data.inputs.instances, data.late.length), deadline: 0, budget: 0, view: "bars", unit: "week", kept: null,
};
const within = (value, low, high, otherwise) => (Number.isFinite(value) ? Math.min(Math.max(value, low), high) : otherwise);

function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (name) => (given.has(name) ? Number(given.get(name)) : NaN);
  const kept = (given.get("kept") || "").split(",").map(Number);
  const seconds = (value, otherwise) => within(value, RANGE[0], RANGE[1], otherwise);
  const concurrency = (value, otherwise) => Math.round(within(value, 1, data.cap.concurrency, otherwise));
  const instances = (value, otherwise) => Math.round(within(value, 1, data.late.length, otherwise));
  return {
    seconds: seconds(number("seconds"), START.seconds),
    concurrency: concurrency(number("concurrency"), START.concurrency),
    instances: instances(number("instances"), START.instances),
    deadline: within(number("deadline"), 0, 1e6, 0),
    budget: within(number("budget"), 0, 1e9, 0),
    view: given.get("view") === "scatter" ? "scatter" : "bars",
    unit: given.get("unit") === "month" ? "month" : "week",
    kept: kept.length === 3 && kept.every((value) => value > 0)
      ? { seconds: seconds(kept[0]), concurrency: concurrency(kept[1]), instances: instances(kept[2]) }
      : null,
  };
}

function writeFragment() {
  const said = { seconds: state.seconds, concurrency: state.concurrency, instances: state.instances };
  for (const name of ["deadline", "budget"]) if (state[name]) said[name] = state[name];
  for (const name of ["view", "unit"]) if (state[name] !== START[name]) said[name] = state[name];
  if (state.kept) said.kept = [state.kept.seconds, state.kept.concurrency, state.kept.instances].join(",");
  history.replaceState(null, "", "#" + new URLSearchParams(said).toString().replaceAll("%2C", ","));
}

let state = readFragment();

function view() {
  const rows = Model.series(state.seconds, state.concurrency);
  const fits = (row) =>
    Boolean(state.deadline || state.budget) &&
    (!state.deadline || row.wallP95 <= state.deadline) && (!state.budget || row.cost <= state.budget);
  const fitting = rows.filter(fits);
  const families = [1, 2, 4, 8, 16, 32, 64].filter((m) => m <= data.cap.concurrency);
  return {
    ...state, rows, fits, marks: Model.marks(fitting.length ? fitting : rows),
    factor: state.unit === "month" ? data.weeks_per_month : 1,
    unitWords: state.unit === "month" ? "USD a month" : "USD a week",
    families: [...new Set([...families, state.concurrency])].sort((a, b) => a - b),
    kept: state.kept && { ...state.kept, rows: Model.series(state.kept.seconds, state.kept.concurrency) },
  };
}

function render() {
  const shown = view();
  const row = shown.rows[state.instances - 1];
  const scatter = state.view === "scatter";
  showControls();
  showFigures(shown, row);
  $("marks").innerHTML = Object.entries(shown.marks)
    .map(([name, instances]) => `<button type="button" data-instances="${instances}">${name}: ${instances} × ${state.concurrency}</button>`).join("");
  $("legend").innerHTML = legend(shown, scatter);
  $("chart").innerHTML = Chart[state.view](shown, Math.max(280, $("chart").clientWidth));
  showFormula(row);
  $("mind").innerHTML = warningsOf(row).map((words) => `<li>${words}</li>`).join("");
  showTable(shown);
  showComparison(shown, row);
  writeFragment();
}

function showControls() {
  $("seconds").value = toPosition(state.seconds);
  $("seconds-out").value = secondsText(state.seconds);
  $("seconds").setAttribute("aria-valuetext", secondsText(state.seconds));
  $("concurrency").value = state.concurrency;
  $("concurrency-out").value = state.concurrency;
  $("instances").value = state.instances;
  for (const name of ["deadline", "budget"]) if (document.activeElement !== $(name)) $(name).value = state[name] || "";
  for (const name of ["view", "unit"]) document.querySelector(`input[name=${name}][value=${state[name]}]`).checked = true;
  $("pin").textContent = state.kept ? "Forget kept" : "Keep to compare";
}

function showFigures(shown, row) {
  const endpoint = data.endpoint.cost;
  const exact = 100 * (1 - row.cost / endpoint);
  const share = exact > 99 ? exact.toFixed(1) : Math.round(exact);
  const figure = (kind, big, of) => `<div class="figure ${kind}"><div class="big">${big}</div><div class="of">${of}</div></div>`;
  $("figures").innerHTML =
    figure("time", hoursText(row.wall), `${hoursText(row.wallP5)} to ${hoursText(row.wallP95)} (P5 to P95)`) +
    figure("cost", moneyText(row.cost * shown.factor),
      `${state.unit === "month" ? "a month" : "a week"}, ${moneyText(row.costP5 * shown.factor)} to ${moneyText(row.costP95 * shown.factor)}`) +
    figure(share >= 0 ? "saved" : "costlier", share >= 0 ? `${share} % less` : `${-share} % more`,
      `than the endpoint 24/7, ${moneyText(endpoint * shown.factor)}`);
  const fitting = shown.rows.filter(shown.fits).map((r) => r.instances);
  const limits = [state.deadline && `within ${hoursText(state.deadline)}`, state.budget && `for at most ${moneyText(state.budget)}`]
    .filter(Boolean).join(" and ");
  const band = !limits ? "" : fitting.length
    ? ` ${fitting[0]} to ${fitting[fitting.length - 1]} instances end ${limits} with 95 %.`
    : ` No number of instances ends ${limits}.`;
  $("readout").textContent =
    `${state.instances} × ${state.concurrency} → ${hoursText(row.wall)}, ${moneyText(row.cost)} a run; ` +
    `the plain formula says ${hoursText(row.ideal.wall)}, ${moneyText(row.ideal.cost)}.${band}`;
}

function legend(shown, scatter) {
  const item = (mark, words) => `<li><svg viewBox="0 0 22 12" aria-hidden="true">${mark}</svg>${words}</li>`;
  const stroke = (kind) => `<line x1="1" y1="6" x2="21" y2="6" class="${kind}"/>`;
  const box = (kind) => `<rect x="4" y="1" width="14" height="10" class="${kind}"/>`;
  const common = [item(stroke("endpoint"), "endpoint that is always on")];
  if (shown.kept) common.push(item(stroke("pin"), "kept"));
  if (scatter) return [item(stroke("time"), "1 to 40 instances; the number is requests in flight"), ...common].join("");
  return [
    item(box("bar"), "cost of the work"), item(box("bar start"), "of starting, building, validating"),
    item(stroke("time"), "wall-clock with P5 to P95"), item(stroke("ghost"), "plain formula"), ...common,
  ].join("");
}

function showFormula(row) {
  const { inputs, prices } = data;
  const { compute, wall, cost } = row.ideal;
  $("formula").textContent =
    `${inputs.requests.toLocaleString("en-US")} × ${secondsText(state.seconds)} / (${state.instances} × ${state.concurrency}) / 3600 = ` +
    `${compute.toFixed(4)} h;  + ${data.cold_start_minutes} min = ${wall.toFixed(4)} h;  × ${state.instances} × ` +
    `$${prices.transform} = ${moneyText(cost)} a week;  × ${data.weeks_per_month} = ${moneyText(cost * data.weeks_per_month)} a month`;
}

// What planner/plan/warnings.py says of these files, requests and instances; the first letter begins a sentence here.
function warningsOf(row) {
  const { files, concurrency, instances } = data.warnings;
  const shards = data.shards[state.concurrency - 1][state.instances - 1];
  const said = [...(files[`${shards}/${state.instances}`] || []), ...concurrency[state.concurrency - 1], ...instances[state.instances - 1]]
    .map((words) => words[0].toUpperCase() + words.slice(1).replace(/`([^`]*)`/g, "<code>$1</code>"));
  const even = (data.endpoint.hours / state.instances - data.cold_start_minutes / 60) * 3600 * state.instances * state.concurrency / data.inputs.requests;
  said.push(row.cost > data.endpoint.cost
    ? `More expensive than the endpoint that is always on; the plain formula has it cheaper below ${secondsText(Math.max(even, 0.001))} a request.`
    : `Cheaper than the endpoint that is always on, up to ${secondsText(even)} a request by the plain formula.`);
  const whole = (data.inputs.requests * state.seconds) / 3600;
  said.push(`An endpoint client with one request at a time needs ${hoursText(whole)}, with ${data.endpoint.requests} in flight ` +
    `${hoursText(whole / data.endpoint.requests)}, if that many are answered as fast as one.`);
  if (data.played) said.push(data.played.replaceAll("`", ""));
  const age = Math.floor((Date.now() - Date.parse(data.price.as_of)) / 86400000);
  if (age > data.price.stale_days) said.push(`The price is ${age} days old: <code>prices refresh --region ${data.inputs.region}</code>.`);
  return said;
}

const COLUMNS = [
  ["instances", (r) => r.instances], ["wall_hours", (r) => r.wall], ["wall_hours_p5", (r) => r.wallP5], ["wall_hours_p95", (r) => r.wallP95],
  ["cost_usd", (r) => r.cost], ["cost_usd_p5", (r) => r.costP5], ["cost_usd_p95", (r) => r.costP95],
  ["cost_usd_month", (r) => r.cost * data.weeks_per_month], ["formula_wall_hours", (r) => r.ideal.wall], ["formula_cost_usd", (r) => r.ideal.cost],
];

function showTable(shown) {
  const heads = ["Instances", "Wall-clock", "P5", "P95", "A week", "P5", "P95", "A month", "Formula", "Formula cost"];
  const texts = [String, hoursText, hoursText, hoursText, moneyText, moneyText, moneyText, moneyText, hoursText, moneyText];
  const body = shown.rows.map((row) => {
    const cells = COLUMNS.map(([, value], i) => texts[i](value(row)));
    const marked = ({ instances }) => Object.keys(shown.marks).filter((name) => shown.marks[name] === instances);
    const current = row.instances === state.instances ? ' class="current" aria-current="true"' : "";
    return `<tr${current}><th scope="row">${[cells[0], ...marked(row)].join(", ")}</th>${cells.slice(1).map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  });
  $("table").innerHTML =
    `<thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join("")}</tr></thead><tbody>${body.join("")}</tbody>`;
}

function showComparison(shown, row) {
  $("compare").hidden = !shown.kept;
  if (!shown.kept) return;
  const before = shown.kept.rows[shown.kept.instances - 1];
  const difference = (now, then) => `${now >= then ? "+" : "−"}${Math.abs(100 * (now / then - 1)).toFixed(0)} %`;
  const line = (name, then, now, change) => `<tr><th scope="row">${name}</th><td>${then}</td><td>${now}</td><td>${change}</td></tr>`;
  const shape = (of) => `${secondsText(of.seconds)}, ${of.instances} × ${of.concurrency}`;
  $("compare-table").innerHTML =
    `<thead><tr><th scope="col">What</th><th scope="col">Kept</th><th scope="col">Now</th><th scope="col">Change</th></tr></thead><tbody>` +
    line("Job", shape(shown.kept), shape(state), "&nbsp;") +
    line("Wall-clock", hoursText(before.wall), hoursText(row.wall), difference(row.wall, before.wall)) +
    line("P95", hoursText(before.wallP95), hoursText(row.wallP95), difference(row.wallP95, before.wallP95)) +
    line("A week", moneyText(before.cost), moneyText(row.cost), difference(row.cost, before.cost)) +
    line("A month", moneyText(before.cost * data.weeks_per_month), moneyText(row.cost * data.weeks_per_month), difference(row.cost, before.cost)) +
    "</tbody>";
}

function save(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function exported() {
  const rows = view().rows.map((row) => Object.fromEntries(COLUMNS.map(([name, value]) => [name, value(row)])));
  const { seconds, concurrency, instances } = state;
  return { inputs: { ...data.inputs, seconds, concurrency, instances }, price: data.price, endpoint_cost_usd: data.endpoint.cost, rows };
}

function toCsv() {
  const { inputs, rows } = exported();
  const names = ["items", "seconds", "concurrency"];
  const head = [...names, ...COLUMNS.map(([name]) => name)].join(",");
  return [head, ...rows.map((row) => [...names.map((name) => inputs[name]), ...Object.values(row)].join(","))].join("\n") + "\n";
}

function set(changes) {
  state = { ...state, ...changes };
  render();
}

function listen() {
  $("seconds").addEventListener("input", (event) => set({ seconds: toSeconds(Number(event.target.value)) }));
  $("concurrency").addEventListener("input", (event) => set({ concurrency: Number(event.target.value) }));
  $("instances").addEventListener("change", (event) =>
    set({ instances: Math.round(within(event.target.valueAsNumber, 1, data.late.length, state.instances)) }));
  for (const name of ["deadline", "budget"])
    $(name).addEventListener("input", (event) => set({ [name]: within(event.target.valueAsNumber, 0, 1e9, 0) }));
  for (const name of ["view", "unit"])
    for (const input of document.querySelectorAll(`input[name=${name}]`))
      input.addEventListener("change", () => set({ [name]: input.value }));
  $("pin").addEventListener("click", () => {
    const { seconds, concurrency, instances } = state;
    set({ kept: state.kept ? null : { seconds, concurrency, instances } });
  });
  $("csv").addEventListener("click", () => save("plan.csv", "text/csv", toCsv()));
  $("json").addEventListener("click", () => save("plan.json", "application/json", JSON.stringify(exported(), null, 1)));
  for (const name of ["chart", "marks"])
    $(name).addEventListener("click", (event) => {
      const instances = Number(event.target.dataset?.instances);
      if (instances) set({ instances });
    });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => set(readFragment()));
  new ResizeObserver(render).observe($("chart"));
}

function begin() {
  const { inputs, price } = data;
  $("lead").textContent =
    `${inputs.items.toLocaleString("en-US")} records in ${inputs.requests.toLocaleString("en-US")} requests, ${inputs.instance_type} in ${inputs.region} at $${data.prices.transform} an hour. ` +
    "Move the two sliders; every number of instances from 1 to 40 is shown at once.";
  $("seconds-min").textContent = secondsText(RANGE[0]);
  $("seconds-max").textContent = secondsText(RANGE[1]);
  $("concurrency").max = data.cap.concurrency;
  $("concurrency-max").textContent = data.cap.concurrency;
  $("cap").textContent = data.cap.reason;
  $("instances").max = data.late.length;
  $("weeks").textContent = `Cost; a month is ${data.weeks_per_month} weeks`;
  $("footer").textContent =
    `Price of ${price.as_of} (${price.confidence}): ${price.source}. Spread of records ${Math.round(100 * inputs.seconds_cv)} %, ` +
    `speed ${inputs.capacity === "assumed" ? "assumed from the cores, not measured" : inputs.capacity}, start ${inputs.conditions}. ` +
    "This page is one file and asks no server for anything.";
  listen();
  render();
}
begin();

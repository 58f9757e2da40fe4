// Both charts as SVG text. Everything drawn is a number of the model, so nothing needs escaping.

const hoursText = (hours) => {
  if (hours >= Model.data.hours_per_week) return `${(hours / 24).toFixed(1)} d`;
  if (hours < 1 / 30) return `${Number((hours * 3600).toPrecision(3))} s`;
  const minutes = Math.round(hours * 60);
  if (minutes < 60) return `${minutes} m`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} m`;
};
const moneyText = (usd, digits = 2) =>
  "$" + usd.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

const Chart = (() => {
  const HOUR_TICKS = [1, 2, 5, 10, 15, 20, 30, 45].map((minutes) => minutes / 60)
    .concat([1, 1.5, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000]);
  const round = (value) => Math.round(value * 100) / 100;
  const line = (x1, y1, x2, y2, kind) =>
    `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${kind}"/>`;
  const text = (x, y, words, kind = "", anchor = "start") =>
    `<text x="${round(x)}" y="${round(y)}" class="${kind}" text-anchor="${anchor}">${words}</text>`;
  const whisker = (x, from, to, half, kind = "") =>
    line(x, from, x, to, `whisker ${kind}`) +
    [from, to].map((y) => line(x - half, y, x + half, y, `whisker ${kind}`)).join("");
  const path = (points, kind) =>
    `<path d="${points.map(([x, y], i) => `${i ? "L" : "M"}${round(x)} ${round(y)}`).join("")}" class="${kind}"/>`;

  const linear = (from, to, low, high) => (value) => low + ((value - from) / (to - from)) * (high - low);
  const logarithmic = (from, to, low, high) => {
    const scale = linear(Math.log(from), Math.log(to), low, high);
    return (value) => scale(Math.log(value));
  };

  function niceTicks(most, count) {
    const raw = most / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((f) => f * power).find((s) => s >= raw);
    return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
  }

  // Ticks of a logarithmic axis, thinned to `gap` pixels; a narrow range gets even steps instead.
  function logTicks(candidates, from, to, scale, gap) {
    const inside = candidates.filter((tick) => tick >= from && tick <= to);
    const step = niceTicks(to - from, 5)[1];
    const first = Math.ceil(from / step);
    const even = Array.from({ length: Math.floor(to / step) - first + 1 }, (_, i) => (first + i) * step);
    const ticks = inside.length >= 3 ? inside : even;
    return ticks.reduce((kept, tick) => {
      const apart = kept.length === 0 || Math.abs(scale(tick) - scale(kept[kept.length - 1])) >= gap;
      return apart ? [...kept, tick] : kept;
    }, []);
  }
  const decades = (from, to) => {
    const ticks = [];
    for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power += 1)
      for (const factor of [1, 2, 5]) ticks.push(factor * 10 ** power);
    return ticks;
  };
  const tickHours = (hours) => {
    if (hours < 1) return `${Math.round(hours * 600) / 10} m`;
    return `${Math.round(hours * 10) / 10} h`;
  };
  const tickMoney = (usd) => moneyText(usd, Number.isInteger(usd) || usd >= 10 ? 0 : 2);

  function frame(width) {
    const narrow = width < 520;
    const box = { left: 50, right: width - 54, top: 36, bottom: (narrow ? 330 : 430) - 40, narrow, width };
    return { ...box, height: box.bottom + 40 };
  }
  const svg = (box, label, body) =>
    `<svg class="chart" role="img" aria-label="${label}" viewBox="0 0 ${box.width} ${box.height}" ` +
    `height="${box.height}">${body}</svg>`;

  function pill(box, x, words) {
    const half = words.length * (box.narrow ? 3.15 : 3.45) + 10;
    const middle = Math.min(Math.max(x, box.left + half), box.right - half);
    return (
      `<rect x="${round(middle - half)}" y="6" width="${round(2 * half)}" height="22" rx="11" class="pill"/>` +
      text(middle, 21, words, "strong", "middle")
    );
  }
  const currentWords = (view, row) =>
    `${row.instances} × ${view.concurrency} → ${hoursText(row.wall)}, ${moneyText(row.cost * view.factor)}`;

  function endpointLines(view, box, y) {
    const { cost, discounted_cost: cheaper, discount_percent: percent } = Model.data.endpoint;
    const at = y(cost * view.factor);
    const words = `endpoint 24/7 ${moneyText(cost * view.factor, 0)}`;
    let drawn = line(box.left, at, box.right, at, "endpoint") + text(box.right - 4, at - 6, words, "endpoint-text", "end");
    if (percent > 0) {
      const low = y(cheaper * view.factor);
      drawn += line(box.left, low, box.right, low, "endpoint plan");
      drawn += text(box.right - 4, low - 6, `with ${percent} % off ${moneyText(cheaper * view.factor, 0)}`, "endpoint-text", "end");
    }
    return drawn;
  }

  function budgetLine(view, box, y) {
    if (!view.budget) return "";
    const at = y(view.budget * view.factor);
    const words = `budget ${moneyText(view.budget * view.factor, 0)}`;
    return line(box.left, at, box.right, at, "limit") + text((box.left + 2 * box.right) / 3, at - 5, words, "limit-text", "middle");
  }

  function bars(view, width) {
    const box = frame(width);
    const { rows, kept, factor } = view;
    const current = rows[view.instances - 1];
    const all = kept ? [...rows, ...kept.rows] : rows;
    const most = Math.max(...all.map((r) => r.cost), current.costP95, Model.data.endpoint.cost, view.budget || 0) * factor * 1.1;
    const hours = all.flatMap((r) => [r.wallP5, r.wallP95, r.ideal.wall]).concat(view.deadline || []);
    const [soonest, latest] = [Math.min(...hours) / 1.15, Math.max(...hours) * 1.15];
    const y = linear(0, most, box.bottom, box.top);
    const t = logarithmic(soonest, latest, box.bottom, box.top);
    const step = (box.right - box.left) / rows.length;
    const x = (row) => box.left + (row.instances - 0.5) * step;
    const wide = Math.max(2, step * 0.68);
    const parts = [];

    for (const row of rows)
      if (view.fits(row))
        parts.push(`<rect x="${round(x(row) - step / 2)}" y="${box.top}" width="${round(step + 0.5)}" ` +
          `height="${box.bottom - box.top}" class="fits"/>` +
          `<rect x="${round(x(row) - step / 2)}" y="${box.bottom + 1}" width="${round(step + 0.5)}" height="3" class="fits-mark"/>`);
    for (const tick of niceTicks(most, 6)) {
      parts.push(line(box.left, y(tick), box.right, y(tick), "grid"));
      parts.push(text(box.left - 6, y(tick) + 4, tickMoney(tick), "axis-cost", "end"));
    }
    for (const tick of logTicks(HOUR_TICKS, soonest, latest, t, 22))
      parts.push(text(box.right + 6, t(tick) + 4, tickHours(tick), "axis-time"));
    for (const row of rows) {
      const [top, split] = [y(row.cost * factor), y(Math.min(row.fixedCost, row.cost) * factor)];
      const dim = row === current ? "" : " dim";
      parts.push(`<rect x="${round(x(row) - wide / 2)}" y="${round(top)}" width="${round(wide)}" ` +
        `height="${round(Math.max(0, split - top))}" class="bar${dim}"/>`);
      parts.push(`<rect x="${round(x(row) - wide / 2)}" y="${round(split)}" width="${round(wide)}" ` +
        `height="${round(box.bottom - split)}" class="bar start${dim}"/>`);
    }
    parts.push(line(box.left, box.bottom, box.right, box.bottom, "base"));
    if (kept) {
      for (const row of kept.rows)
        parts.push(line(x(row) - wide / 2, y(row.cost * factor), x(row) + wide / 2, y(row.cost * factor), "pin"));
      parts.push(path(kept.rows.map((r) => [x(r), t(r.wall)]), "pin"));
    }
    const edge = (side) => rows.map((r) => [x(r), t(r[side])]);
    parts.push(path([...edge("wallP95"), ...edge("wallP5").reverse()], "spread"));
    parts.push(path(rows.map((r) => [x(r), t(r.ideal.wall)]), "ghost"));
    for (const row of rows) parts.push(whisker(x(row), t(row.wallP5), t(row.wallP95), wide / 3));
    parts.push(path(rows.map((r) => [x(r), t(r.wall)]), "time"));
    parts.push(line(x(current), 28, x(current), box.bottom, "guide"));
    parts.push(whisker(x(current), y(current.costP5 * factor), y(current.costP95 * factor), wide / 2, "cost"));
    parts.push(`<circle cx="${round(x(current))}" cy="${round(t(current.wall))}" r="5" class="dot"/>`);
    if (view.deadline) {
      parts.push(line(box.left, t(view.deadline), box.right, t(view.deadline), "limit"));
      parts.push(text(box.left + 4, t(view.deadline) - 5, `deadline ${hoursText(view.deadline)}`, "limit-text"));
    }
    parts.push(budgetLine(view, box, y), endpointLines(view, box, y));
    const named = rows.filter((r) => r.instances === 1 || r.instances % (box.narrow ? 10 : 5) === 0);
    for (const row of named) parts.push(text(x(row), box.bottom + 16, row.instances, "", "middle"));
    parts.push(text((box.left + box.right) / 2, box.bottom + 33, "instances", "", "middle"));
    parts.push(text(4, box.bottom + 33, view.unitWords, "axis-cost"));
    parts.push(text(box.width - 4, box.bottom + 33, "wall-clock (log)", "axis-time", "end"));
    parts.push(pill(box, x(current), currentWords(view, current)));
    for (const row of rows)
      parts.push(`<rect x="${round(x(row) - step / 2)}" y="${box.top}" width="${round(step)}" height="${box.bottom - box.top}" ` +
        `class="hit" data-instances="${row.instances}"><title>${currentWords(view, row)}</title></rect>`);
    const label = `Cost as bars and wall-clock as a line for 1 to ${rows.length} instances. ${currentWords(view, current)}.`;
    return svg(box, label, parts.join(""));
  }

  function scatter(view, width) {
    const box = { ...frame(width), right: width - 16 };
    const { factor } = view;
    const current = view.rows[view.instances - 1];
    const families = view.families.map((m) => ({ m, rows: m === view.concurrency ? view.rows : Model.series(view.seconds, m) }));
    const all = families.flatMap((f) => f.rows).concat(view.kept ? view.kept.rows : []);
    const hours = all.map((r) => r.wall).concat(view.deadline || []);
    const costs = all.map((r) => r.cost * factor).concat(Model.data.endpoint.cost * factor, view.budget * factor || []);
    const [fromHours, toHours] = [Math.min(...hours) / 1.25, Math.max(...hours) * 1.4];
    const [fromCost, toCost] = [Math.min(...costs) / 1.3, Math.max(...costs) * 1.4];
    const x = logarithmic(fromHours, toHours, box.left, box.right);
    const y = logarithmic(fromCost, toCost, box.bottom, box.top);
    const parts = [];
    for (const tick of logTicks(decades(fromCost, toCost), fromCost, toCost, y, 24)) {
      parts.push(line(box.left, y(tick), box.right, y(tick), "grid"));
      parts.push(text(box.left - 6, y(tick) + 4, tickMoney(tick), "axis-cost", "end"));
    }
    for (const tick of logTicks(HOUR_TICKS, fromHours, toHours, x, 44)) {
      parts.push(line(x(tick), box.top, x(tick), box.bottom, "grid"));
      parts.push(text(x(tick), box.bottom + 16, tickHours(tick), "axis-time", "middle"));
    }
    parts.push(budgetLine(view, box, y), endpointLines(view, box, y));
    if (view.deadline) {
      parts.push(line(x(view.deadline), box.top, x(view.deadline), box.bottom, "limit"));
      parts.push(text(x(view.deadline) + 4, box.bottom - 6, `deadline ${hoursText(view.deadline)}`, "limit-text"));
    }
    const at = (row) => [x(row.wall), y(row.cost * factor)];
    if (view.kept) parts.push(path(view.kept.rows.map(at), "pin"));
    for (const { m, rows } of families) {
      const mine = m === view.concurrency;
      parts.push(path(rows.map(at), `time series${mine ? "" : " other"}`));
      const [endX, endY] = at(rows[0]);
      const beyond = endX + 18 > box.right;
      parts.push(text(beyond ? box.right - 2 : endX + 8, endY + (beyond ? -8 : 4), m, mine ? "strong" : "axis-time", beyond ? "end" : "start"));
    }
    for (const row of view.rows) {
      const [cx, cy] = at(row).map(round);
      parts.push(`<circle cx="${cx}" cy="${cy}" r="${box.narrow ? 2 : 3}" class="dot"/>`);
      parts.push(`<circle cx="${cx}" cy="${cy}" r="9" class="hit" data-instances="${row.instances}">` +
        `<title>${currentWords(view, row)}</title></circle>`);
    }
    const [px, py] = at(current);
    parts.push(line(px, 28, px, py - 7, "guide"));
    parts.push(`<circle cx="${round(px)}" cy="${round(py)}" r="6" class="dot"/>`);
    parts.push(pill(box, px, currentWords(view, current)));
    parts.push(text((box.left + box.right) / 2, box.bottom + 33, "wall-clock (log)", "axis-time", "middle"));
    parts.push(text(4, box.bottom + 33, `${view.unitWords} (log)`, "axis-cost"));
    const label = `Cost against wall-clock on logarithmic axes, a line for each number of requests in flight. ${currentWords(view, current)}.`;
    return svg(box, label, parts.join(""));
  }

  return { bars, scatter };
})();

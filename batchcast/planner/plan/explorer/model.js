"use strict";
// The arithmetic of planner/formula.py, planner/estimate.py and planner/scenarios.py; a test holds both to one another.
// What depends on the concurrency alone (capacity, drain), on the instances alone (late) or on both (shards) is data.

const Model = (() => {
  const data = JSON.parse(document.getElementById("plan-data").textContent);

  // One transform job in seconds: from creation to the end, and what of it is billed.
  function transform(seconds, concurrency, instances) {
    const { requests, seconds_cv: cv } = data.inputs;
    const { provision, start, request_overhead: overhead, ...doubt } = data.conditions;
    const capacity = data.capacity[concurrency - 1];
    const drain = data.drain[concurrency - 1][instances - 1];
    const shards = data.shards[concurrency - 1][instances - 1];
    const request = seconds + overhead;
    // When the slowest of some instances with so many files each ends.
    function lastOf(working, files) {
      const busiest = Math.min(shards, files * doubt.busiest_share);
      const sent = (busiest * requests) / shards;
      const work = (sent * request) / capacity + busiest * (drain.mean * request + doubt.shard_overhead);
      const differ = Math.hypot(
        (request * cv * Math.sqrt(sent)) / capacity,
        request * drain.sigma * Math.sqrt(busiest),
        work * doubt.instance_sigma,
      );
      const late = data.late[working - 1];
      const lateStart = start.median * Math.expm1(start.sigma * late.by);
      const ends = start.median + work + Math.hypot(lateStart, late.by * differ);
      const last = Math.hypot(differ, (start.median + lateStart) * start.sigma) * Math.sqrt(late.variance);
      return { billed: ends, billedSigma: Math.hypot(work * doubt.speed_sigma, last), work };
    }
    const each = Math.floor(shards / instances);
    const groups = [[shards % instances, each + 1], [instances, each]].filter(([working, files]) => working && files);
    const { billed, billedSigma, work } = groups.map((group) => lastOf(...group)).reduce((a, b) => (b.billed > a.billed ? b : a));
    const wall = provision.median + billed;
    const wallSigma = Math.hypot(billedSigma, provision.median * provision.sigma);
    const spread = (middle, sigma) => ({
      p5: middle * Math.exp((-data.z95 * sigma) / middle),
      p50: middle,
      p95: middle * Math.exp((data.z95 * sigma) / middle),
    });
    return { wall: spread(wall, wallSigma), billed: spread(billed, billedSigma), work };
  }

  // The batch scenario: hours, dollars a run and their P5 and P95.
  function batch(seconds, concurrency, instances) {
    const job = transform(seconds, concurrency, instances);
    const { processing, prices } = data;
    const shards = data.shards[concurrency - 1][instances - 1];
    const other = processing.billed_hours * prices.processing + shards * prices.usd_a_shard;
    const usd = (billed) => (instances * billed * prices.transform) / 3600 + other;
    const startingUsd = usd(job.billed.p50 - job.work);
    return {
      instances,
      wall: processing.wall_hours + job.wall.p50 / 3600,
      wallP5: processing.wall_hours + job.wall.p5 / 3600,
      wallP95: processing.wall_hours + job.wall.p95 / 3600,
      cost: usd(job.billed.p50),
      costP5: usd(job.billed.p5),
      costP95: usd(job.billed.p95),
      // The part of the cost that is there however little work there is.
      fixedCost: startingUsd,
      ideal: ideal(seconds, concurrency, instances),
    };
  }

  // The plain formula.
  function ideal(seconds, concurrency, instances) {
    const compute = (data.inputs.requests * seconds) / (instances * concurrency) / 3600;
    const wall = compute + data.cold_start_minutes / 60;
    return { compute, wall, instanceHours: instances * wall, cost: instances * wall * data.prices.transform };
  }

  function series(seconds, concurrency) {
    return data.late.map((_, index) => batch(seconds, concurrency, index + 1));
  }

  // By instances: the least dollars, the least P95, and the least product of both, where halving one may double the other.
  function marks(rows) {
    const least = (value) => rows.reduce((best, row) => (value(row) < value(best) * (1 - 1e-9) ? row : best)).instances;
    return {
      cheapest: least((row) => row.cost),
      balanced: least((row) => row.cost * row.wallP95),
      fastest: least((row) => row.wallP95),
    };
  }

  return { data, batch, ideal, series, marks };
})();

// Fills the table of what is found; without it the section stays hidden.
(async () => {
  const box = document.getElementById("find"), field = box.querySelector("input");
  const said = box.querySelector("[role=status]"), table = box.querySelector("table");
  const packed = new Blob([Uint8Array.from(atob(box.dataset.items), letter => letter.charCodeAt(0))]);
  const opened = packed.stream().pipeThrough(new DecompressionStream("deflate"));
  const items = JSON.parse(await new Response(opened).text());
  const full = [];
  for (let at = 0; at < items.name.length; at += 2)
    full.push((full.at(-1) ?? "").slice(0, items.name[at]) + items.name[at + 1]);
  const names = full.map(name => name.toLowerCase());
  const number = value => value === null ? "-" : value.toLocaleString("en", {maximumSignificantDigits: 4});
  const percent = value => value === null ? "-" : (value > 0 ? "+" : "") + value + "%";
  const heads = [...table.tHead.rows[0].cells].map(cell => cell.textContent);
  const show = () => {
    const wanted = field.value.trim().toLowerCase(), found = [];
    for (let at = 0; wanted && at < names.length; at++) if (names[at].includes(wanted)) found.push(at);
    const rank = at => names[at] === wanted ? 0 : names[at].startsWith(wanted) ? 1 : 2;
    found.sort((one, other) => rank(one) - rank(other) || one - other);
    table.tBodies[0].replaceChildren(...found.slice(0, 20).map(at => {
      const row = document.createElement("tr");
      const texts = [full[at], items.odd[at] ?? "has a forecast", number(items.total[at]),
        percent(items.change[at]), items.class[at], items.flags[at] ?? "-"];
      texts.forEach((text, place) => {
        const cell = row.insertCell();
        cell.textContent = text;
        cell.dataset.label = heads[place];
      });
      return row;
    }));
    table.hidden = !found.length;
    const first = found.length > 20 ? ", of which the first 20" : "";
    const count = found.length.toLocaleString("en") + (found.length === 1 ? " item" : " items");
    said.textContent = wanted ? count + first : "";
  };
  field.addEventListener("input", show);
  box.hidden = false;
  show();
})();

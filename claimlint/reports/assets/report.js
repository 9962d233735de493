"use strict";
// Text from claims is put into the page as text (textContent), never as HTML.
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;

  // Light and dark: as the system says, until one is chosen. In a frame without storage the choice is not kept.
  const theme = byId("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", dark() ? "Light colours" : "Dark colours"); };
  try { const kept = localStorage.getItem("claimlint-theme"); if (kept === "dark" || kept === "light") root.dataset.theme = kept; } catch { /* no storage */ }
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("claimlint-theme", root.dataset.theme); } catch { /* no storage */ }
    nameTheme();
  });
  theme.hidden = false;
  nameTheme();

  // A link to a rule opens it.
  const openTarget = () => {
    const target = location.hash.startsWith("#rule-") && byId(decodeURIComponent(location.hash.slice(1)));
    if (target) { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", openTarget);
  openTarget();
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const target = link && byId(link.getAttribute("href").slice(1));
    if (!target) return;
    if (target.tagName === "DETAILS") target.open = true;
    if (location.protocol === "about:") { // in the frame of another page, whose address a link would open
      event.preventDefault();
      target.scrollIntoView();
    }
  });

  if (!byId("data")) return;
  const data = JSON.parse(byId("data").textContent);
  const rows = data.rows.map(([cents, ...texts], index) => {
    const row = { index, cents };
    data.fields.forEach((field, at) => { row[field] = data.strings[texts[at]]; });
    return row;
  });
  const PAGE = 200;
  const table = byId("findings"), body = table.tBodies[0], form = byId("filters"), status = byId("status"), more = byId("more");
  const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
  const number = new Intl.NumberFormat("en-US");
  const usd = (cents) => (cents === null ? "" : money.format(cents / 100));
  const collator = new Intl.Collator("en-US", { numeric: true });
  const rank = { error: 0, warning: 1, info: 2 };
  const claimOf = (row) => row.file + "\u0000" + row.claim;
  const claims = new Map();
  for (const row of rows) if (row.claim) claims.set(claimOf(row), [...(claims.get(claimOf(row)) || []), row]);
  const many = (count, what) => `${number.format(count)} ${what}${count === 1 ? "" : "s"}`;

  const make = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children.filter((child) => child !== "" && child !== null && child !== undefined));
    return node;
  };
  const soft = (text) => (text ? make("span", { class: "soft" }, text) : "");
  const cell = (label, kind, ...children) => make("td", { role: "cell", class: kind, "data-label": label }, ...children);
  const severity = (row) => make("span", { class: `severity ${row.severity}` }, data.severities[row.severity]);

  // What is shown: filtered, sorted, and rendered some rows at a time.
  let found = rows, rendered = 0, sort = { key: "cents", down: true }, cause = "";
  const fields = { severity: byId("severity"), code: byId("code"), payer: byId("payer"), provider: byId("provider") };
  const search = byId("search");

  function matches(row, words) {
    if (cause && row.cause !== cause) return false;
    for (const [key, field] of Object.entries(fields)) if (field.value && row[key] !== field.value.slice(1)) return false;
    if (!words.length) return true;
    row.text ??= [row.claim, row.code, row.message, row.hint, row.payer, row.provider, row.procedure, row.date, row.day,
      row.place, data.severities[row.severity], usd(row.cents)].join("\n").toLowerCase();
    return words.every((word) => row.text.includes(word));
  }
  function compare(a, b) {
    const { key, down } = sort;
    let order;
    if (key === "cents") order = (a.cents ?? -1e15) - (b.cents ?? -1e15);
    else if (key === "date") order = a.day < b.day ? -1 : a.day > b.day ? 1 : 0;
    else if (key === "code") order = rank[a.severity] - rank[b.severity] || collator.compare(a.code, b.code);
    else order = collator.compare(a[key], b[key]);
    return (down ? -order : order) || a.index - b.index;
  }
  function update() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter((row) => matches(row, words)).sort(compare);
    body.replaceChildren();
    rendered = 0;
    renderMore();
    const touched = new Set(found.filter((row) => row.claim).map(claimOf)).size;
    status.replaceChildren(`${many(found.length, "finding")} on ${many(touched, "claim")}`);
    if (cause) {
      const all = make("button", { type: "button" }, "Show all findings");
      all.addEventListener("click", () => { cause = ""; update(); search.focus(); });
      status.append(" of one thing to correct", all);
    }
  }
  function renderMore() {
    const piece = document.createDocumentFragment();
    for (const row of found.slice(rendered, rendered + PAGE)) piece.append(rowOf(row));
    body.append(piece);
    rendered = Math.min(rendered + PAGE, found.length);
    more.hidden = rendered >= found.length;
    byId("printed").textContent = more.hidden ? "" : `The first ${number.format(rendered)} of ${number.format(found.length)} are printed.`;
    more.textContent = `Show ${number.format(Math.min(PAGE, found.length - rendered))} more (${number.format(rendered)} of ${number.format(found.length)} shown)`;
  }
  function rowOf(row) {
    const about = `Details of ${row.code}${row.claim ? `, claim ${row.claim}` : ""}`;
    const toggle = make("button", { type: "button", class: "toggle", "aria-expanded": "false", "aria-label": about });
    const line = make("tr", { role: "row", class: "row" },
      make("td", { role: "cell", class: "open" }, toggle),
      cell("At risk", "number", usd(row.cents)),
      cell("Claim", "", row.claim || "–", row.line ? " " : "", soft(row.line && `line ${row.line}`)),
      cell("Service", "", row.date, " ", soft(row.procedure)),
      cell("Payer", "", row.payer),
      cell("Provider", "", row.provider),
      cell("Rule", "", severity(row), " ", make("span", { class: "code" }, row.code)),
      cell("Problem", "problem", row.message, " ", make("span", { class: "do" }, row.hint)));
    line.addEventListener("click", (event) => {
      if (event.target !== toggle && (event.target.closest("a, button") || String(getSelection()))) return;
      const open = toggle.getAttribute("aria-expanded") !== "true";
      toggle.setAttribute("aria-expanded", String(open));
      line.classList.toggle("is-open", open);
      if (open) {
        line.after(detailOf(row));
        toggle.setAttribute("aria-controls", `detail-${row.index}`);
      } else {
        line.nextElementSibling.remove();
        toggle.removeAttribute("aria-controls");
      }
    });
    return line;
  }
  function detailOf(row) {
    const left = make("div"), right = make("div");
    const part = (side, title, ...content) => content.some(Boolean) && side.append(make("h3", {}, title), ...content.filter(Boolean));
    part(left, "Where", make("p", {}, make("code", {}, row.place)));
    if (row.before || row.mark || row.after) {
      left.append(make("pre", {}, make("code", {}, row.before, make("mark", {}, row.mark), row.after)));
    }
    part(left, "What to do", make("p", { class: "first" }, row.hint));
    part(left, "Can be corrected", row.fix && make("p", {}, make("code", {}, row.fix)));
    const others = (claims.get(claimOf(row)) || []).filter((other) => other !== row);
    if (row.claim) {
      const list = make("ul", {}, ...others.slice(0, 30).map((other) => make("li", {}, severity(other), " ",
        make("span", { class: "code" }, other.code), " ", other.line ? `line ${other.line}: ` : "", other.message)));
      if (others.length > 30) list.append(make("li", {}, `and ${others.length - 30} more`));
      part(left, "Also on this claim", others.length ? list : make("p", { class: "soft" }, "Nothing else"));
    }
    const rule = byId(`rule-${row.code}`);
    if (rule) {
      part(right, `About ${row.code}`, ...[...rule.querySelectorAll(".about p")].map((p) => p.cloneNode(true)));
      const denial = rule.querySelector(".denial");
      part(right, "Prevents denial", row.carc && make("p", {}, denial && denial.textContent.startsWith(`CARC ${row.carc}`) ? denial.textContent : `CARC ${row.carc}`));
    }
    part(right, "SNIP type", make("p", {}, `${row.snip}${data.snip[row.snip] ? ` (${data.snip[row.snip]})` : ""}`));
    part(right, "Source", row.source && make("p", {}, row.source));
    return make("tr", { role: "row", class: "detail", id: `detail-${row.index}` },
      make("td", { role: "cell", colspan: "8" }, make("div", { class: "cards" }, left, right)));
  }

  // Filters: every value there is, with its count.
  for (const [key, field] of Object.entries(fields)) {
    const counts = new Map();
    for (const row of rows) counts.set(row[key], (counts.get(row[key]) || 0) + 1);
    const values = [...counts.keys()].sort(key === "severity" ? (a, b) => rank[a] - rank[b] : collator.compare);
    for (const value of values) {
      const label = key === "severity" ? data.severities[value] : value || "not known";
      field.append(make("option", { value: `=${value}` }, `${label} (${number.format(counts.get(value))})`));
    }
  }
  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(update, 120); });
  form.addEventListener("change", (event) => event.target !== search && update());
  form.addEventListener("submit", (event) => { event.preventDefault(); update(); });
  form.addEventListener("reset", () => { cause = ""; setTimeout(update); });
  more.addEventListener("click", () => {
    const first = rendered;
    renderMore();
    if (more.hidden) body.querySelectorAll(".toggle")[first]?.focus();
  });
  for (const head of table.tHead.querySelectorAll("th[data-key]")) {
    const button = make("button", { type: "button", class: "sort" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const key = head.dataset.key;
      sort = { key, down: sort.key === key ? !sort.down : key === "cents" };
      for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      update();
    });
  }
  const told = new Set(rows.map((row) => row.cause));
  for (const button of document.querySelectorAll(".show-cause")) {
    if (!told.has(button.dataset.cause)) continue;
    button.hidden = false;
    button.addEventListener("click", () => {
      form.reset();
      cause = button.dataset.cause;
      setTimeout(() => { cause = button.dataset.cause; update(); byId("worklist").focus(); });
    });
  }
  form.hidden = false;
  update();
})();

"use strict";

const SENSORS = ["ProlificParticipantGroupSensor", "ProlificStudySensor", "ProlificSubmissionSensor"];
const WAITING = ["deferred", "up_for_reschedule", "running"];
const PAGE_SIZE = 25; // tasks shown at once: the log of each one is read
const PARALLEL = 4; // logs read at once; few, because Airflow's other pages must stay fast
const REFRESH_SECONDS = [5, 60]; // five times as long as reading took, within these limits
const STALLED_LOOKS = 10; // without growth for so many looks, and for a quarter of the wait
const ROOT = new URL("..", location.href); // Airflow's own address, whatever path it has

// ---- What the log says: the lines that waiting/progress.py writes, a stable form -------------------------------

const NAME = `'(?:[^'\\\\]|\\\\.)*'|"(?:[^"\\\\]|\\\\.)*"|['"].{98}…`; // as Python writes a text; long ones are cut
const PART = new RegExp(
  `(?:(?<study>study )?(?<name>${NAME})` +
    `(?: \\((?<state>[^()]*)\\))?` +
    `(?: has (?<count>\\d+) of (?<target>\\d+)(?: submissions)? \\(\\d+%\\)` +
    `| does not exist yet \\(target (?<wanted>\\d+)\\)` +
    `| is (?<status>[^,;]+)(?:, (?<taken>\\d+) of (?<places>\\d+) places taken)?)` +
    `(?:, [+-]\\d+)?(?:, about [^,;]+ to go)?)(?:; |$)`,
  "suy",
);
const BEGINNING = /^Looks every ([\d.e+]+) (s|min|h|days?)(?: at first)?(?: until (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC)?/;
const UNIT = { s: 1, min: 60, h: 3600, day: 86400, days: 86400 };

/** Return what a line says about each thing that is waited for; null if the line is not about progress. */
function parseProgress(line) {
  const parts = [];
  for (PART.lastIndex = 0; PART.lastIndex < line.length; ) {
    const found = PART.exec(line)?.groups;
    if (!found) return null;
    const count = found.count ?? found.taken;
    const target = found.target ?? found.wanted ?? found.places;
    parts.push({
      kind: found.study ? "study" : "group",
      name: readName(found.name),
      state: found.state ?? found.status ?? (found.wanted ? "does not exist yet" : ""),
      count: count === undefined ? null : Number(count),
      target: target === undefined ? null : Number(target),
    });
  }
  return parts.length ? parts : null;
}

function readName(literal) {
  const inner = literal.at(-1) === literal[0] ? literal.slice(1, -1) : literal.slice(1);
  return inner.replace(/\\([\\'"])/g, "$1");
}

/** What one task's log has said so far. */
class Wait {
  constructor() {
    this.series = []; // for each thing that is waited for: its latest state, and its points
    this.token = "";
    this.seen = new Set();
    this.deadline = this.failure = null;
    this.interval = 60;
  }

  read(entries) {
    for (const { event, timestamp } of entries) {
      const time = Date.parse(timestamp);
      const key = `${timestamp} ${event}`;
      if (typeof event !== "string" || Number.isNaN(time) || this.seen.has(key)) continue;
      this.seen.add(key);
      this.readLine(event, time);
    }
  }

  readLine(line, time) {
    const beginning = BEGINNING.exec(line);
    const parts = beginning ? null : parseProgress(line);
    if (beginning) {
      this.interval = Number(beginning[1]) * UNIT[beginning[2]];
      this.deadline = beginning[3] ? Date.parse(`${beginning[3]}T${beginning[4]}Z`) : null;
    } else if (line.startsWith("This look failed, the wait goes on")) {
      this.failure ??= { time, line: line.slice(line.indexOf(": ") + 2) };
    } else if (line.startsWith("Prolific can be read again")) {
      this.failure = null;
    } else if (parts) {
      this.failure = null;
      parts.forEach((part, index) => {
        const points = this.series[index]?.points ?? [];
        if (part.count !== null) points.push({ time, count: part.count });
        this.series[index] = { ...part, points: points.sort((a, b) => a.time - b.time) };
      });
    }
  }
}

// ---- What follows from it -------------------------------------------------------------------------------------

/** Return the state of one thing that is waited for: when it grew, when it will be full, what needs attention. */
function judge(wait, series, now) {
  const { points, count, target } = series;
  const isReached = count !== null && target !== null && count >= target;
  const began = points[0]?.time ?? now;
  let grew = null;
  for (let i = 1; i < points.length; i++) if (points[i].count > points[i - 1].count) grew = points[i].time;
  const watched = now - began;
  const still = now - (grew ?? began);
  const patience = Math.max(watched / 4, STALLED_LOOKS * wait.interval * 1000);
  const isStalled = points.length > 0 && !isReached && still >= patience;
  // The present rate is that of the last third of the wait.
  const span = Math.min(watched, Math.max(watched / 3, STALLED_LOOKS * wait.interval * 1000));
  const before = points.findLast((point) => point.time <= now - span) ?? points[0];
  const grown = before ? count - before.count : 0;
  const full = isReached || isStalled || target === null || grown <= 0 ? null : now + ((target - count) / grown) * span;
  const isLate = full !== null && wait.deadline !== null && full > wait.deadline;
  return { isReached, isStalled, isLate, isFailing: wait.failure !== null, began, grew, full };
}

/** Compare for sorting: first what fails or stalls, then what will be full last. */
function compare(a, b) {
  const rank = ({ state }) => (state.isFailing || state.isStalled ? 0 : state.isReached ? 2 : 1);
  const end = ({ state }) => (rank({ state }) === 0 ? -(state.grew ?? state.began) : (state.full ?? Infinity));
  return rank(a) - rank(b) || (end(a) === end(b) ? a.order - b.order : end(b) - end(a));
}

function duration(milliseconds) {
  const seconds = Math.max(milliseconds / 1000, 0);
  if (seconds < 60) return `${Math.max(Math.round(seconds), 1)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

/** Return a time for people, in the time zone that they have chosen in Airflow. */
function moment(time) {
  let timeZone;
  try {
    timeZone = JSON.parse(localStorage.getItem("timezone")) ?? undefined;
    new Intl.DateTimeFormat([], { timeZone });
  } catch {
    timeZone = undefined; // the browser's own
  }
  const say = (when, options) => new Date(when).toLocaleString([], { timeZone, ...options });
  const [clock, day, year] = [{ hour: "numeric", minute: "2-digit" }, { month: "short", day: "numeric" }, { year: "numeric" }];
  if (say(time, { ...day, ...year }) === say(Date.now(), { ...day, ...year })) return say(time, clock);
  return say(time, { ...day, ...(say(time, year) === say(Date.now(), year) ? clock : year) });
}

// ---- What is shown: text nodes and attributes only, so nothing from a log is ever read as markup -----------------

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function chart(series, now) {
  const namespace = "http://www.w3.org/2000/svg";
  const draw = (name, attributes) => {
    const node = document.createElementNS(namespace, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const { points, target, name } = series;
  if (!points.length || target === null) return "";
  const [first, last] = [points[0], points.at(-1)];
  const said = `${name}: ${first.count} at ${moment(first.time)}, ${last.count} at ${moment(last.time)}, target ${target}`;
  const svg = draw("svg", { viewBox: "0 0 240 48", preserveAspectRatio: "none", role: "img", "aria-label": said });
  const counts = points.map((point) => point.count);
  const [low, high] = [Math.min(...counts, target - 1), Math.max(...counts, target)];
  const x = (time) => ((240 * (time - first.time)) / Math.max(now - first.time, 1)).toFixed(1);
  const y = (count) => (44 - (40 * (count - low)) / (high - low)).toFixed(1);
  const step = Math.ceil(points.length / 240);
  const shown = points.filter((_, index) => index % step === 0 || index === points.length - 1);
  const line = [...shown, { time: now, count: last.count }].map((point) => `${x(point.time)} ${y(point.count)}`).join("L");
  svg.append(
    draw("path", { class: "area", d: `M0 48L${line}L240 48Z` }),
    draw("line", { class: "goal", x1: 0, x2: 240, y1: y(target), y2: y(target) }),
    draw("path", { class: "curve", d: `M${line}` }),
  );
  return svg;
}

function taskLink(task) {
  const parts = ["dags", task.dag_id, "runs", task.dag_run_id, "tasks", task.task_id];
  if (task.map_index >= 0) parts.push("mapped", task.map_index);
  const link = element("a", { href: ROOT.pathname + parts.map(encodeURIComponent).join("/") });
  link.textContent = task.task_display_name ?? task.task_id;
  link.addEventListener("click", (click) => {
    if (parent === window) return;
    // Airflow shows this page in a frame, which must not open other pages itself: the outer page opens the link.
    click.preventDefault();
    const outer = parent.document.createElement("a");
    outer.href = link.href;
    outer.dispatchEvent(new MouseEvent("click", click));
  });
  return link;
}

function fillRow(row, { task, series, state, wait }, now) {
  const dash = () => element("span", { title: "not known" }, "–");
  const cells = row.children;
  row.className = state.isStalled || state.isFailing ? "alarm" : "";
  const kind = series?.kind === "study" ? "study" : "participant group";
  cells[1].replaceChildren(...(series ? [series.name, element("small", {}, series.state ? `${kind}, ${series.state}` : kind)] : [dash()]));
  if (series?.count != null && series.target !== null) {
    const percent = Math.floor((100 * series.count) / series.target);
    const bar = element("progress", { max: series.target, value: Math.min(series.count, series.target), "aria-label": "reached" });
    cells[2].replaceChildren(
      element("b", {}, series.count.toLocaleString()), ` of ${series.target.toLocaleString()}`, element("span", { class: "percent" }, `${percent}%`), bar,
    );
  } else {
    cells[2].replaceChildren(series?.target ? `none of ${series.target.toLocaleString()}` : dash());
  }
  cells[3].replaceChildren(series ? chart(series, now) : "");
  cells[4].replaceChildren(
    ...(state.isReached ? ["reached"]
      : state.full === null ? [dash()]
      : [`in ${duration(state.full - now)}`, element("small", {}, moment(state.full))]),
    ...(state.isLate ? [element("small", { class: "warning" }, "after the time-out")] : []),
  );
  const since = state.grew ?? state.began;
  cells[5].replaceChildren(
    ...(state.isFailing ? [element("span", { class: "warning", title: wait.failure.line }, "Looks fail"), element("small", {}, `for ${duration(now - wait.failure.time)}: ${wait.failure.line.slice(0, 80)}`)]
      : state.isStalled ? [element("span", { class: "warning" }, `No growth for ${duration(now - since)}`), element("small", {}, `since ${moment(since)}`)]
      : state.grew ? [`${duration(now - since)} ago`] : [dash()]),
  );
  cells[6].replaceChildren(...(wait.deadline ? [`in ${duration(wait.deadline - now)}`, element("small", {}, moment(wait.deadline))] : [dash()]));
}

function makeRow(task) {
  const row = element("tr", { role: "row" });
  const labels = { task: null, subject: null, count: null, chart: null, full: "Forecast", growth: "Grew last", end: "Times out" };
  for (const [name, label] of Object.entries(labels)) {
    row.append(element("td", label ? { role: "cell", class: name, "data-label": label } : { role: "cell", class: name }));
  }
  const mapped = task.map_index < 0 ? "" : ` [${task.rendered_map_index ?? task.map_index}]`;
  row.firstChild.append(taskLink(task), element("span", { class: "label" }, mapped), element("small", {}, task.dag_display_name ?? task.dag_id));
  return row;
}

const $ = (selector) => document.querySelector(selector);
const setText = (selector, text) => {
  if ($(selector).textContent !== text) $(selector).textContent = text;
};
const waits = new Map(); // by task and try
const rows = new Map(); // by task, try and thing that is waited for
let page = 0;
let canContinue = true; // whether Airflow can continue to read a log where it stopped
let isRefreshing = false;
let isStale = false; // the user has turned the page in the meantime
let timer = null;

function show(tasks, total) {
  const now = Date.now();
  const entries = tasks.flatMap((task, order) => {
    const wait = waits.get(task.key);
    if (!wait.isRead) return [];
    return (wait.series.length ? wait.series : [null]).map((series, index) => ({
      task, wait, series, order, key: `${task.key} ${index}`,
      state: judge(wait, series ?? { points: [], count: null, target: null }, now),
    }));
  });
  entries.sort(compare);
  const focused = document.activeElement;
  const shown = entries.map((entry) => {
    if (!rows.has(entry.key)) rows.set(entry.key, makeRow(entry.task));
    fillRow(rows.get(entry.key), entry, now);
    return rows.get(entry.key);
  });
  if (shown.some((row, index) => row !== $("tbody").children[index]) || shown.length !== $("tbody").children.length) {
    $("tbody").replaceChildren(...shown);
    if (focused?.isConnected && focused !== document.activeElement) focused.focus();
  }
  const alarms = entries.filter(({ state }) => state.isStalled || state.isFailing).length;
  const attention = alarms ? `, ${alarms} ${alarms === 1 ? "needs" : "need"} attention` : "";
  setText("#summary", total ? `${total} ${total === 1 ? "task waits" : "tasks wait"}${attention}` : "");
  $("table").hidden = !total;
  $("#nothing").hidden = total > 0;
  $("nav").hidden = total <= PAGE_SIZE;
  setText("#range", `${page * PAGE_SIZE + 1} to ${page * PAGE_SIZE + tasks.length} of ${total}, the longest waiting first`);
  $("#previous").disabled = page === 0;
  $("#next").disabled = (page + 1) * PAGE_SIZE >= total;
}

// ---- Where it comes from: Airflow's REST API, as the user who is signed in ---------------------------------------

async function ask(path, query) {
  const url = new URL(`api/v2/${path}`, ROOT);
  for (const [name, value] of query) url.searchParams.append(name, value);
  const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" } });
  if (answer.ok) return answer.json();
  const causes = { 401: "you are signed out: reload Airflow's page", 403: "you may not see tasks" };
  throw Object.assign(new Error(causes[answer.status] ?? `Airflow answered ${answer.status}`), { status: answer.status });
}

async function readLog(task) {
  const wait = waits.get(task.key);
  const path = ["dags", task.dag_id, "dagRuns", task.dag_run_id, "taskInstances", task.task_id, "logs", task.try_number];
  const query = [["map_index", task.map_index], ["full_content", "false"]];
  const isContinued = wait.token && canContinue;
  if (isContinued) query.push(["token", wait.token]); // only new lines
  try {
    const log = await ask(path.map(encodeURIComponent).join("/"), query);
    wait.read(Array.isArray(log.content) ? log.content : []);
    wait.token = log.continuation_token ?? "";
    wait.isRead = true;
  } catch (error) {
    if (error.status === 500 && isContinued) {
      canContinue = false; // Airflow 3.2 fails on its own tokens
      await readLog(task);
    } else if (![403, 404].includes(error.status)) {
      throw error;
    } else {
      wait.isRead = error.status === 404; // what the user may not read is not shown
    }
  }
}

async function refresh() {
  isStale = isRefreshing;
  if (isRefreshing) return;
  isRefreshing = true;
  clearTimeout(timer);
  const began = performance.now();
  try {
    const query = [...WAITING.map((state) => ["state", state]), ...SENSORS.map((name) => ["operator", name])];
    query.push(["order_by", "start_date"], ["limit", PAGE_SIZE], ["offset", page * PAGE_SIZE]);
    const found = await ask("dags/~/dagRuns/~/taskInstances", query);
    const tasks = found.task_instances;
    const total = found.total_entries;
    if (!tasks.length && page > 0) page -= 1;
    for (const task of tasks) {
      task.key = `${task.id} ${task.try_number}`;
      if (!waits.has(task.key)) waits.set(task.key, new Wait());
    }
    const keys = new Set(tasks.map((task) => task.key));
    for (const key of waits.keys()) if (!keys.has(key)) waits.delete(key);
    for (const key of rows.keys()) if (!keys.has(key.slice(0, key.lastIndexOf(" ")))) rows.delete(key);
    const queue = [...tasks];
    const work = async () => {
      for (let task; (task = queue.shift()); ) {
        const isNew = !waits.get(task.key).isRead;
        await readLog(task);
        if (isNew && !isStale) show(tasks, total);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    if (!isStale) show(tasks, total);
    setText("#updated", `As of ${new Date().toLocaleTimeString()}`);
    $("#problem").hidden = true;
  } catch (error) {
    setText("#problem", `Cannot read the tasks at the moment: ${error.message}`);
    $("#problem").hidden = false;
  }
  isRefreshing = false;
  if (isStale) return refresh();
  const [shortest, longest] = REFRESH_SECONDS;
  const pause = Math.min(Math.max((5 * (performance.now() - began)) / 1000, shortest), longest);
  timer = setTimeout(() => document.hidden || refresh(), pause * 1000);
}

function turn(step) {
  page += step;
  $("tbody").replaceChildren();
  scrollTo(0, 0);
  refresh();
}

function followTheme() {
  let outer = null;
  try {
    outer = parent === window ? null : parent.document.documentElement;
  } catch {
    // the page is in another site's frame, which its policy forbids
  }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const isDark = outer ? outer.classList.contains("dark") : system.matches;
    document.documentElement.classList.toggle("dark", isDark);
  };
  if (outer) new MutationObserver(apply).observe(outer, { attributeFilter: ["class"] });
  system.addEventListener("change", apply);
  apply();
}

followTheme();
$("#previous").addEventListener("click", () => turn(-1));
$("#next").addEventListener("click", () => turn(1));
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();

// The sandbox for people. It only reads and writes the control area, and shows
// all it gets as text: names and messages come from strangers.
'use strict';

const byID = (id) => document.getElementById(id);
const shown = 100; // rows of a list
const kept = 300; // entries of the traffic

let token = '';
try { token = sessionStorage.getItem('sandbox-token') ?? ''; } catch { /* storage may be forbidden; the token then lasts as long as the page */ }
let names = new Map(); // of users, by id
let lastEntry = 0;
let paused = false;

/** Asks the control area. What it refuses is an Error with a status. */
async function ask(method, path, body) {
  const headers = {};
  if (token) headers['X-Sandbox-Token'] = token;
  if (body) headers['Content-Type'] = 'application/json';
  const response = await fetch('/_sandbox/' + path, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(15000) });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer.error ?? `the sandbox answered ${response.status}`), { status: response.status });
  return answer;
}

/** Makes an element; children are elements or text. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child != null && child !== ''));
  return element;
}

const two = (n) => String(n).padStart(2, '0');
function time(text) {
  const at = new Date(text);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
function dated(text, now) {
  const at = new Date(text);
  const day = at.toDateString() === now.toDateString() ? '' : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  return day + time(text);
}
const who = (id) => id ? names.get(id) ?? String(id) : 'nobody';

/** Replaces the rows of a table, newest first. A cell is an element, [text] when it must not wrap, or text of any length. */
function fill(id, rows) {
  const labels = [...byID(id).parentElement.querySelectorAll('th')].map((th) => th.textContent);
  byID(id).replaceChildren(...rows.reverse().map((cells) => make('tr', '', ...cells.map((cell, i) => {
    const td = Array.isArray(cell) ? make('td', 'fixed', cell[0]) : make('td', typeof cell === 'string' ? 'free' : '', cell);
    if (labels[i] && td.hasChildNodes()) td.dataset.label = labels[i]; // a phone shows rows as lists
    return td;
  }))));
}

const kinds = { 1: 'broadcast', 2: 'group', 3: 'private', 4: 'public' };

function showState(state) {
  const now = new Date(state.clock.now);
  byID('now').textContent = dated(state.clock.now, new Date()) + (state.clock.ahead === '0s' ? ', real time' : `, ${state.clock.ahead} ahead`);
  names = new Map(state.users.map((u) => [u.id, u.full_name ?? u.login ?? u.email ?? String(u.id)]));
  const counts = { users: state.totals.users, sessions: state.sessions, sockets: state.totals.sockets, dialogs: state.totals.dialogs, messages: state.totals.messages };
  for (const [what, n] of Object.entries(counts)) byID('n-' + what).textContent = n;
  const dialogNames = new Map(state.dialogs.map((d) => [d.id, d.name ?? d.occupants_ids.map(who).join(', ')]));
  fill('users', state.users.map((u) => [[String(u.id)], u.full_name, [u.login], [u.email], u.external_id]));
  fill('sessions', state.live_sessions.map((s) => [s.user_id ? who(s.user_id) + (s.guest ? ' (guest)' : '') : 'the application', [dated(s.used_at, now)], [dated(s.expires_at, now)]]));
  fill('sockets', state.sockets.map((s) => [who(s.user_id), [time(s.since)],
    s.waiting ? 'lost, may resume' : [s.available ? 'online' : 'silent', s.managed ? 'managed' : '', s.queued ? `${s.queued} queued` : ''].filter(Boolean).join(', '), s.user_id ? cutter(s.user_id) : '']));
  fill('dialogs', state.dialogs.map((d) => [[kinds[d.type]], dialogNames.get(d.id), [String(d.occupants_count)], [String(d.messages_count)], [dated(d.updated_at, now)]]));
  fill('messages', state.messages.map((m) => [[dated(m.sent_at, now)], who(m.sender_id), dialogNames.get(m.dialog_id) ?? m.dialog_id,
    m.message + (m.attachments_count ? ` [${m.attachments_count} attached]` : ''), [m.status]]));
}

function cutter(user) {
  const button = make('button', '', 'Cut');
  button.type = 'button';
  button.addEventListener('click', () => act(() => ask('POST', 'drop', { user })));
  return button;
}

function showFaults({ faults }) {
  byID('faults').replaceChildren(...faults.map((f) => {
    const words = [f.on ?? 'rest', f.kind, f.status || '', f.method, f.path, f.stanza, f.user ? 'of ' + who(f.user) : '',
      f.delay_ms ? f.delay_ms + ' ms' : '', f.probability ? Math.round(f.probability * 100) + ' %' : '', f.times ? `${f.times} more` : 'until cleared'];
    return make('li', '', words.filter(Boolean).join(' · '));
  }));
}

function entry(e) {
  const mood = e.on === 'chat' ? '' : !e.status || e.status >= 500 ? 'bad' : e.status >= 400 ? 'warm' : 'good';
  const head = e.on === 'chat' ? `chat ${{ in: '←', out: '→' }[e.direction] ?? '✕'}` : `${e.method} ${e.status || '✕'}`;
  const what = e.on === 'chat' ? e.stanza : e.path;
  const tail = [e.fault, e.on === 'chat' ? who(e.user_id) : `${e.took_ms ?? 0} ms`].filter(Boolean).join(' · ');
  const texts = [e.on === 'rest' && e.headers, e.request && 'request   ' + e.request, e.response && 'response  ' + e.response, e.stanza].filter(Boolean);
  const details = make('details', '',
    make('summary', '', make('span', 'quiet', time(e.at)), make('span', mood, head), make('span', 'what', what), make('span', e.fault ? 'warm' : 'quiet', tail)),
    make('pre', '', texts.join('\n') || 'no body'));
  const item = make('li', '', details);
  item.dataset.on = e.on;
  item.hidden = !byID('show-' + e.on).checked;
  return item;
}

function showTraffic({ entries }) {
  const list = byID('traffic');
  for (const e of entries) {
    list.prepend(entry(e));
    lastEntry = e.id;
  }
  while (list.children.length > kept) list.lastElementChild.remove();
  byID('no-traffic').hidden = list.children.length > 0;
}

function trouble(error) {
  byID('trouble').hidden = !error;
  byID('trouble').textContent = error ? error.message : '';
}

/** Shows everything anew. */
async function refresh() {
  try {
    const [state, faults, journal] = await Promise.all([
      ask('GET', `state?limit=${shown}`), ask('GET', 'faults'),
      paused ? { entries: [] } : ask('GET', `journal?after=${lastEntry}`)]);
    byID('door').hidden = true;
    byID('room').hidden = false;
    showState(state);
    showFaults(faults);
    showTraffic(journal);
    trouble();
  } catch (error) {
    if (error.status === 403) {
      byID('room').hidden = true;
      byID('door').hidden = false;
      trouble(token && new Error('The sandbox did not accept the token.'));
    } else {
      trouble(new Error(`The sandbox cannot be reached: ${error.message}`));
    }
  }
}

/** Does something, says what went wrong, and shows what became of it. */
async function act(what) {
  try {
    await what();
    await refresh();
  } catch (error) {
    trouble(error);
  }
}

const presets = {
  down: () => ask('POST', 'faults', { kind: 'status', status: 503 }),
  slow: () => ask('POST', 'faults', { kind: 'slow', delay_ms: 3000 }),
  flaky: () => ask('POST', 'faults', { kind: 'status', status: 500, probability: 0.33, seed: 1 }),
  twice: () => ask('POST', 'faults', { on: 'chat', kind: 'duplicate', stanza: 'message' }),
  drop: () => ask('POST', 'drop', { user: 0 }),
};

for (const button of document.querySelectorAll('[data-advance]')) {
  button.addEventListener('click', () => act(() => ask('POST', 'clock', { advance: button.dataset.advance })));
}
for (const button of document.querySelectorAll('[data-fault]')) {
  button.addEventListener('click', () => act(presets[button.dataset.fault]));
}
byID('heal').addEventListener('click', () => act(() => ask('DELETE', 'faults')));
byID('reset').addEventListener('click', () => byID('sure').showModal());
byID('reset-no').addEventListener('click', () => byID('sure').close());
byID('reset-yes').addEventListener('click', () => {
  byID('sure').close();
  byID('traffic').replaceChildren();
  act(() => ask('POST', 'reset'));
});
byID('pause').addEventListener('click', () => {
  paused = !paused;
  byID('pause').setAttribute('aria-pressed', paused);
  byID('pause').textContent = paused ? 'Go on' : 'Pause';
});
byID('forget').addEventListener('click', () => {
  byID('traffic').replaceChildren();
  act(() => ask('DELETE', 'journal'));
});
for (const on of ['rest', 'chat']) {
  byID('show-' + on).addEventListener('change', (event) => {
    for (const item of byID('traffic').children) if (item.dataset.on === on) item.hidden = !event.target.checked;
  });
}
byID('door').addEventListener('submit', (event) => {
  event.preventDefault();
  token = byID('token').value;
  byID('token').value = '';
  try { sessionStorage.setItem('sandbox-token', token); } catch { /* see above */ }
  refresh();
});

// One question after the other, and none while nobody looks.
async function watch() {
  if (!document.hidden && byID('door').hidden) await refresh();
  setTimeout(watch, 1500);
}
watch();

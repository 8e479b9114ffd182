// The playground in a real browser: what a newcomer does first, by clicking.
//
// Needs a running cubegate (CUBEGATE_URL, default http://127.0.0.1:3000) and
// Chromium (CHROMIUM, default /usr/bin/chromium). Leaves screenshots in e2e/out.
// The tests are one story in one page, so they run in order.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { launch } from './chromium.mjs';

const server = new URL(process.env.CUBEGATE_URL ?? 'http://127.0.0.1:3000');
const address = new URL('/api', server).href;
const out = fileURLToPath(new URL('../out/', import.meta.url));

const patience = 20_000; // ms, for one answer: registering hashes a password on a busy machine
const desktop = { width: 1280, height: 800 };
const phone = { width: 390, height: 844 };

const unique = randomBytes(6).toString('hex');
const account = { email: `grace-${unique}@example.org`, password: `typed-${unique}` };

let browser;
let page;
let seen; // what page did, as watch records it

before(async () => {
  await mkdir(out, { recursive: true });
  browser = await launch(`EXCLUDE ${server.hostname}`);
  ({ page, seen } = await open({ viewport: desktop }));
});

after(() => browser?.close());

test('the page opens with a tab for each operation', async () => {
  const tabs = await page.locator('.graphiql-tab-button').allInnerTexts();
  assert.deepEqual(tabs, ['hello', 'register', 'login', 'login_By_token']);
  assert.ok(await page.getByRole('heading', { name: 'cubegate playground' }).isVisible());
  assert.match((await run(page, 'hello')).hello, /\w/);
});

test('the schema is there for documentation', async () => {
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  const docs = page.locator('.graphiql-doc-explorer');
  await docs.getByText('Mutation', { exact: true }).click();
  await docs.getByText('login_By_token').first().waitFor();
  await docs.getByRole('combobox').fill('password');
  await docs.getByRole('option', { name: 'LoginUserDto.password' }).click();
  await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();
});

test('each example has variables that fit it', async () => {
  for (const name of ['register', 'login', 'login_By_token']) {
    await tab(page, name);
    const { body } = JSON.parse(await text(page, variables));
    assert.match(body.email, /@/, name);
    assert.match(body.password, /./, name);
  }
});

test('register, login and login_By_token work one after the other', async () => {
  const registered = await run(page, 'register', { ...account, firstName: 'Grace', lastName: 'Hopper' });
  assert.equal(registered.register.user.email, account.email);
  assert.equal(registered.register.user.firstName, 'Grace');

  for (const name of ['login', 'login_By_token']) {
    const { [name]: login } = await run(page, name, account);
    assert.equal(login.user.email, account.email, name);
    assert.equal(login.user.id, registered.register.user.id, name);
    assert.match(login.token, /^[\w-]+\.[\w-]+\.[\w-]+$/, name);
    assert.match(login.connectySession, /./, name);
    assert.equal(typeof login.ccUserId, 'number', name);
  }
  await page.screenshot({ path: out + 'playground.png' });
});

test('the header editor sends its headers', async () => {
  await tab(page, 'hello');
  await page.getByRole('button', { name: 'Headers', exact: true }).click();
  await type(page, headers, '{"X-Request-ID": "from-the-header-editor"}');
  const request = page.waitForRequest((r) => r.method() === 'POST');
  await run(page, 'hello');
  assert.equal((await request).headers()['x-request-id'], 'from-the-header-editor');
});

test('the editor completes, and marks mistakes', async () => {
  await select(page, 'hello');
  await type(page, query, 'query mistaken { hello nothing }');
  await page.locator(query + ' .CodeMirror-lint-mark-error').first().hover();
  await page.locator('.CodeMirror-lint-tooltip').getByText('Cannot query field').waitFor();
  await type(page, query, '{ ');
  await page.keyboard.press('Control+Space');
  await page.locator('.CodeMirror-hints').getByText('hello').first().waitFor();
  await page.keyboard.press('Escape');
});

test('dialogs and history open', async () => {
  for (const name of ['Open short keys dialog', 'Open settings dialog']) {
    await page.getByRole('button', { name }).click();
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  }
  await page.getByRole('button', { name: 'Show History' }).click();
  await page.getByRole('region', { name: 'History' }).getByText('register').first().waitFor();
  await page.getByRole('button', { name: 'Hide History' }).click();
});

// GraphiQL writes documents, variables and history to localStorage by itself,
// half a second after the last key.
test('no password is left in the browser', async () => {
  await page.waitForTimeout(1000);
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
  assert.equal(stored, '{}');

  await page.reload();
  await tab(page, 'register');
  assert.ok(!(await text(page, variables)).includes(account.password));
});

test('the chosen theme is kept', async () => {
  await page.getByRole('button', { name: 'Open settings dialog' }).click();
  await page.getByRole('button', { name: 'Dark', exact: true }).click();
  await page.reload();
  await page.locator('body.graphiql-dark').waitFor();
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage })), { 'graphiql:theme': 'dark' });
});

test('the page fits a phone', async () => {
  const { page, seen } = await open({ viewport: phone, hasTouch: true, isMobile: true });
  await run(page, 'hello');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), phone.width);
  for (const pane of ['.graphiql-editors', '.graphiql-response']) {
    const box = await page.locator(pane).boundingBox();
    assert.ok(box.width > 300 && box.height > 100, `${pane} is ${box.width} by ${box.height}`);
    assert.ok(box.y >= 0 && box.y + box.height <= phone.height, `${pane} is not on the screen`);
  }
  await page.screenshot({ path: out + 'playground-phone.png' });
  assertQuiet(seen);
  await page.context().close();
});

test('without JavaScript the page says what to do', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const bare = await context.newPage();
  await bare.goto(address);
  const notice = bare.locator('noscript p'); // by element: getByText passes over noscript
  assert.ok(await notice.isVisible());
  assert.match(await notice.innerText(), /needs JavaScript/);
  await context.close();
});

test('the watch notices what it watches for', async () => {
  const { page, seen } = await open({ viewport: desktop });
  await page.evaluate(async () => {
    document.head.append(Object.assign(document.createElement('style'), { textContent: 'p { color: red }' }));
    await fetch('https://elsewhere.example/').catch(() => {});
  });
  await page.waitForTimeout(200);
  assert.deepEqual(seen.violations.map((v) => v.split(' ')[0]), ['style-src-elem', 'connect-src']);
  assert.notEqual(seen.console.length, 0);
  await page.context().close();
});

test('nothing left the origin, nothing was blocked, nothing was said on the console', () => {
  assert.ok(seen.requests.length > 10);
  assertQuiet(seen);
});

const query = '.graphiql-query-editor';
const variables = '.graphiql-editor-tool .graphiql-editor:not(.hidden)';
const headers = variables; // the two share a place
const response = '.graphiql-response';

// open loads the playground in a browser profile of its own.
async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const seen = await watch(page);
  await page.goto(address);
  await page.locator(query + ' .CodeMirror').waitFor();
  return { page, seen };
}

// watch records all that a well-behaved page would not do, from its first line.
async function watch(page) {
  const seen = { requests: [], failures: [], console: [], violations: [] };
  page.context().on('request', (r) => seen.requests.push(r.url()));
  page.on('requestfailed', (r) => seen.failures.push(`${r.url()} ${r.failure()?.errorText}`));
  page.on('console', (m) => seen.console.push(`${m.type()}: ${m.text()}`));
  page.on('pageerror', (e) => seen.console.push(`uncaught: ${e}`));
  await page.exposeFunction('reportViolation', (v) => void seen.violations.push(v));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) =>
      window.reportViolation(`${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`),
    );
  });
  return seen;
}

// GraphiQL's dialogs make Radix, its library for them, say this in every build.
const known = /^warning: Warning: Missing `Description` or `aria-describedby=/;

function assertQuiet(seen) {
  assert.deepEqual(seen.requests.filter((url) => !url.startsWith('data:') && new URL(url).origin !== server.origin), []);
  assert.deepEqual(seen.violations, []);
  assert.deepEqual(seen.console.filter((line) => !known.test(line)), []);
  assert.deepEqual(seen.failures, []);
}

// select leaves the tab in front alone: choosing it again would bring back what
// it held half a second ago.
async function select(page, name) {
  if ((await page.locator('.graphiql-tab-active').innerText()) === name) return;
  await page.getByRole('tablist').getByRole('button', { name, exact: true }).click();
}

// tab brings a tab to the front, with its variables in view.
async function tab(page, name) {
  await select(page, name);
  await page.getByRole('button', { name: 'Variables', exact: true }).click();
}

// run executes a tab, with other variables if given, and returns the data shown.
async function run(page, name, body) {
  await select(page, name);
  if (body) {
    await tab(page, name);
    await type(page, variables, JSON.stringify({ body }, null, 2));
  }
  const answered = page.waitForResponse((r) => r.request().method() === 'POST');
  await page.getByRole('button', { name: /^Execute query/ }).click();
  await answered;
  await page.locator('.graphiql-spinner').waitFor({ state: 'detached' });
  const shown = JSON.parse(await text(page, response));
  assert.equal(shown.errors, undefined, `${name}: ${JSON.stringify(shown.errors)}`);
  return shown.data;
}

// text returns what an editor shows.
async function text(page, editor) {
  await page.locator(`${editor} .CodeMirror-line`).first().waitFor();
  const lines = await page.locator(`${editor} .CodeMirror-line`).allInnerTexts();
  return lines.join('\n').replace(/[\u00a0\u200b]/g, ' ');
}

// type replaces what an editor holds, as pasting over it would.
async function type(page, editor, content) {
  await page.locator(`${editor} .CodeMirror`).click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(content);
}

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
import { sandbox } from '../cubegate.mjs';
import { becomes, until } from '../waiting.mjs';
import { assertQuiet, atRest, watch } from './watch.mjs';

const server = new URL(process.env.CUBEGATE_URL ?? 'http://127.0.0.1:3000');
const address = new URL('/api', server).href;
const out = fileURLToPath(new URL('../out/', import.meta.url));

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
  await becomes(() => page.locator('.graphiql-tab-button').allInnerTexts(), ['hello', 'register', 'login', 'login_By_token', 'me', 'sessions', 'refresh', 'changePassword', 'users']);
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

test('after a login the other tabs have its token', async () => {
  const { login } = await run(page, 'login', account);
  assert.equal(await bearer('me'), login.token);
  assert.equal((await run(page, 'me')).me.email, account.email);
  assert.ok((await run(page, 'sessions')).sessions.some(({ current }) => current));
  const { errors } = await answer(page, 'users');
  assert.equal(errors[0].extensions.code, 'FORBIDDEN'); // known, and no administrator

  const { refresh } = await run(page, 'refresh');
  assert.equal(refresh.user.email, account.email);
  assert.equal(await bearer('sessions'), refresh.token);
  const { refresh: again } = await run(page, 'refresh'); // its own variables have the new token
  assert.notEqual(again.refreshToken, refresh.refreshToken);
  assert.equal(await bearer('me'), again.token);
});

test('a tab that is opened after a login has its token, too', async () => {
  const { page, seen } = await open({ viewport: desktop });
  await run(page, 'login', account);
  await page.getByRole('button', { name: 'New tab' }).click();
  await type(page, query, 'query mine { me { email } }');
  await page.locator('.graphiql-tab-active', { hasText: 'mine' }).waitFor();
  assert.equal((await run(page, 'mine')).me.email, account.email);
  assertQuiet(seen, server);
  await page.context().close();
});

test('after a registration the other tabs have its token', async () => {
  const { register } = await run(page, 'register', { ...account, email: `other-${account.email}`, firstName: 'G', lastName: 'H' });
  assert.equal(await bearer('me'), register.token);
  assert.equal((await run(page, 'me')).me.email, `other-${account.email}`);
});

test('the password of the example can be changed', async () => {
  const { page, seen } = await open({ viewport: desktop });
  await run(page, 'register');
  const email = async () => {
    await tab(page, 'register');
    return JSON.parse(await text(page, variables)).body.email;
  };
  const first = await email();
  assert.match((await run(page, 'changePassword')).changePassword.message, /changed/);
  for (const name of ['login', 'login_By_token']) assert.equal((await run(page, name))[name].user.email, first); // they have the new password
  await page.reload();
  assert.notEqual(await email(), first); // its password is known no more
  assertQuiet(seen, server);
  await page.context().close();
});

test('a server that does not answer is said in plain words', async () => {
  const { page } = await open({ viewport: desktop });
  await page.context().setOffline(true);
  await page.getByRole('button', { name: /^Execute query/ }).click();
  await page.locator(response).getByText('No answer of the API').waitFor();
  assert.deepEqual(Object.keys(JSON.parse(await text(page, response)).errors[0]), ['message']); // and no stack
  await page.context().close();
});

test('the page leads to the reference and the dashboard', async () => {
  const links = page.getByRole('navigation', { name: 'Pages' });
  assert.equal(await links.getByRole('link', { name: 'API reference' }).evaluate((a) => a.href), new URL('/docs', server).href);
  assert.equal(await links.getByRole('link', { name: 'Dashboard' }).evaluate((a) => a.href), `${sandbox}/`);
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

test('the Tab key leaves each editor', async () => {
  const { page } = await open({ viewport: desktop });
  await tab(page, 'login');
  const before = [await text(page, query), await text(page, variables)];
  await page.locator(query + ' textarea').focus();
  for (const next of ['.graphiql-execute-button', variables, response]) {
    const isThere = () => page.evaluate((selector) => document.activeElement.closest(selector) !== null, next);
    for (let n = 0; n < 12 && !(await isThere()); n++) await page.keyboard.press('Tab');
    assert.ok(await isThere(), next);
  }
  assert.deepEqual([await text(page, query), await text(page, variables)], before);
  await page.context().close();
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
  await tab(page, 'login');
  await type(page, variables, JSON.stringify({ body: account }));
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1000))); // in the page, whose timers run in their order
  const stored = await page.evaluate(() => [JSON.stringify({ ...localStorage }), Object.keys(sessionStorage), document.cookie]);
  assert.deepEqual(stored, ['{}', ['playground:email'], '']);

  await page.reload();
  await tab(page, 'register');
  assert.ok(!(await text(page, variables)).includes(account.password));
});

test('the email of the examples is the same after a reload, and another in another tab', async () => {
  const email = async (page) => {
    await tab(page, 'register');
    return JSON.parse(await text(page, variables)).body.email;
  };
  const first = await email(page);
  await page.reload();
  assert.equal(await email(page), first);
  const other = await open({ viewport: desktop });
  assert.notEqual(await email(other.page), first);
  await other.page.context().close();
});

test('the chosen theme is kept', async () => {
  await page.getByRole('button', { name: 'Open settings dialog' }).click();
  await page.getByRole('button', { name: 'Dark', exact: true }).click();
  await page.locator('body.graphiql-dark').waitFor();
  await page.reload();
  await page.locator('body.graphiql-dark').waitFor();
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage })), { 'graphiql:theme': 'dark' });
});

test('the page fits a phone', async () => {
  const { page, seen } = await open({ viewport: phone, hasTouch: true, isMobile: true });
  await run(page, 'hello');
  await atRest(page);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), phone.width);
  for (const pane of ['.graphiql-editors', '.graphiql-response']) {
    const box = await page.locator(pane).boundingBox();
    assert.ok(box.width > 300 && box.height > 100, `${pane} is ${box.width} by ${box.height}`);
    assert.ok(box.y >= 0 && box.y + box.height <= phone.height, `${pane} is not on the screen`);
  }
  await page.screenshot({ path: out + 'playground-phone.png' });
  assertQuiet(seen, server);
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
  await until(() => seen.violations.length >= 2 && seen.console.length > 0, 'the watch notices'); // they arrive in their own time
  assert.deepEqual(seen.violations.map((v) => v.split(' ')[0]), ['style-src-elem', 'connect-src']);
  await page.context().close();
});

test('nothing left the origin, nothing was blocked, nothing was said on the console', () => {
  assert.ok(seen.requests.length > 10);
  assertQuiet(seen, server);
});

const query = '.graphiql-query-editor';
const variables = '.graphiql-editor-tool .graphiql-editor:not(.hidden)';
const headers = variables; // the two share a place
const response = '.graphiql-response';

// open loads the playground in a browser profile of its own.
async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const seen = await watch(page);
  const schema = page.waitForResponse((r) => r.request().method() === 'POST');
  await page.goto(address);
  await page.locator(query + ' .CodeMirror').waitFor();
  await (await schema).finished(); // so that the next answer is that of a tab
  return { page, seen };
}

// select leaves the tab in front alone: choosing it again would bring back what
// it held half a second ago.
async function select(page, name) {
  if ((await page.locator('.graphiql-tab-active').innerText()) === name) return;
  await page.getByRole('list', { name: 'Operations' }).getByRole('button', { name, exact: true }).click();
}

// tab brings a tab to the front, with its variables in view.
async function tab(page, name) {
  await select(page, name);
  await page.getByRole('button', { name: 'Variables', exact: true }).click();
}

// run executes a tab, with other variables if given, and returns the data shown.
async function run(page, name, body) {
  const shown = await answer(page, name, body);
  assert.equal(shown.errors, undefined, `${name}: ${JSON.stringify(shown.errors)}`);
  return shown.data;
}

// bearer returns the token in the headers of a tab.
async function bearer(name) {
  await select(page, name);
  await page.getByRole('button', { name: 'Headers', exact: true }).click();
  const { Authorization } = JSON.parse(await text(page, headers));
  return Authorization.replace(/^Bearer /, '');
}

// answer executes a tab, with other variables if given, and returns the reply shown.
async function answer(page, name, body) {
  await select(page, name);
  if (body) {
    await tab(page, name);
    await type(page, variables, JSON.stringify({ body }, null, 2));
  }
  const answered = page.waitForResponse((r) => r.request().method() === 'POST');
  await page.getByRole('button', { name: /^Execute query/ }).click();
  await answered;
  await page.locator('.graphiql-spinner').waitFor({ state: 'detached' });
  return JSON.parse(await text(page, response));
}

// text returns what an editor holds. It shows only the lines that are in view.
async function text(page, editor) {
  await page.locator(`${editor} .CodeMirror-line`).first().waitFor();
  return page.locator(`${editor} .CodeMirror`).evaluate((element) => element.CodeMirror.getValue());
}

// type replaces what an editor holds, as pasting over it would.
async function type(page, editor, content) {
  await page.locator(`${editor} .CodeMirror`).click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(content);
}

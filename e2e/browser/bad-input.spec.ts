// What is wrong is answered clearly, nothing typed is lost, and nothing internal is shown.

import { editProfile, fillRule, NOTHING_HERE, thread, value, write } from '../lib/acts.ts';
import { expect, Portal, test } from '../lib/test.ts';

test('a rule set in a form that became stale is refused and nothing is overwritten', async ({ page, another, portal, signIn }) => {
  const { login } = portal.withRole('policy_administrator');
  const [first, second] = [page, await another()];
  await signIn(first, login);
  await signIn(second, login);
  const rule = { attribute: 'Pronouns', unit: 'Finance', strength: 'Newer wins', why: 'The first of two' };
  const slower = await fillRule(first, { ...rule, strength: 'ERP is ignored', why: 'The second of two' });
  await (await fillRule(second, rule)).getByRole('button', { name: 'Set rule' }).click();
  await expect(second.getByRole('status')).toContainText('The rule is set');

  await slower.getByRole('button', { name: 'Set rule' }).click();
  await expect(first.getByRole('alert')).toContainText('Another version was set while you had this open.');
  await expect(first.getByLabel(/^Why/)).toHaveValue('The second of two');
  await expect(first.getByRole('radio', { name: 'ERP is ignored' })).toBeChecked();
  await expect(first.getByRole('row', { name: /Pronouns/ })).toContainText('Newer wins');
  await expect(first.getByRole('row', { name: /Pronouns/ })).toHaveCount(1);

  await second.getByRole('button', { name: 'Lift rule' }).click();
  await expect(second.getByRole('status')).toContainText('The rule is lifted.');
});

test('a profile with a wrong phone number comes back with what was typed', async ({ page, portal, signIn }) => {
  const { employee_id } = await signIn(page, 'yusuf.demir');
  await page.goto(`/people/${employee_id}`);
  const before = await value(page, 'Mobile').locator('dd.value').innerText();
  await editProfile(page, employee_id, { Mobile: '12', 'Job title': 'Warehouse and Yard Lead' });

  const mobile = page.getByLabel(/^Mobile/);
  await expect(mobile).toHaveAttribute('aria-invalid', 'true');
  await expect(mobile).toHaveValue('12');
  await expect(mobile).toHaveAccessibleDescription(/Write it as \+44 7700 900 418/);
  await expect(page.getByLabel(/^Job title/)).toHaveValue('Warehouse and Yard Lead');
  await page.goto(`/people/${employee_id}`);
  await expect(value(page, 'Mobile').locator('dd.value')).toHaveText(before);
  await expect(page.getByRole('main')).not.toContainText('Warehouse and Yard Lead');
});

test('a date that is none comes back with what was typed', async ({ page, portal, signIn }) => {
  const { employee_id } = await signIn(page, 'yusuf.demir');
  await page.goto(`/people/${employee_id}/edit`);
  const birth = page.getByLabel(/^Date of birth/);
  // A browser that knows no dates sends what it was given.
  await birth.evaluate((input: HTMLInputElement) => (input.type = 'text'));
  await birth.fill('31 February');
  await page.getByRole('button', { name: 'Save profile' }).click();

  await expect(birth).toHaveAttribute('aria-invalid', 'true');
  await expect(birth).toHaveAccessibleDescription('Not a date. Write it as 2019-05-13.');
});

test('a photo that is no picture is refused at its field', async ({ page, signIn }) => {
  const { employee_id } = await signIn(page, 'yusuf.demir');
  await page.goto(`/people/${employee_id}/edit`);
  await page
    .getByLabel('Picture')
    .setInputFiles({ name: 'me.png', mimeType: 'image/png', buffer: Buffer.from('not a picture, only called one') });
  await page.getByRole('button', { name: 'Use this picture' }).click();

  await expect(page.getByLabel('Picture')).toHaveAccessibleDescription(/Not of the right form: a JPEG, PNG, GIF or WebP/);
  await page.goto(`/people/${employee_id}`);
  await expect(page.getByRole('main').locator('img')).toHaveCount(0);
});

test('a message without words is not sent, and one that is too long keeps its words', async ({ another, portal, signIn }) => {
  // By the plain form, without the limits that a browser keeps to by itself.
  const page = await another({ javaScriptEnabled: false });
  await signIn(page, 'sara.lund');
  await page.goto(`/chat/new?with=${portal.member('grace.whitfield').employee_id}`);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Grace Whitfield');
  const before = await thread(page).locator('.msg').count();
  const box = page.getByRole('textbox', { name: 'Message' });
  const send = async (body: string) => {
    await box.evaluate((field: HTMLTextAreaElement) => ['required', 'maxlength'].forEach((limit) => field.removeAttribute(limit)));
    await write(page, body);
  };
  await send(' ');
  await expect(box).toHaveAccessibleDescription('Nothing is written here. Fill it in.');

  const long = 'x'.repeat(100_000);
  await send(long);
  await expect(box).toHaveAccessibleDescription(/of 8\D?000 allowed\. Make it shorter\./);
  expect(await box.inputValue()).toHaveLength(long.length);

  await page.reload();
  await expect(box).toHaveValue('');
  await expect(thread(page).locator('.msg')).toHaveCount(before);
});

test('a page that is not there reads like one that is not for the reader', async ({ page, portal, signIn }) => {
  await signIn(page, 'yusuf.demir');
  const nobody = '00000000-0000-7000-8000-000000000000';
  const { employee_id } = portal.member('grace.whitfield');
  const paths = [
    '/no-such-page',
    '/people/nobody',
    `/people/${nobody}`,
    `/people/${employee_id}/edit`,
    `/people/${employee_id}/delegate`,
    `/org?person=${nobody}`,
    `/chat/${nobody}`,
    `/reviews/${nobody}`,
    `/reviews/new?subject=${employee_id}`,
    '/console/rules',
    '/console/rules/history',
    '/console/source-order',
    '/console/oversight',
    '/console/oversight/history',
    '/console/sources',
    `/console/sources/${nobody}`,
    '/console/people',
    '/console/audit',
    '/invitations/no-such-invitation',
  ];
  const seen = new Set<string>();
  for (const path of paths) {
    const answer = await page.goto(path);
    expect(answer?.status(), path).toBe(404);
    seen.add(await page.getByRole('main').innerText());
  }
  expect([...seen]).toEqual([expect.stringContaining(NOTHING_HERE)]);
});

test('a form posted from another site does nothing', async ({ browser, portal, signIn }) => {
  // Not a context of the fixtures: it is meant to go elsewhere.
  const context = await browser.newContext({ baseURL: portal.url });
  const page = await context.newPage();
  const { employee_id } = await signIn(page, 'bogdan.ilie');
  const trap = (method: string, path: string) =>
    `<form method="${method}" action="${portal.url}${path}"><input name="nickName" value="Trapped"><button>Win</button></form>`;
  await context.route('http://elsewhere.example/**', (route) =>
    route.fulfill({ contentType: 'text/html', body: trap('post', `/people/${employee_id}/edit`) }),
  );
  await page.goto('http://elsewhere.example/');
  const answered = page.waitForResponse((response) => response.url().startsWith(portal.url));
  await page.getByRole('button', { name: 'Win' }).click();
  expect((await answered).status()).toBe(403);
  await expect(page.getByRole('main')).toContainText('This form came from another site, so nothing was done.');

  await page.goto(`/people/${employee_id}`);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Bogdan Ilie');
  await expect(page.getByRole('main')).not.toContainText('Trapped');
  await context.close();
});

test('guessing passwords is slowed down, for one account and not for ever', async ({ browser }) => {
  // The address is slowed down as well, so nobody else is to sign in here.
  const portal = await Portal.open();
  try {
    const page = await browser.newPage({ baseURL: portal.url });
    const attempt = async (login: string, password: string) => {
      await page.goto('/sign-in');
      await page.locator('input[name="login"]').fill(login);
      await page.locator('input[name="password"]').fill(password);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    };
    const wait = page.getByText(/Too many attempts\. Try again in \d+ seconds?\./);
    for (let guess = 0; guess < 12 && !(await wait.isVisible()); guess += 1) {
      await attempt('grace.whitfield', `guess ${guess}`);
      await expect(page.locator('input[name="password"]')).toHaveAttribute('aria-invalid', 'true');
    }
    await expect(wait).toBeVisible();

    const noah = portal.member('noah.petersen');
    await attempt(noah.login, noah.password);
    await expect(page).toHaveURL(`${portal.url}/`);
    await page.context().clearCookies();

    const grace = portal.member('grace.whitfield');
    await expect(async () => {
      await attempt(grace.login, grace.password);
      await expect(page).toHaveURL(`${portal.url}/`, { timeout: 1_000 });
    }).toPass();
    await page.context().close();
  } finally {
    await portal.close();
  }
});

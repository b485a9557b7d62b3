// A run that is undone from its page, what could not be undone, the first load that asks first; and the past of values.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { editProfile, expectNothingHere, value } from '../lib/acts.ts';
import { axe, expect, Portal, shots, test as base } from '../lib/test.ts';

// What is undone here would be missed elsewhere, so these tests have a portal of their own.
const test = base.extend<object, { portal: Portal }>({
  portal: [
    async ({}, use) => {
      const portal = await Portal.open();
      await use(portal);
      await portal.close();
    },
    { scope: 'worker', timeout: 90_000 },
  ],
});

// The last test lets nearly everybody go: the others come before it.
test.describe.configure({ mode: 'serial' });

const SOURCE = 'Northwind ERP';

const heading = (page: Page) => page.getByRole('heading', { level: 1 });
const card = (page: Page, name: string) => page.locator('.card').filter({ has: page.getByRole('heading', { level: 2, name, exact: true }) });

/** Changes the demo company's export, as its ERP would. */
async function exported(portal: Portal, changes: [string, string][]): Promise<void> {
  const file = join(portal.dataDir, 'demo', 'workers.csv');
  let text = await readFile(file, 'utf8');
  for (const [before, after] of changes) {
    expect(text).toContain(before);
    text = text.replace(before, after);
  }
  await writeFile(file, text);
}

async function openSource(page: Page): Promise<void> {
  await page.goto('/console/sources');
  await page.getByRole('main').getByRole('link', { name: SOURCE, exact: true }).click();
  await expect(heading(page)).toContainText(SOURCE);
}

/** Runs the source, and answers the run's address. */
async function run(page: Page): Promise<string> {
  await openSource(page);
  await page.getByRole('button', { name: 'Run now' }).click();
  await expect(heading(page)).toContainText('Done');
  return new URL(page.url()).pathname;
}

/** What stands in the phases of the run on the page. */
const phases = (page: Page) => page.locator('.phases li > span:first-child').allInnerTexts();

test('where a value came from, and the profile on a day', async ({ page, another, portal, signIn }) => {
  const camille = await signIn(page, 'camille.laurent');
  const profile = `/people/${camille.employee_id}`;
  await editProfile(page, camille.employee_id, { 'Job title': 'Key Account Director' });

  await test.step('from the card behind the value to its past', async () => {
    await page.goto(profile);
    const title = value(page, 'Job title');
    await title.locator('summary').click();
    await title.getByRole('link', { name: 'History' }).click();
    await expect(heading(page)).toContainText('past values');
    const past = card(page, 'Job title');
    await expect(past).toContainText('Written by Camille Laurent');
    await expect(past.locator('del')).toHaveText('nothing');
    await expect(past.locator('ins')).toHaveText('Key Account Director');
    await expect(past).toContainText('Came with Account Manager');
    await expect(past).toContainText('Shown was “Key Account Director”');
    await axe(page);
    await shots(page, 'people-history-value');
  });

  await test.step('a day that has come', async () => {
    await page.getByLabel('Day', { exact: true }).fill(new Date().toISOString().slice(0, 10));
    await page.getByRole('button', { name: 'Show that day' }).click();
    const day = page.getByRole('table', { name: 'Values on that day' });
    await expect(day.getByRole('row', { name: /^Job title/ })).toContainText('Key Account Director');
    await expect(day.getByRole('row', { name: /^Job title/ })).toContainText('Account Manager');
    await axe(page);
    await shots(page, 'people-history-day');
    await page.setViewportSize({ width: 360, height: 740 });
    const sideways = await page.locator('.table-wrap').evaluate((table) => table.scrollWidth - table.clientWidth);
    expect(sideways, 'long values stand below their names on a phone').toBe(0);
    await page.setViewportSize({ width: 1280, height: 720 });
  });

  await test.step('a day before anything was known, one to come, and one that is none', async () => {
    await page.goto(`${profile}/history?on=2001-03-01`);
    await expect(page.getByRole('main')).toContainText(/Not here yet on 1\.? mar(ch|s) 2001/i);
    await page.goto(`${profile}/history?on=2026-02-31`);
    const field = page.getByLabel('Day', { exact: true });
    await expect(field).toHaveAttribute('aria-invalid', 'true');
    await expect(page.getByRole('main')).toContainText('Choose a day such as 2026-03-01.');
    await expect(page.getByRole('main')).toContainText('There is no such day');
    await axe(page);
    await shots(page, 'people-history-wrong-day');
  });

  await test.step('without JavaScript, and for whom it is nothing', async () => {
    const plain = await another({ javaScriptEnabled: false });
    await signIn(plain, 'camille.laurent');
    await plain.goto(`${profile}/history`);
    await plain.getByLabel('Value', { exact: true }).selectOption('title');
    await plain.getByRole('button', { name: 'Show its past' }).click();
    await expect(card(plain, 'Job title')).toContainText('Written by Camille Laurent');
    const other = await another();
    await signIn(other, 'aisha.bello');
    // What a colleague may not see now has no past for them either.
    await expectNothingHere(other, `${profile}/history?attribute=birthDate`);
  });
});

test('a run is undone from its page, but for what something newer touched', async ({ page, portal, signIn }) => {
  await signIn(page, portal.withRole('system_administrator').login);
  await exported(portal, [
    ['Clara,Bianchi,,Recruiter', 'Clara,Bianchi,,Head of Recruiting'],
    ['Ivo,Petrov,,Tooling Engineer', 'Ivo,Petrov,,Machine Operator'],
  ]);
  const accident = await run(page);
  await exported(portal, [['Head of Recruiting', 'Talent Partner']]);
  await run(page);

  await test.step('the preview says what comes back and what stays', async () => {
    await page.goto(accident);
    await page.getByRole('link', { name: 'Undo this run' }).click();
    await expect(heading(page)).toContainText('Undo a run');
    const row = page.getByRole('row', { name: /Ivo Petrov/ });
    await expect(row.locator('del')).toHaveText('Machine Operator');
    await expect(row.locator('ins')).toHaveText('Tooling Engineer');
    await expect(page.getByRole('row', { name: /Clara Bianchi/ })).toHaveCount(0);
    const stays = card(page, 'What stays as it is');
    await expect(stays).toContainText('Clara Bianchi');
    await expect(stays).toContainText('Job title stays: something newer has changed it.');
    await axe(page);
    await shots(page, 'console-undo-preview');
  });

  await test.step('pressed, it is a run with phases of its own', async () => {
    await page.getByRole('button', { name: 'Undo this run' }).click();
    await expect(heading(page)).toContainText('Undo done');
    expect(await phases(page)).toEqual(['Compare with now', 'Check limits', 'Put back', 'Units and chart']);
    await expect(page.getByRole('main')).toContainText('1 of 1 step undone');
    await expect(page.getByRole('row', { name: /Ivo Petrov/ })).toContainText('Undone');
    await expect(card(page, 'What stays as it is')).toContainText('Job title stays: something newer has changed it.');
    await axe(page);
    await shots(page, 'console-undo-done');
    await page.getByRole('link', { name: 'The run that it undoes' }).click();
    await expect(heading(page)).toContainText('Undone');
    await expect(page.getByRole('link', { name: 'Undo this run' })).toHaveCount(0);
    await expect(page.getByRole('link', { name: 'What the undo did' })).toBeVisible();
  });

  await test.step('the values are back, and their past says by what', async () => {
    const { employee_id: ivo } = portal.member('ivo.petrov');
    await page.goto(`/people/${ivo}`);
    await expect(value(page, 'Job title').locator('dd.value')).toContainText('Tooling Engineer');
    await page.goto(`/people/${ivo}/history?attribute=title`);
    await expect(card(page, 'Job title')).toContainText(`An undo of ${SOURCE}`);
    await expect(card(page, 'Job title')).toContainText(`A run of ${SOURCE}`);
    const { employee_id: clara } = portal.member('clara.bianchi');
    await page.goto(`/people/${clara}`);
    await expect(value(page, 'Job title').locator('dd.value')).toContainText('Talent Partner');
    await openSource(page);
    await expect(page.getByRole('main')).toContainText('The next one would do the same again, so it asks first.');
  });
});

test('undoing the first load asks, and whoever lets it go on is not locked out', async ({ page, another, portal, signIn }) => {
  const admin = await signIn(page, portal.withRole('system_administrator').login);
  await openSource(page);
  await page.getByRole('table', { name: /runs/i }).getByRole('link').last().click();
  const first = new URL(page.url()).pathname;

  await test.step('the preview says that it will ask, and who stays', async () => {
    await page.getByRole('link', { name: 'Undo this run' }).click();
    await expect(page.getByRole('main')).toContainText('This undo will stop and ask');
    await expect(page.getByRole('main')).toContainText('people would leave at once. The limit for one run is 10 %.');
    const stays = card(page, 'What stays as it is');
    await expect(stays).toContainText(admin.name);
    await expect(stays).toContainText('The unit stays: somebody is in it.');
    await expect(stays).toContainText('Stays: they pressed the button, and an undo locks out nobody who does.');
    await axe(page);
    await shots(page, 'console-undo-first-preview');
  });

  await test.step('it waits, having written nothing, and is cancelled', async () => {
    await page.getByRole('button', { name: 'Undo this run' }).click();
    await expect(heading(page)).toContainText('Stopped, asks');
    await expect(page.locator('.phases [aria-current=step]')).toContainText('Check limits');
    await expect(page.getByRole('row', { name: /Ivo Petrov/ })).toContainText('Waits');
    await axe(page);
    await shots(page, 'console-undo-asks');
    await page.getByRole('button', { name: 'Cancel undo' }).click();
    await expect(page.getByRole('main')).toContainText('Nothing was put back. The run can be undone again.');
    await signIn(await another(), 'ivo.petrov');
  });

  await test.step('let on, it takes everybody else out', async () => {
    await page.goto(`${first}/undo`);
    await page.getByRole('button', { name: 'Undo this run' }).click();
    await expect(heading(page)).toContainText('Stopped, asks');
    await page.getByRole('button', { name: /^Let \d+ leave$/ }).click();
    await expect(heading(page)).toContainText('Undo done');
    await expect(card(page, 'What stays as it is')).toContainText(admin.name);
    await expect(card(page, 'What stays as it is')).toContainText('The unit stays: somebody is in it.');
    await axe(page);
    await shots(page, 'console-undo-first-done');
    await page.goto(`/people/${admin.employee_id}`);
    await expect(heading(page)).toContainText(admin.name);
    const gone = await another();
    const ivo = portal.member('ivo.petrov');
    await gone.goto('/sign-in');
    await gone.locator('input[name="login"]').fill(ivo.login);
    await gone.locator('input[name="password"]').fill(ivo.password);
    await gone.getByRole('button', { name: 'Sign in', exact: true }).click();
    await expect(gone).toHaveURL(/sign-in/);
  });
});

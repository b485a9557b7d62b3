// A table of another shape becomes people: mapped, tried on real records, read; and a schedule reads by itself. On a
// portal of its own, for other people come in.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { axe, expect, Portal, shots, test as base } from '../lib/test.ts';

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

const TABLE = [
  'Pers.Nr;Name;Plant;Grade;Entry;Boss',
  '9001;TANAKA, YUKI;Line 9;3;01.04.2024;',
  '9002;"O\'NEIL, SEAN";Line 9;4;17.11.2025;9001',
  '9003;SILVA, ANA;Line 9;4;soon;9001',
].join('\n');

const lines = (page: Page, part: string) => page.locator(`select[name="${part}.target"]`).locator('xpath=ancestor::tr');

/** Fills a line of the mapping. */
async function line(page: Page, at: number, target: string, from: string, done = ''): Promise<void> {
  const row = lines(page, 'worker').nth(at);
  await row.locator('select').selectOption(target);
  await row.locator('input[name="worker.from"]').fill(from);
  await row.locator('input[name="worker.do"]').fill(done);
}

test('a table becomes people by a mapping that was tried before', async ({ page, portal, signIn }) => {
  const folder = join(portal.dataDir, 'plant');
  await mkdir(folder);
  await writeFile(join(folder, 'people.csv'), TABLE);
  await signIn(page, portal.withRole('system_administrator').login);

  await test.step('the source is connected before there is a mapping', async () => {
    await page.goto('/console/sources/new?kind=table');
    await page.getByLabel('Name', { exact: true }).fill('Plant list');
    await page.getByLabel('Folder', { exact: true }).fill(folder);
    await page.getByLabel(/^Seconds without a change/).fill('0');
    await page.getByRole('button', { name: 'Connect source' }).click();
    await expect(page.getByRole('status')).toContainText('“Plant list” is connected.');
  });
  const source = new URL(page.url()).pathname;

  await test.step('the lines that are followed without one are there, with what they make of the rows', async () => {
    await page.getByRole('link', { name: 'Open the mapping' }).click();
    await expect(page.getByText('Made from the names of the columns')).toBeVisible();
    await expect(page.locator('input[name="worker.from"]').nth(0)).toHaveValue('Pers.Nr');
    await expect(page.getByText('Versions', { exact: true })).toHaveCount(0);
    await expect(page.getByRole('heading', { name: 'On real records' })).toBeVisible();
    await page.getByText('The record', { exact: true }).first().click();
    await expect(page.locator('pre').first()).toContainText('"Pers.Nr": "9001"');
  });

  await test.step('what cannot be followed stands at its line', async () => {
    await line(page, 0, 'id', 'Pers.Nr');
    await line(page, 1, 'name.familyName', 'Name', 'part , 0');
    await page.getByRole('button', { name: 'Set mapping' }).click();
    await expect(lines(page, 'worker').nth(1).locator('.field__error')).toContainText('part');
    await expect(lines(page, 'worker').nth(1).locator('input[name="worker.do"]')).toHaveValue('part , 0');
  });

  await test.step('a mapping is tried on real records, and writes nothing', async () => {
    await line(page, 1, 'name.familyName', 'Name', 'part "," 0 | title');
    await line(page, 2, 'name.givenName', 'Name', 'part "," -1 | title');
    await line(page, 3, 'title', 'Grade', 'map "3"="Fitter" "4"="Smith"');
    await line(page, 4, 'unit', 'Plant');
    await page.getByRole('button', { name: 'Try on real records' }).click();
    await expect(page.getByRole('heading', { name: 'On real records' })).toBeVisible();
    await line(page, 5, 'startDate', 'Entry', 'date "%d.%m.%Y"');
    await line(page, 6, 'manager', 'Boss');
    await line(page, 7, 'costCenter', 'Cost');
    await page.getByRole('button', { name: 'Try on real records' }).click();
    const tried = page.getByRole('region', { name: 'On real records' });
    await expect(tried.locator('section').nth(0)).toContainText('Yuki Tanaka');
    await expect(tried.locator('section').nth(1)).toContainText("Sean O'Neil");
    await expect(tried.locator('section').nth(1)).toContainText('Smith');
    await expect(tried.locator('section').nth(1)).toContainText('2025-11-17');
    await expect(tried.locator('section').nth(2)).toContainText('“soon” is not a date of the form %d.%m.%Y');
    await expect(tried).toContainText('which none of 3 records has');
    await axe(page);
    await shots(page, 'console-source-mapping');
    await lines(page, 'worker').nth(7).locator('select').selectOption('');
    await page.getByLabel(/^Why/).fill('The list of the plant as it is');
    await page.getByRole('button', { name: 'Set mapping' }).click();
    await expect(page.getByRole('status')).toContainText('The mapping is set.');
  });

  await test.step('the mapping is exported, and a changed one taken in', async () => {
    await page.goto(`${source}/mapping`);
    const coming = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Export' }).click();
    const mapping = JSON.parse(await readFile(await (await coming).path(), 'utf8'));
    expect(mapping.worker).toHaveLength(7);
    await page.getByText('Import', { exact: true }).click();
    const text = page.getByLabel(/^A mapping that was exported/);
    const wrong = { ...mapping, worker: [{ target: 'shoe_size', from: '/size' }] };
    await text.fill(JSON.stringify(wrong));
    await page.getByRole('button', { name: 'Set mapping' }).click();
    await expect(page.getByText('/worker/0/target: “shoe_size” is not known.')).toBeVisible();
    await expect(text).toHaveValue(JSON.stringify(wrong));
    mapping.worker.push({ target: 'location', from: '', transforms: [{ do: 'constant', value: 'Sheffield' }] });
    await text.fill(JSON.stringify(mapping));
    await page.getByRole('button', { name: 'Set mapping' }).click();
    await expect(page.getByText('Read from the text, and not set yet.')).toBeVisible();
    await page.getByRole('button', { name: 'Set mapping' }).click();
    await expect(page.getByRole('status')).toContainText('The mapping is set.');
    await page.goto(`${source}/mapping`);
    await expect(page.getByRole('heading', { name: 'Versions' })).toBeVisible();
    await expect(page.getByText('“The list of the plant as it is”')).toBeVisible();
  });

  await test.step('it is read, and the people are there', async () => {
    await page.goto(source);
    await page.getByRole('button', { name: 'Run now' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText('Done');
    await page.goto('/people?q=Sean');
    await page.getByRole('main').getByRole('link', { name: "Sean O'Neil", exact: true }).click();
    await expect(page.getByRole('main')).toContainText('Smith');
    await expect(page.getByRole('main')).toContainText('Line 9');
    await expect(page.getByRole('main')).toContainText('Yuki Tanaka');
  });
});

test('a source is read by a schedule that is told in words before it is set', async ({ page, portal, signIn }) => {
  await signIn(page, portal.withRole('system_administrator').login);
  await page.goto('/console/sources');
  await page.getByRole('main').getByRole('link', { name: 'Northwind ERP', exact: true }).click();
  const home = new URL(page.url()).pathname;
  await page.getByRole('link', { name: 'Set a schedule' }).click();

  await test.step('what never comes is refused, and stays as it was typed', async () => {
    await page.getByLabel('Cron text').fill('0 0 31 2 *');
    await page.getByRole('button', { name: 'Set schedule' }).click();
    await expect(page.locator('.field__error')).toContainText('0 6 * * 1-5');
    await expect(page.getByLabel('Cron text')).toHaveValue('0 0 31 2 *');
  });

  await test.step('times are shown before anything is set', async () => {
    await page.getByLabel('Cron text').fill('30 6 * * 1-5');
    await page.getByLabel('Time zone').fill('Europe/Oslo');
    await page.getByRole('button', { name: 'Show the times' }).click();
    const echo = page.locator('.card').filter({ has: page.getByRole('heading', { name: 'In words' }) });
    await expect(echo).toContainText('At 06:30, on Monday, Tuesday, Wednesday, Thursday, and Friday.');
    await expect(echo.getByRole('listitem')).toHaveCount(5);
    await axe(page);
    await shots(page, 'console-source-schedule');
  });

  await test.step('it is set, and runs by itself', async () => {
    await page.getByLabel('Cron text').fill('* * * * *');
    await page.getByRole('button', { name: 'Set schedule' }).click();
    await expect(page.getByRole('status')).toContainText('The schedule is set.');
    const scheduled = page.locator('.card').filter({ has: page.getByRole('heading', { name: 'Schedule' }) });
    await expect(scheduled).toContainText('Next run');
    const runs = page.getByRole('table', { name: /^Past runs/ }).getByRole('row');
    const before = await runs.count();
    await expect(async () => {
      await page.goto(home);
      expect(await runs.count()).toBeGreaterThan(before);
    }).toPass({ timeout: 90_000, intervals: [3_000] });
  });

  await test.step('and ends', async () => {
    await page.getByRole('link', { name: 'Change', exact: true }).click();
    await page.getByRole('button', { name: 'End the schedule' }).click();
    await expect(page.getByRole('status')).toContainText('The schedule has ended.');
    await expect(page.getByText('Read when somebody starts a run.', { exact: true })).toBeVisible();
  });
});

// A second source beside the demo company's: who is who, which one is heard first, days ahead, and who stands in.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { value } from '../lib/acts.ts';
import { axe, expect, Portal, shots, test as base } from '../lib/test.ts';

// People of another source stay, so these tests have a portal of their own.
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

const SOURCE = 'Agency';

/** A day so many days from now, as the export has it. */
const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

async function openSource(page: Page, name: string): Promise<void> {
  await page.goto('/console/sources');
  await page.getByRole('main').getByRole('link', { name, exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText(name);
}

async function run(page: Page): Promise<void> {
  await openSource(page, SOURCE);
  await page.getByRole('button', { name: 'Run now' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Done');
}

test('who is who in a second source is decided, left out, and taken back', async ({ page, portal, signIn }) => {
  const folder = join(portal.dataDir, 'agency');
  await mkdir(folder);
  // Two rows have the number of one and the mail of another; one is Grace; one comes in a week; one goes in two.
  await writeFile(
    join(folder, 'workers.csv'),
    [
      'employee_number,display_name,email,title,location,start_date,end_date',
      'NF-1041,P. Zielinski,lars.nygaard@northwindforge.example,Fitter,Oslo,,',
      'NF-1052,Marta K.,piotr.zielinski@northwindforge.example,Fitter,Oslo,,',
      'AG-1,Grace W.,grace.whitfield@northwindforge.example,Agency lead,Oslo,,',
      `AG-2,Flora Agency,flora@agency.example,Fitter,Oslo,${day(7)},`,
      `AG-3,Otto Agency,otto@agency.example,Fitter,Oslo,,${day(14)}`,
    ].join('\n'),
  );
  await portal.command('source', 'add', 'csv', SOURCE, '--set', `folder=${folder}`);
  await signIn(page, portal.withRole('system_administrator').login);

  await test.step('a run asks instead of guessing', async () => {
    await run(page);
    await expect(page.getByRole('row', { name: /P\. Zielinski/ })).toContainText('Could be');
    await expect(page.getByRole('row', { name: /Flora Agency/ })).toContainText(`Starts on ${day(7)}`);
    await openSource(page, SOURCE);
    const asked = page.getByRole('region', { name: 'Who is this?' });
    await expect(asked.getByRole('heading', { level: 3 })).toHaveCount(2);
    await expect(asked).toContainText('Piotr Zieliński');
    await expect(asked).toContainText('Lars Nygaard');
    await axe(page);
    await shots(page, 'console-source-decide');
  });

  await test.step('it is this one, and the other is left out for good', async () => {
    await page.getByRole('button', { name: 'Is this person: P. Zielinski is Piotr Zieliński' }).click();
    await expect(page.getByRole('status')).toContainText('Decided.');
    await page.getByRole('button', { name: 'Leave out, never ask again: Marta K.' }).click();
    await expect(page.getByRole('region', { name: 'Who is this?' })).toHaveCount(0);
    await run(page);
    await openSource(page, SOURCE);
    await expect(page.getByRole('region', { name: 'Who is this?' })).toHaveCount(0);
    await expect(page.locator('#ignored').locator('..').locator('..')).toContainText('Marta K.');
  });

  await test.step('days ahead are told', async () => {
    const ahead = page.getByRole('table', { name: /on a day ahead/ });
    await expect(ahead.getByRole('row', { name: /Flora Agency/ })).toContainText('Starts on');
    await expect(ahead.getByRole('row', { name: /Otto Agency/ })).toContainText('Last day');
    await page.goto('/people?q=Flora');
    await expect(page.getByRole('main').getByRole('link', { name: 'Flora Agency' })).toHaveCount(0);
  });

  await test.step('a wrong link is undone', async () => {
    await openSource(page, SOURCE);
    await page.getByText('Also in another source').click();
    await shots(page, 'console-source-people');
    await page.getByRole('button', { name: 'Is somebody else than Piotr Zieliński' }).click();
    await expect(page.getByRole('status')).toContainText('Taken away.');
    await run(page);
    await page.goto('/people?q=Zielinski');
    for (const name of ['P. Zielinski', 'Piotr Zieliński']) {
      await expect(page.getByRole('main').getByRole('link', { name, exact: true }).first()).toBeVisible();
    }
  });

  await test.step('the order of sources decides what is shown', async () => {
    const { employee_id: grace } = portal.member('grace.whitfield');
    await page.goto(`/people/${grace}`);
    await expect(value(page, 'Place').locator('dd.value')).toContainText('Sheffield');
    await page.context().clearCookies();
    await signIn(page, portal.withRole('policy_administrator').login);
    await page.goto('/console/source-order');
    await page.getByLabel('Heard first about place').selectOption({ label: SOURCE });
    await page.getByLabel(/^Why/).fill('The agency knows where its people are');
    await axe(page);
    await shots(page, 'console-source-order');
    await page.getByRole('button', { name: 'Set order' }).click();
    await expect(page.getByRole('status')).toContainText('The order is set');
    await page.goto(`/people/${grace}`);
    const place = value(page, 'Place');
    await expect(place.locator('dd.value')).toContainText('Oslo');
    await place.locator('summary').click();
    await expect(place.locator('.why')).toContainText(`${SOURCE}, read`);
    await expect(place.locator('.why')).toContainText('Sheffield');
    await expect(place.locator('.why')).toContainText('Northwind ERP, read');
    await shots(page, 'profile-two-sources');
    await page.goto('/console/source-order/history');
    await expect(page.getByRole('main')).toContainText(`Place: ${SOURCE}`);
  });
});

test('a superior who is away names who stands in', async ({ page, portal, signIn }) => {
  const head = await signIn(page, 'priya.raman');
  const { employee_id: noah } = portal.member('noah.petersen');
  await page.goto(`/people/${head.employee_id}`);
  await page.getByRole('link', { name: 'Who stands in' }).click();
  await page.getByLabel('Who stands in', { exact: true }).selectOption(noah);
  await page.getByLabel('Last day').fill(day(-3));
  await page.getByRole('button', { name: 'Have them stand in' }).click();
  await expect(page.locator('.field__error')).toHaveCount(1);
  await page.getByLabel('Last day').fill(day(3));
  await page.getByRole('button', { name: 'Have them stand in' }).click();
  await expect(page.getByRole('status')).toContainText('It begins and ends by itself');
  await axe(page);
  await shots(page, 'people-delegate');
  await page.goto(`/people/${head.employee_id}`);
  await expect(page.locator('.profile-head')).toContainText('Away, stood in for by Noah Petersen until');
  await page.goto(`/people/${noah}`);
  await expect(page.locator('.profile-head')).toContainText('Stands in for Priya Raman');
  await page.goto(`/people/${head.employee_id}/delegate`);
  await page.getByRole('button', { name: 'End now: Noah Petersen stands in' }).click();
  await page.goto(`/people/${noah}`);
  await expect(page.locator('.profile-head')).not.toContainText('Stands in for');
});

// Corrections: asked for from a locked field, decided by who the policy names, mended at the source. And what the
// sources say that cannot be so.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { expectNothingHere, value } from '../lib/acts.ts';
import { axe, expect, type Portal, shots, test } from '../lib/test.ts';

const SOURCE = 'Northwind ERP';

const heading = (page: Page) => page.getByRole('heading', { level: 1 });

/** Changes the demo company's export, as its ERP would, and gives back the way to undo it. */
async function exported(portal: Portal, before: string, after: string): Promise<() => Promise<void>> {
  const file = join(portal.dataDir, 'demo', 'workers.csv');
  const text = await readFile(file, 'utf8');
  expect(text).toContain(before);
  await writeFile(file, text.replace(before, after));
  return () => writeFile(file, text);
}

async function run(page: Page): Promise<void> {
  await page.goto('/console/sources');
  await page.getByRole('main').getByRole('link', { name: SOURCE, exact: true }).click();
  await page.getByRole('button', { name: 'Run now' }).click();
  await expect(heading(page)).toContainText('Done');
}

/** Asks for a correction from the edit form, as far as its own page. */
async function ask(page: Page, person: string, label: string, to: string, why: string): Promise<void> {
  await page.goto(`/people/${person}/edit`);
  await page.getByRole('link', { name: `Ask for a correction of ${label.toLowerCase()}` }).click();
  await expect(heading(page)).toHaveText(`Correct ${label.toLowerCase()}`);
  await page.getByRole('main').getByLabel(label, { exact: true }).fill(to);
  await page.getByRole('main').getByLabel('Why', { exact: true }).fill(why);
  await page.getByRole('button', { name: 'Propose correction' }).click();
}

test('a locked value is asked to be corrected, agreed to, mended in the source and confirmed by the next run', async ({ page, another, portal, signIn }) => {
  const { employee_id: clara } = await signIn(page, 'clara.bianchi');
  const before = 'clara.bianchi@northwindforge.example';
  const after = 'clara.rossi@northwindforge.example';

  await test.step('what was typed stays when it is refused', async () => {
    await ask(page, clara, 'Mail', 'clara@nowhere', 'I married in May');
    await expect(page.getByRole('main').getByLabel('Mail', { exact: true })).toHaveAttribute('aria-invalid', 'true');
    await expect(page.getByRole('main').getByLabel('Mail', { exact: true })).toHaveValue('clara@nowhere');
    await expect(page.getByRole('main').getByLabel('Why', { exact: true })).toHaveValue('I married in May');
  });

  await test.step('it is proposed, and stands beside the value on the profile', async () => {
    await ask(page, clara, 'Mail', after, 'I married in May');
    await expect(heading(page)).toContainText('Mail of Clara Bianchi');
    await expect(heading(page)).toContainText('Waits');
    await page.goto(`/people/${clara}`);
    const mail = value(page, 'Mail');
    await expect(mail.locator('dd.value')).toContainText(before);
    await expect(mail).toContainText(`Correction to “${after}”. HR decides about it.`);
    await expect(mail.getByRole('link', { name: 'Correction of mail: waits' })).toBeVisible();
    await page.goto(`/people/${clara}/edit`);
    await expect(page.getByRole('link', { name: 'Ask for a correction of mail' })).toHaveCount(0);
  });

  const hr = await another();
  await signIn(hr, portal.withRole('hr').login);
  let correction = '';
  await test.step('HR finds it and agrees', async () => {
    await hr.goto('/');
    await hr.getByRole('navigation', { name: 'Main', exact: true }).getByRole('link', { name: /^Corrections 1/ }).click();
    const row = hr.getByRole('row', { name: /Mail of Clara Bianchi/ });
    await expect(row.locator('del')).toHaveText(before);
    await expect(row.locator('ins')).toHaveText(after);
    await row.getByRole('link').click();
    correction = new URL(hr.url()).pathname;
    await expect(hr.getByRole('region', { name: 'Decide' })).toContainText(`${SOURCE} cannot be written to from here`);
    await hr.getByRole('button', { name: 'Accept correction' }).click();
    await expect(hr.getByRole('status').filter({ hasText: 'The correction is accepted.' })).toBeVisible();
    await expectNothingHere(await signedIn(another, signIn, 'viktor.novak'), correction);
  });

  await test.step('nothing can write into a folder of files, so it waits for a hand, and the quality page says whose', async () => {
    await expect
      .poll(async () => {
        await hr.goto(correction);
        return heading(hr).innerText();
      })
      .toContain('To be mended by hand');
    await hr.goto('/console/quality?kind=correction');
    const row = hr.getByRole('row', { name: /To be mended by hand/ });
    await expect(row).toContainText(`The mail of Clara Bianchi should be “${after}”.`);
    await expect(row).toContainText(`Mend it in ${SOURCE}`);
    await page.goto(`/people/${clara}`);
    await expect(value(page, 'Mail').locator('dd.value')).toContainText(before);
  });

  const admin = await another();
  await signIn(admin, portal.withRole('system_administrator').login);
  const restore = await exported(portal, before, after);
  try {
    await test.step('it is mended there, and the next run confirms it', async () => {
      await run(admin);
      await page.goto(correction);
      await expect(heading(page)).toContainText('Confirmed');
      await page.goto(`/people/${clara}`);
      await expect(value(page, 'Mail').locator('dd.value')).toHaveText(after);
      await page.goto('/corrections?of=mine');
      await expect(page.getByRole('row', { name: /Mail of Clara Bianchi/ })).toContainText('Confirmed');
    });
  } finally {
    await restore();
    await run(admin);
  }
});

async function signedIn(another: () => Promise<Page>, signIn: (page: Page, login: string) => Promise<unknown>, login: string): Promise<Page> {
  const page = await another();
  await signIn(page, login);
  return page;
}

test('without JavaScript, a correction is declined with a reason that the person reads', async ({ another, portal, signIn }) => {
  const aisha = await another({ javaScriptEnabled: false });
  const { employee_id } = await signIn(aisha, 'aisha.bello');
  await ask(aisha, employee_id, 'Family name', 'Bello-Khan', 'It sounds better');
  await expect(heading(aisha)).toContainText('Waits');
  const correction = new URL(aisha.url()).pathname;

  const hr = await another({ javaScriptEnabled: false });
  await signIn(hr, portal.withRole('hr').login);
  await hr.goto(correction);
  await hr.getByLabel('Why not').fill('Names come from the passport.');
  await hr.getByRole('button', { name: 'Decline correction' }).click();
  await expect(heading(hr)).toContainText('Declined');

  await aisha.goto(correction);
  await expect(aisha.getByRole('main')).toContainText('“Names come from the passport.”');
  await expect(aisha.getByRole('button', { name: 'Take it back' })).toHaveCount(0);

  await ask(aisha, employee_id, 'Family name', 'Bello-Khan', 'It is in my passport now');
  await aisha.getByRole('button', { name: 'Take it back' }).click();
  await expect(heading(aisha)).toContainText('Taken back');
});

test('who decides is set as a policy with versions', async ({ page, another, portal, signIn }) => {
  await signIn(page, portal.withRole('policy_administrator').login);
  const otherwise = page.getByLabel('Who decides', { exact: true });
  await page.goto('/console/corrections');
  await expect(otherwise).toHaveValue('hr_of_unit');
  await otherwise.selectOption({ label: 'The direct superior' });
  await page.getByLabel(/^Why/).fill('Superiors know their people');
  await page.getByRole('button', { name: 'Set policy' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'The policy is set' })).toBeVisible();
  await expect(otherwise).toHaveValue('manager');

  const noah = await another();
  const { employee_id } = await signIn(noah, 'noah.petersen');
  await ask(noah, employee_id, 'Given name', 'Noa', 'As in my passport');
  await expect(noah.getByRole('main')).toContainText('The direct superior decides about it.');
  await noah.getByRole('button', { name: 'Take it back' }).click();
  await expect(heading(noah)).toContainText('Taken back');

  await otherwise.selectOption({ label: 'HR of the unit' });
  await page.getByRole('button', { name: 'Set policy' }).click();
  await expect(otherwise).toHaveValue('hr_of_unit');
  await page.getByRole('link', { name: 'Versions' }).click();
  await expect(page.getByRole('main')).toContainText('“Superiors know their people”');
  await expect(page.getByRole('main')).toContainText('Everything else: The direct superior');
});

test('without JavaScript, another superior is looked for and proposed, and who stands in for the approver agrees', async ({ page, another, portal, signIn }) => {
  await signIn(page, portal.withRole('policy_administrator').login);
  await page.goto('/console/corrections');
  await page.getByLabel('Who decides', { exact: true }).selectOption({ label: 'The direct superior' });
  await page.getByLabel('Superiors by dotted line decide as well').check();
  await axe(page);
  await shots(page, 'console-corrections');
  await page.getByRole('button', { name: 'Set policy' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'The policy is set' })).toBeVisible();

  const noah = await another({ javaScriptEnabled: false });
  const { employee_id } = await signIn(noah, 'noah.petersen');
  // axe is a script: it looks at the same pages where scripts run.
  const seen = await signedIn(another, signIn, 'noah.petersen');
  const look = async (name: string) => {
    await seen.goto(noah.url());
    await axe(seen);
    await shots(seen, name);
  };
  await noah.goto(`/people/${employee_id}/edit`);
  await expect(noah.getByRole('main')).toContainText('Whether you work here is no value to correct');
  await noah.getByRole('link', { name: 'Ask for a correction of manager' }).click();
  await look('correction-manager-first');
  await noah.getByLabel('Look for somebody').fill('nobody of that name');
  await noah.getByRole('button', { name: 'Search' }).click();
  await expect(noah.getByRole('status').filter({ hasText: 'Nobody was found who could be above you.' })).toBeVisible();
  await look('correction-manager-nobody');
  await noah.getByLabel('Look for somebody').fill('whitfield');
  await noah.getByRole('button', { name: 'Search' }).click();
  await noah.getByRole('main').getByLabel('Manager', { exact: true }).selectOption(portal.member('grace.whitfield').employee_id);
  await noah.getByRole('main').getByLabel('Why', { exact: true }).fill('Since the teams were put together');
  await look('correction-manager');
  await noah.getByRole('button', { name: 'Propose correction' }).click();
  await expect(heading(noah)).toContainText('Manager of Noah Petersen');
  await look('correction-manager-proposed');
  await expect(noah.getByRole('main')).toContainText('Priya Raman');
  await expect(noah.getByRole('main')).toContainText('Grace Whitfield');
  const correction = new URL(noah.url()).pathname;

  const marta = await another();
  const { employee_id: stands } = await signIn(marta, 'marta.kowalczyk');
  await expectNothingHere(marta, correction);
  const priya = await another();
  const { employee_id: leads } = await signIn(priya, 'priya.raman');
  await priya.goto(`/people/${leads}/delegate?q=kowalczyk`);
  await priya.getByLabel('Who stands in').selectOption(stands);
  await priya.getByLabel('Last day').fill(new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10));
  await priya.getByRole('button', { name: 'Have them stand in' }).click();
  await expect(priya.getByRole('status').filter({ hasText: 'Set.' })).toBeVisible();

  await marta.goto('/corrections');
  await marta.getByRole('link', { name: 'Manager of Noah Petersen' }).click();
  await axe(marta);
  await shots(marta, 'correction-stand-in');
  await marta.getByRole('button', { name: 'Accept correction' }).click();
  await expect(marta.getByRole('status').filter({ hasText: 'The correction is accepted.' })).toBeVisible();
  await noah.goto(correction);
  await expect(noah.getByRole('main')).toContainText('Marta Kowalczyk accepted it');

  // As it was before.
  await expect(async () => {
    await noah.goto(correction);
    await expect(heading(noah)).toContainText('To be mended by hand', { timeout: 1_000 });
  }).toPass();
  await noah.getByRole('button', { name: 'Take it back' }).click();
  await priya.goto(`/people/${leads}/delegate`);
  await priya.getByRole('button', { name: 'End now: Marta Kowalczyk stands in' }).click();
  await page.getByLabel('Superiors by dotted line decide as well').uncheck();
  await page.getByLabel('Who decides', { exact: true }).selectOption({ label: 'HR of the unit' });
  await page.getByRole('button', { name: 'Set policy' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'The policy is set' })).toBeVisible();
});

test('what the source says that cannot be so is listed, narrowed, and leads to whom it is about', async ({ page, another, portal, signIn }) => {
  await signIn(page, portal.withRole('system_administrator').login);
  const restore = await exported(portal, ',emil.sorensen@northwindforge.example,', ',emil at northwind,');
  try {
    await run(page);
    await page.goto('/console/quality');
    const row = page.getByRole('row', { name: /No mail address/ });
    await expect(row).toContainText('emil at northwind');
    await expect(row).toContainText(`Mend it in ${SOURCE}: mail of workers.csv, line`);
    await expect(page.getByRole('img', { name: new RegExp(`^${SOURCE}: \\d+ findings? in the last run`) })).toBeVisible();
    await page.getByText(`Last runs of ${SOURCE}`, { exact: true }).click();
    await expect(page.getByRole('table', { name: /^Findings of the last runs/ })).toBeVisible();

    const filters = page.getByRole('search', { name: 'Findings' });
    await filters.getByLabel('Kind').selectOption({ label: 'Mail addresses that are none, 1' });
    await filters.getByRole('button', { name: 'Show' }).click();
    await expect(page.getByRole('table', { name: 'Findings, by kind and source' }).locator('tbody').getByRole('row')).toHaveCount(1);
    await page.getByRole('link', { name: 'No mail address' }).click();
    await expect(heading(page)).toContainText('Emil Sørensen');
    await page.goBack();
    await page.getByRole('link', { name: 'The run that found it' }).click();
    await expect(heading(page)).toContainText('Done');
    await expectNothingHere(await signedIn(another, signIn, 'viktor.novak'), '/console/quality');
  } finally {
    await restore();
    await run(page);
  }
  await page.goto('/console/quality?kind=bad_mail');
  await expect(page.getByRole('heading', { name: 'Nothing of that kind' })).toBeVisible();
});

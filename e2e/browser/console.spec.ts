// The console: sources and their runs, people and roles, sessions, the audit log.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { expectNothingHere, value } from '../lib/acts.ts';
import { expect, type Portal, test } from '../lib/test.ts';

const SOURCE = 'Northwind ERP';

/** Changes the demo company's export, as its ERP would, and gives back the way to undo it. */
async function exported(portal: Portal, change: (rows: string[]) => string[]): Promise<() => Promise<void>> {
  const file = join(portal.dataDir, 'demo', 'workers.csv');
  const before = await readFile(file, 'utf8');
  await writeFile(file, change(before.split('\n')).join('\n'));
  return () => writeFile(file, before);
}

async function openSource(page: Page): Promise<void> {
  await page.goto('/console/sources');
  await page.getByRole('main').getByRole('link', { name: SOURCE, exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText(SOURCE);
}

const state = (page: Page) => page.getByRole('heading', { level: 1 });
const tile = (page: Page, label: string) => page.locator('.stat').filter({ has: page.getByText(label, { exact: true }) }).locator('.stat__value');

test('a source is tested, tried dry, and run', async ({ page, portal, signIn }) => {
  await signIn(page, portal.withRole('system_administrator').login);

  await test.step('the connection is tested', async () => {
    await openSource(page);
    await page.getByRole('button', { name: 'Test connection' }).click();
    const test = page.getByRole('region', { name: 'Test of the connection' });
    await expect(test).toContainText('41 people and 7 units can be read.');
    await expect(test.getByRole('table', { name: 'What may be read' })).toBeVisible();
  });

  const restore = await exported(portal, (rows) =>
    rows.map((row) => row.replace(',Die Setter,', ',Senior Die Setter,').replace('1984-07-28', '28/07/84')),
  );
  const { employee_id: piotr } = portal.member('piotr.zielinski');
  try {
    await test.step('a dry run shows what would change and writes nothing', async () => {
      await openSource(page);
      await page.getByRole('button', { name: 'Dry run' }).click();
      await expect(page.getByText('A dry run: nothing was written')).toBeVisible();
      await expect(state(page)).toContainText('Dry run done');
      const step = page.getByRole('row', { name: /Piotr Zieliński/ });
      await expect(step.locator('del')).toHaveText('Die Setter');
      await expect(step.locator('ins')).toHaveText('Senior Die Setter');
      await expect(step).toContainText('Planned');
      await page.goto(`/people/${piotr}`);
      await expect(value(page, 'Job title').locator('dd.value')).toHaveText('Die Setter');
    });

    await test.step('a run moves while one looks, and says what it did and found', async () => {
      await openSource(page);
      await page.getByRole('button', { name: 'Run now' }).click();
      await expect(state(page)).toContainText('Done');
      await expect(page.getByRole('listitem').filter({ hasText: 'Apply' })).toContainText('1 of 1 step');
      await expect(page.getByRole('row', { name: /Piotr Zieliński/ })).toContainText('Applied');
      const findings = page.getByRole('region', { name: 'Findings in the source' });
      await expect(findings).toContainText('workers.csv');
      await expect(findings).toContainText('28/07/84');
      await page.goto(`/people/${piotr}`);
      await expect(value(page, 'Job title').locator('dd.value')).toHaveText('Senior Die Setter');
    });
  } finally {
    await restore();
  }

  await test.step('and the next run takes it back', async () => {
    await openSource(page);
    await page.getByRole('button', { name: 'Run now' }).click();
    await expect(state(page)).toContainText('Done');
    await page.goto(`/people/${piotr}`);
    await expect(value(page, 'Job title').locator('dd.value')).toHaveText('Die Setter');
  });
});

test('a run that would let too many leave stops and asks', async ({ page, another, portal, signIn }) => {
  const administrator = portal.withRole('system_administrator').login;
  await signIn(page, administrator);
  const leaver = await another();
  const { employee_id } = await signIn(leaver, 'mateo.vargas');
  const restore = await exported(portal, (rows) => rows.filter((row) => !/^NF-10(41|52|67|73|80|88),/.test(row)));
  try {
    await openSource(page);
    await page.getByRole('button', { name: 'Run now' }).click();
    const question = page.getByRole('alert').filter({ hasText: 'would leave at once' });
    await expect(question).toContainText('6 of 41 people would leave at once. The limit for one run is 10 %.');
    await expect(state(page)).toContainText('Stopped, asks');
    await expect(tile(page, 'Leavers')).toHaveText('6');
    await expect(page.getByRole('row', { name: /Mateo Vargas/ })).toContainText('Waits');

    await leaver.goto(`/people/${employee_id}`);
    await expect(leaver.getByRole('heading', { level: 1 })).toHaveText('Mateo Vargas');

    await question.getByRole('button', { name: 'Cancel run' }).click();
    await expect(state(page)).toContainText('Cancelled');
    await expect(page.getByRole('alert').filter({ hasText: 'would leave at once' })).toHaveCount(0);
    await leaver.reload();
    await expect(leaver.getByRole('heading', { level: 1 })).toHaveText('Mateo Vargas');
  } finally {
    await restore();
  }
});

test('one who left cannot sign in any more, and comes back with everything', async ({ page, another, portal, signIn }) => {
  await signIn(page, portal.withRole('system_administrator').login);
  const lars = await another();
  const { employee_id, login, password } = await signIn(lars, 'lars.nygaard');
  const restore = await exported(portal, (rows) => rows.filter((row) => !row.startsWith('NF-1067,')));
  try {
    await openSource(page);
    await page.getByRole('button', { name: 'Run now' }).click();
    await expect(state(page)).toContainText('Done');
    await expect(tile(page, 'Leavers')).toHaveText('1');
    await lars.goto('/people');
    await expect(lars).toHaveURL(/\/sign-in/);
    await lars.locator('input[name="login"]').fill(login);
    await lars.locator('input[name="password"]').fill(password);
    await lars.getByRole('button', { name: 'Sign in', exact: true }).click();
    await expect(lars.locator('input[name="password"]')).toHaveAttribute('aria-invalid', 'true');
    await page.goto('/people?q=nygaard');
    await expect(page.getByRole('heading', { name: 'Nobody found' })).toBeVisible();
  } finally {
    await restore();
  }
  await openSource(page);
  await page.getByRole('button', { name: 'Run now' }).click();
  await expect(state(page)).toContainText('Done');
  await signIn(lars, 'lars.nygaard');
  await lars.goto(`/people/${employee_id}`);
  await expect(lars.getByRole('heading', { level: 1 })).toHaveText('Lars Nygaard');
});

test('somebody is invited, chooses a password and is signed in', async ({ page, another, portal, signIn }) => {
  await signIn(page, portal.withRole('hr').login);
  const { employee_id, name, login } = portal.member('emil.sorensen');
  await page.goto('/console/people?q=sorensen');
  await page.getByRole('main').getByRole('link', { name, exact: true }).click();
  await page.getByRole('button', { name: /: Emil Sørensen$/ }).click();
  await expect(page.getByText('This link is shown once')).toBeVisible();
  const link = await page.getByLabel('One-time link').inputValue();
  expect(link).toContain(`${portal.url}/invitations/`);

  const emil = await another();
  await emil.goto(link);
  await expect(emil.getByRole('heading', { level: 1 })).toHaveText(`Welcome, ${name}`);
  await expect(emil.getByRole('main')).toContainText(login);
  const password = emil.getByLabel('New password');
  for (const [weak, why] of [
    ['short', /characters\. Write more\.$/],
    ['password1234', /^Easily guessed\./],
  ] as const) {
    await password.fill(weak);
    await emil.getByRole('button', { name: 'Set password and sign in' }).click();
    await expect(password).toHaveAttribute('aria-invalid', 'true');
    await expect(password).toHaveAccessibleDescription(why);
    await expect(password).toHaveValue('');
  }
  await password.fill('thimble-orbit-walnut-fjord-9');
  await emil.getByRole('button', { name: 'Set password and sign in' }).click();
  await expect(emil).toHaveURL(`${portal.url}/`);
  await expect(emil.getByRole('status')).toContainText('Your password is set.');
  await expect(emil.getByRole('banner')).toContainText('Emil');

  await expectNothingHere(await another(), new URL(link).pathname);
  await page.goto(`/console/people/${employee_id}`);
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Can sign in');
});

test('a role holds from the next click on, until it is taken', async ({ page, another, portal, signIn }) => {
  await signIn(page, portal.withRole('system_administrator').login);
  const clara = await another();
  const { employee_id } = await signIn(clara, 'clara.bianchi');
  await expectNothingHere(clara, '/console/audit');
  for (const [checked, status] of [[true, 200], [false, 404]] as const) {
    await page.goto(`/console/people/${employee_id}`);
    await page.getByLabel('Compliance officer').setChecked(checked);
    await page.getByRole('button', { name: 'Set roles' }).click();
    await expect(page.getByRole('status').filter({ hasText: 'The roles are set.' })).toBeVisible();
    expect((await clara.goto('/console/audit'))?.status()).toBe(status);
  }
});

test('ending the sign-in of another browser signs it out and closes its socket', async ({ page, another, signIn }) => {
  await signIn(page, 'aisha.bello');
  const other = await another({ userAgent: 'Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0' });
  await signIn(other, 'aisha.bello');
  const socket = other.waitForEvent('websocket');
  await other.goto('/chat');
  const closed = (await socket).waitForEvent('close');

  await page.goto('/account');
  const sessions = page.getByRole('table', { name: /^Your sign-ins/ });
  await expect(sessions.getByRole('row').filter({ hasText: 'This one' })).toHaveCount(1);
  await page.getByRole('button', { name: 'End the sign-in on Firefox on Windows' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'That sign-in has ended.' })).toBeVisible();
  await expect(sessions).not.toContainText('Firefox');

  await closed;
  await other.goto('/people');
  await expect(other).toHaveURL(/\/sign-in\?next=\/people$/);
  await page.goto('/people');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('People');
});

test('the audit log is narrowed, read and verified', async ({ page, another, portal, signIn }) => {
  const stranger = await another();
  await stranger.goto('/sign-in');
  await stranger.locator('input[name="login"]').fill('daniel.okafor');
  await stranger.locator('input[name="password"]').fill('no such password');
  await stranger.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(stranger.locator('input[name="password"]')).toHaveAttribute('aria-invalid', 'true');

  await signIn(page, portal.withRole('compliance_officer').login);
  await page.goto('/console/audit');
  const filters = page.getByRole('search', { name: 'Audit log' });
  const rows = page.getByRole('table').locator('tbody').getByRole('row');

  await test.step('by act', async () => {
    await filters.getByLabel('Act', { exact: true }).selectOption({ label: 'Refused sign-ins' });
    await filters.getByRole('button', { name: 'Show' }).click();
    await expect(rows.first()).toContainText('Sign-in as Daniel Okafor refused');
    await expect(rows.filter({ hasNotText: /refused/ })).toHaveCount(0);
  });

  await test.step('by person', async () => {
    await filters.getByRole('searchbox').fill('Daniel Okafor');
    await filters.getByLabel('The person did it, or it is about them').selectOption({ label: 'About whom' });
    await filters.getByRole('button', { name: 'Show' }).click();
    await expect(filters.getByRole('link', { name: 'Every person, not Daniel Okafor alone' })).toBeVisible();
    await expect(rows).toHaveCount(1);
  });

  await test.step('by day', async () => {
    await filters.getByLabel('From').fill('2001-01-01');
    await filters.getByLabel('to', { exact: true }).fill('2001-01-02');
    await filters.getByRole('button', { name: 'Show' }).click();
    await expect(page.getByRole('heading', { name: 'No entry' })).toBeVisible();
    await filters.getByRole('link', { name: 'Clear' }).click();
    await expect(rows.first()).toBeVisible();
  });

  await test.step('an entry says what is written', async () => {
    const number = await rows.first().locator('td').first().innerText();
    await page.getByRole('link', { name: `Open entry ${number}`, exact: true }).click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText(`Entry ${number}`);
    await expect(page.getByRole('region', { name: 'Place in the chain' })).toContainText('This one');
  });

  await test.step('and all of it is verified', async () => {
    await page.goto('/console/audit');
    await expect(page.getByRole('region', { name: /entries$/ })).toContainText('Not verified since you signed in.');
    await page.getByRole('button', { name: 'Verify now' }).click();
    await expect(page.getByRole('region', { name: /^Chain unbroken through entry / })).toContainText('Verified');
  });
});

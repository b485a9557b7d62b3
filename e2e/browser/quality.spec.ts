// Data quality of a source that sends its people by itself: what is wrong stands with what was pushed, says who can mend
// it where, and is gone with the push that mends it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { expectNothingHere } from '../lib/acts.ts';
import { Directory } from '../lib/directory.ts';
import { axe, expect, Portal, shots, test as base } from '../lib/test.ts';

// People who were pushed stay, so these tests have a portal of their own.
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

const EMPLOYEE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

/** Of somebody of the demo company: the number and the mail address that its ERP has for them. */
async function known(portal: Portal, mail: string): Promise<{ number: string; mail: string }> {
  const rows = await readFile(join(portal.dataDir, 'demo', 'workers.csv'), 'utf8');
  const row = rows.split('\n').find((row) => row.includes(mail));
  expect(row, mail).toBeDefined();
  return { number: row!.split(',')[0], mail };
}

/** Shows the findings of the directory alone. */
async function narrow(page: Page): Promise<void> {
  const filters = page.getByRole('search', { name: 'Findings' });
  await filters.getByLabel('Source').selectOption({ label: 'Directory' });
  await filters.getByRole('button', { name: 'Show' }).click();
}

const findings = (page: Page) => page.getByRole('table', { name: 'Findings, by kind and source' }).locator('tbody').getByRole('row');

test('what a directory pushed and cannot be so says who can mend it, and is gone when they did', async ({ page, another, portal, signIn }) => {
  const directory = await Directory.of(portal);
  const user = {
    userName: 'sol.stray',
    displayName: 'Sol Stray',
    timezone: 'Mars',
    emails: [{ value: 'sol at stray', primary: true }],
    [EMPLOYEE]: { department: 'Night Shift' },
  };
  const { id } = await directory.send('POST', '/Users', user);
  const noah = await known(portal, 'noah.petersen@northwindforge.example');
  const emil = await known(portal, 'emil.sorensen@northwindforge.example');
  const either = { userName: 'either', displayName: 'N. or E.', emails: [{ value: emil.mail }], [EMPLOYEE]: { employeeNumber: noah.number } };
  await directory.send('POST', '/Users', either);

  await test.step('HR reads what is wrong, where it is mended, and by whom', async () => {
    await signIn(page, portal.withRole('hr').login);
    await page.goto('/console/quality');
    await narrow(page);
    const zone = page.getByRole('row', { name: /Value not read/ });
    await expect(zone).toContainText('Mars');
    await expect(zone).toContainText(/Mend it in Directory: time zone of .*sol\.stray/i);
    await expect(zone).toContainText('HR for Night Shift, in Directory');
    const mail = page.getByRole('row', { name: /No mail address/ });
    await expect(mail).toContainText('sol at stray');
    await expect(mail).toContainText('HR for Night Shift, in Directory');
    const whose = page.getByRole('row', { name: /Who is it\?/ });
    await expect(whose).toContainText(/It could be (Emil Sørensen or Noah Petersen|Noah Petersen or Emil Sørensen)\./);
    await expect(whose).toContainText('Say whose record either is, on the page of Directory.');
    await expect(whose).toContainText('A system administrator, here');
    await expect(page.getByRole('row', { name: /Nobody above/ })).toContainText('Mend it in Directory: manager of sol.stray.');
    await axe(page);
    await shots(page, 'console-quality-pushed');
    await zone.getByRole('link', { name: 'Value not read' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText('Sol Stray');
    const colleague = await another();
    await signIn(colleague, 'viktor.novak');
    await expectNothingHere(colleague, '/console/quality');
  });

  await test.step('whose record it is, an administrator decides on the page of the source', async () => {
    const administrator = await another();
    await signIn(administrator, portal.withRole('system_administrator').login);
    await administrator.goto('/console/quality?kind=undecided');
    await administrator.getByRole('link', { name: 'Who is it?' }).click();
    await expect(administrator.getByRole('heading', { level: 1 })).toContainText('Directory');
    await expect(administrator.getByRole('main')).toContainText('N. or E.');
  });

  await test.step('the directory mends one, and then the other', async () => {
    await directory.send('PUT', `/Users/${id}`, { ...user, timezone: 'Europe/Oslo' });
    await page.goto('/console/quality');
    await narrow(page);
    await expect(page.getByRole('row', { name: /Value not read/ })).toHaveCount(0);
    await expect(page.getByRole('row', { name: /No mail address/ })).toBeVisible();
    const left = await findings(page).count();
    await directory.send('PUT', `/Users/${id}`, { ...user, timezone: 'Europe/Oslo', emails: [{ value: 'sol@stray.example' }] });
    await page.reload();
    await expect(findings(page)).toHaveCount(left - 1);
    await expect(page.getByRole('row', { name: /No mail address/ })).toHaveCount(0);
  });
});

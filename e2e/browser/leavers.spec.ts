// A source that sends its people by itself says of too many that they left: some are out, the others wait.

import type { Page } from '@playwright/test';
import { expectNothingHere } from '../lib/acts.ts';
import { Directory } from '../lib/directory.ts';
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

const NAMES = ['Alma Frost', 'Bertil Lind', 'Cecilia Ek', 'David Holm', 'Elin Ros', 'Folke Ask', 'Greta Alm', 'Hugo Sten'];

/** The directory with its people in it, by name. */
class People {
  private readonly ids: string[] = [];

  private constructor(private readonly directory: Directory) {}

  static async of(portal: Portal): Promise<People> {
    const people = new People(await Directory.of(portal));
    for (const [at, displayName] of NAMES.entries()) {
      const made = await people.directory.send('POST', '/Users', { userName: `n${at}`, displayName, title: 'Fitter' });
      people.ids.push(made.id);
    }
    return people;
  }

  async active(name: string, value: boolean): Promise<void> {
    const id = this.ids[NAMES.indexOf(name)];
    const Operations = [{ op: 'replace', path: 'active', value }];
    expect((await this.directory.send('PATCH', `/Users/${id}`, { Operations })).active).toBe(value);
  }
}

const told = (page: Page) => page.getByRole('alert').filter({ hasText: 'for a decision' });

async function here(page: Page, name: string): Promise<boolean> {
  await page.goto(`/people?q=${encodeURIComponent(name)}`);
  return (await page.getByRole('main').getByRole('link', { name, exact: true }).count()) > 0;
}

test('a mass of leavers waits, is seen, and is decided about', async ({ page, another, portal, signIn }) => {
  const people = await People.of(portal);
  const administrator = portal.withRole('system_administrator').login;
  await signIn(page, administrator);

  await test.step('a single one is out at once', async () => {
    await people.active('Hugo Sten', false);
    expect(await here(page, 'Hugo Sten')).toBe(false);
    await page.goto('/');
    await expect(told(page)).toHaveCount(0);
  });

  await test.step('the others stay, and the start page says so', async () => {
    for (const name of NAMES.slice(0, 6)) await people.active(name, false);
    await page.goto('/');
    await expect(told(page)).toContainText('6 people are to leave and wait for a decision');
    await expect(told(page)).toContainText('Alma Frost, Bertil Lind, Cecilia Ek and 3 others left');
    await axe(page);
    await shots(page, 'home-leavers');
    await page.goto('/console/sources');
    await expect(page.getByRole('row', { name: /Directory/ })).toContainText('6 people wait to leave');
    expect(await here(page, 'Alma Frost')).toBe(true);
  });

  await test.step('the page of the source leads to the decision', async () => {
    await page.goto('/console/sources');
    await page.getByRole('main').getByRole('link', { name: 'Directory', exact: true }).click();
    await expect(page.getByLabel('Share of leavers in 24 hours, in percent')).toHaveValue('10');
    await expect(page.getByRole('main')).toContainText('More than 10 % in 24 hours wait for a decision');
    await axe(page);
    await shots(page, 'console-source-leavers');
    await told(page).getByRole('link', { name: 'See who, and decide' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Who waits to leave');
    await expect(page.getByRole('table', { name: /Who waits to leave/ }).getByRole('row')).toHaveCount(7);
    await axe(page);
    await shots(page, 'console-leavers');
  });
  const list = page.url();

  await test.step('it is nobody else’s to see', async () => {
    const colleague = await another();
    await signIn(colleague, 'camille.laurent');
    await expect(told(colleague)).toHaveCount(0);
    await expectNothingHere(colleague, new URL(list).pathname);
  });

  await test.step('without JavaScript, one is kept and one is let go', async () => {
    const plain = await another({ javaScriptEnabled: false });
    await signIn(plain, administrator);
    await plain.goto(list);
    await plain.getByRole('button', { name: 'Keep: Alma Frost' }).click();
    await expect(plain.getByRole('status').filter({ hasText: '1 person is kept.' })).toBeVisible();
    await plain.getByRole('button', { name: 'Let go: Bertil Lind' }).click();
    await expect(plain.getByRole('status').filter({ hasText: '1 person has left.' })).toBeVisible();
    await expect(plain.getByRole('table', { name: /Who is kept/ })).toContainText('Alma Frost');
    expect(await here(plain, 'Alma Frost')).toBe(true);
    expect(await here(plain, 'Bertil Lind')).toBe(false);
  });

  await test.step('a page that is no longer true decides about those it knew alone', async () => {
    await page.goto(list);
    await people.active('Cecilia Ek', true);
    await people.active('Greta Alm', false);
    await page.getByRole('button', { name: 'Let all 4 go' }).click();
    await expect(page.getByRole('status').filter({ hasText: '3 people have left.' })).toBeVisible();
    await expect(page.getByRole('row', { name: /Greta Alm/ })).toBeVisible();
    expect(await here(page, 'Cecilia Ek')).toBe(true);
    expect(await here(page, 'David Holm')).toBe(false);
    await page.goto(list);
    await shots(page, 'console-leavers-kept');
    await page.getByRole('button', { name: 'Keep this person' }).click();
    await expect(page.getByRole('heading', { name: 'Nobody waits to leave' })).toBeVisible();
    await axe(page);
  });

  await test.step('and each decision stands in the log', async () => {
    await page.goto('/console/audit');
    await expect(page.getByRole('main')).toContainText('Kept Greta Alm, though a source says that they left');
    await expect(page.getByRole('main')).toContainText('Let David Holm go, as a source says');
    await expect(page.getByRole('main')).toContainText('Greta Alm stays for now');
  });
});
